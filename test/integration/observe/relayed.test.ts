// Half a transaction in the relay log of a real server, and the whole one: what SHOW RELAYLOG EVENTS says of them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { relayedRest } from '../../../src/observe/relayed.ts';
import { type LinkMode, attach, linkState, ownPosition, slaveStatus } from '../../support/link.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { until } from '../../support/wait.ts';
import { prepareVersions, serverOf, settingsOf, withSession } from '../versions/servers.ts';

const { own, '10.5': old } = await prepareVersions();
/** Events of one row of this size each, so that few bytes are many pages. */
const ROW_BYTES = 1_000;
const ROWS = 12_000;
const PAGE_ROWS = 4_000;
/** Of read_binlog_speed_limit, in KB per second: it is cut in its middle, twice. */
const SLOW_KB = 4_000;
let pairs = 0;

function rest(replica: MariaDbServer): Promise<'Whole' | 'Half'> {
  return withSession(replica, 'mxr_replica', (session) => relayedRest(session, '', { deadlineMs: 10_000 }));
}

/** Ends in the middle, where so many rows of it have come. */
async function receiveSome(replica: MariaDbServer, from: number, rows: number): Promise<void> {
  await replica.sql('START SLAVE IO_THREAD');
  await until(`${rows} rows were received`, async () => {
    const link = await slaveStatus(replica);
    return Number(link?.['Read_Master_Log_Pos']) - from > rows * ROW_BYTES;
  });
  await replica.sql('STOP SLAVE IO_THREAD');
}

/** How many row events are in each relay log file that is not applied yet. */
async function rowsLeft(replica: MariaDbServer): Promise<number[]> {
  const link = await slaveStatus(replica);
  const [, base = '', digits = ''] = /^(.*\.)(\d+)$/.exec(link?.['Relay_Log_File'] ?? '') ?? [];
  const counts: number[] = [];
  for (let number = Number(digits); ; number += 1) {
    const name = `${base}${String(number).padStart(digits.length, '0')}`;
    // After the last there is none.
    const events = await replica.sql(`SHOW RELAYLOG EVENTS IN '${name}'`).catch(() => null);
    if (events === null) return counts.filter((count) => count > 0);
    counts.push(events.filter((event) => event['Event_type']?.startsWith('Write_rows')).length);
  }
}

for (const version of [own, old]) {
  describe(`MariaDB ${version.name}`, { skip: version.skip }, () => {
    for (const mode of ['file', 'gtid'] satisfies LinkMode[]) {
      test(`by ${mode}: half of a large transaction, more of it after the link was cut, and all of it`, async () => {
        pairs += 1;
        const many = { 'binlog-format': 'ROW', 'binlog-row-event-max-size': ROW_BYTES };
        const source = await serverOf(version, 'member', { name: `s${pairs}`, serverId: 1, server: many });
        const slow = { 'read-binlog-speed-limit': SLOW_KB };
        const replica = await serverOf(version, 'replica', { name: `r${pairs}`, serverId: 2, server: slow });
        try {
          await source.sql('CREATE DATABASE app; CREATE TABLE app.t (n INT, filling VARCHAR(1000)) ENGINE=InnoDB');
          const { host, port } = source;
          const start = { host, port, account: settingsOf('Preferred'), from: 'start' } as const;
          await attach(replica, { ...start, mode, firstFile: `${source.name}-bin.000001` });
          const { position: from, file } = await ownPosition(source);
          await until('it has applied all', async () => {
            const link = await slaveStatus(replica);
            return link?.['Relay_Master_Log_File'] === file && Number(link['Exec_Master_Log_Pos']) === from;
          });
          await replica.sql('STOP SLAVE');
          await source.sql(`USE app; INSERT INTO t SELECT seq, REPEAT('x', ${ROW_BYTES}) FROM seq_1_to_${ROWS}`);

          await receiveSome(replica, from, PAGE_ROWS + 500);
          const first = await rowsLeft(replica);
          assert.ok(first.length === 1 && (first[0] ?? 0) > PAGE_ROWS, `more than a page: ${first.join(', ')}`);
          assert.equal(await rest(replica), 'Half', await linkState(replica));

          await receiveSome(replica, from, PAGE_ROWS + 3_000);
          const second = await rowsLeft(replica);
          // By GTID the transaction comes again from its beginning.
          assert.equal(second.length, mode === 'file' ? 2 : 1, second.join(', '));
          assert.equal(await rest(replica), 'Half', await linkState(replica));

          await replica.sql('START SLAVE IO_THREAD');
          const end = await ownPosition(source);
          await until('all of it is received', async () => {
            const link = await slaveStatus(replica);
            return Number(link?.['Read_Master_Log_Pos']) === end.position;
          });
          assert.equal(await rest(replica), 'Whole', await linkState(replica));

          await replica.sql('START SLAVE SQL_THREAD');
          await until('it is applied', async () => {
            const { n } = await replica.row('SELECT COUNT(*) AS n FROM app.t');
            return Number(n) === ROWS;
          });
          await until('nothing is left', async () => (await rest(replica)) === 'Half');
        } finally {
          await Promise.all([source.kill9(), replica.kill9()]);
        }
      });
    }
  });
}
