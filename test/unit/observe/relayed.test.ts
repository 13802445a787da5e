import assert from 'node:assert/strict';
import { test } from 'node:test';
import { relayedRest } from '../../../src/observe/relayed.ts';
import { MxrError } from '../../../src/errors.ts';
import type { SqlSession } from '../../../src/sql/port.ts';

type Events = readonly (readonly [type: string, info: string])[];

const FIRST: Events = [
  ['Format_desc', 'Server ver: 10.5.23'],
  ['Rotate', 'a-bin.000003;pos=4'],
];
const BEGIN = ['Gtid', 'BEGIN GTID 0-1-5'] as const;
const ROWS = ['Write_rows_v1', 'table_id: 20'] as const;
const MISSING = 'Error when executing command SHOW RELAYLOG EVENTS: Could not find target log';
const UNREADABLE = 'Error when executing command SHOW RELAYLOG EVENTS: Wrong offset or I/O error';

/** What is left in relay log files; a text is the error with which the file cannot be read. */
function rest(files: Readonly<Record<string, Events | string>>, at = 4): Promise<'Whole' | 'Half'> {
  const query = async (sql: string, params: readonly unknown[]) => {
    if (sql.startsWith('SHOW ALL SLAVES'))
      return [{ Connection_name: '', Relay_Log_File: 'r.000002', Relay_Log_Pos: String(at) }];
    const [from = 4, limit = 0] = (sql.match(/\d+/g) ?? []).map(Number);
    const events = files[String(params[0])] ?? MISSING;
    if (typeof events === 'string') throw failed(events);
    const all = events.map(([type, info], index) => ({ Pos: String(4 + index), Event_type: type, Info: info }));
    return all.filter(({ Pos }) => Number(Pos) >= from).slice(0, limit);
  };
  return relayedRest({ query, target: { name: 'r' } } as unknown as SqlSession, '', { deadlineMs: 100 });
}

function failed(detail: string): MxrError {
  return new MxrError({ code: 'SqlError', errno: 1220, operation: 'ask', target: 'r', detail, retryable: false });
}

test('a transaction without its end is half of one, on however many pages and files', async () => {
  assert.equal(await rest({ 'r.000002': [...FIRST, BEGIN, ROWS, ROWS] }), 'Half');
  const long = Array.from({ length: 9_000 }, () => ROWS);
  assert.equal(await rest({ 'r.000002': [...FIRST, BEGIN, ...long], 'r.000003': [...FIRST, ROWS] }), 'Half');
  assert.equal(await rest({ 'r.000002': [...FIRST] }), 'Half', 'nothing at all is left');
});

test('its end anywhere behind the place makes it whole', async () => {
  const long = Array.from({ length: 9_000 }, () => ROWS);
  const xid = ['Xid', 'COMMIT /* xid=7 */'] as const;
  assert.equal(await rest({ 'r.000002': [...FIRST, BEGIN, ...long, xid] }), 'Whole');
  assert.equal(await rest({ 'r.000002': [...FIRST, BEGIN, ROWS], 'r.000003': [...FIRST, ROWS, xid] }), 'Whole');
  assert.equal(await rest({ 'r.000002': [...FIRST, BEGIN, ROWS, ['Query', 'COMMIT']] }), 'Whole');
  assert.equal(
    await rest({
      'r.000002': [
        ['Gtid', 'GTID 0-1-5'],
        ['Query', 'use `app`; CREATE TABLE t (n INT)'],
      ],
    }),
    'Whole',
  );
  assert.equal(await rest({ 'r.000002': [ROWS, ['Query', 'use `app`; INSERT INTO t VALUES (1)']] }), 'Whole');
});

test('what cannot be read says nothing: it is not half', async () => {
  await assert.rejects(rest({ 'r.000002': UNREADABLE }), { errno: 1220 });
  await assert.rejects(rest({ 'r.000002': [...FIRST, BEGIN], 'r.000003': UNREADABLE }), { errno: 1220 });
  assert.equal(await rest({}), 'Whole', 'the file that is applied is not there');
});
