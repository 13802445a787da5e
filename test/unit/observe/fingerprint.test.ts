import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { known, unknown } from '../../../src/domain/fact.ts';
import { parsePosition } from '../../../src/domain/gtid.ts';
import type { Link, ServerLook, VipLook, VipObservation } from '../../../src/domain/observation.ts';
import { markOfServer, markOfVip } from '../../../src/observe/fingerprint.ts';
import { lookAtServer } from '../../../src/observe/look.ts';
import { fakeServer, LINK_ROW, TARGET } from './fake-server.ts';

const server = fakeServer({ answer: (sql) => (sql === 'SHOW ALL SLAVES STATUS' ? [LINK_ROW] : undefined) });
const session = await server.connect(TARGET, { deadlineMs: 1_000 });
const LOOK = await lookAtServer(session, { clock: systemClock, deadlineMs: 1_000, files: true, previousFiles: [] });
const [LINK] = LOOK.links;
assert.ok(LINK !== undefined);
const POSITION = parsePosition('0-1-99') ?? new Map();

function mark(change: Partial<ServerLook>, positions = false): string {
  return markOfServer(known({ ...LOOK, ...change }, 1), positions);
}

function markOfLink(change: Partial<Link>, positions = false): string {
  return mark({ links: [{ ...LINK, ...change } as Link] }, positions);
}

describe('what is worth a pass', () => {
  const news: Readonly<Record<string, Partial<ServerLook>>> = {
    'another start time': { identity: { ...LOOK.identity, startedAt: 1 } },
    read_only: { readOnly: true },
    'no link any more': { links: [] },
    'a replica that is fed': { dumps: [{ connectionId: 7, address: '10.0.0.21', user: 'repl', ageSeconds: 9 }] },
    'a setting': { settings: { ...LOOK.settings, syncBinlog: 0 } },
  };
  for (const [what, change] of Object.entries(news)) {
    test(`${what} is news`, () => assert.notEqual(mark(change), mark({})));
  }

  const linkNews: Readonly<Record<string, Partial<Link>>> = {
    'a stopped IO thread': { io: 'No' },
    'a stopped SQL thread': { sql: 'No' },
    'an IO error': { ioErrno: 1236 },
    'a SQL error': { sqlErrno: 1062 },
    'another host': { host: '10.0.0.12' },
    'another server at the same host': { sourceServerId: 2 },
    'another mode': { usingGtid: 'No' },
  };
  for (const [what, change] of Object.entries(linkNews)) {
    test(`${what} is news`, () => assert.notEqual(markOfLink(change), markOfLink({})));
  }

  test('positions are news only while a handover waits for them', () => {
    for (const change of [{ gtidBinlogPos: POSITION }, { gtidSlavePos: POSITION }, { end: null }]) {
      assert.equal(mark(change), mark({}));
      assert.notEqual(mark(change, true), mark({}, true));
    }
    for (const change of [
      { read: { file: 'x', position: 1 } },
      { exec: { file: 'x', position: 1 } },
      { gtidIoPos: POSITION },
    ]) {
      assert.equal(markOfLink(change), markOfLink({}));
      assert.notEqual(markOfLink(change, true), markOfLink({}, true));
    }
  });

  test('lag, a look and a file that grew are no news', () => {
    assert.equal(markOfLink({ secondsBehind: 3 }), markOfLink({ secondsBehind: 0 }));
    assert.equal(mark({ files: [], connectionId: 99 }, true), mark({}, true));
    assert.equal(markOfServer(known(LOOK, 5), false), markOfServer(known(LOOK, 6), false));
  });

  test('a drained relay log is news only after receiving has stopped', () => {
    const applying = { sqlState: 'Reading event from the relay log', usingGtid: 'No' } as const;
    const drained = { usingGtid: 'No' } as const;
    assert.equal(markOfLink(applying), markOfLink(drained));
    assert.notEqual(markOfLink({ ...applying, io: 'No' }), markOfLink({ ...drained, io: 'No' }));
  });

  test('a failure is news by its cause', () => {
    const late = unknown('Deadline', 'a', 1);
    assert.equal(markOfServer(late, false), markOfServer(unknown('Deadline', 'b', 2), false));
    assert.notEqual(markOfServer(late, false), markOfServer(unknown('ConnectionLost', 'a', 1), false));
  });

  test('the VIP: who answers, which locks it sees, and the first two failures', () => {
    const look: VipLook = { identity: LOOK.identity, readOnly: false, lockOwners: { a: 1 }, look: null };
    const answers = (change: Partial<VipLook>): string =>
      markOfVip({ look: known({ ...look, ...change }, 1), failures: 0, silentSince: null, answersSince: 1 });
    const silent = (failures: number): VipObservation => ({
      look: unknown('Deadline', 'late', failures),
      failures,
      silentSince: 1,
      answersSince: null,
    });
    assert.notEqual(answers({ readOnly: true }), answers({}));
    assert.notEqual(answers({ lockOwners: { a: null } }), answers({}));
    assert.notEqual(answers({ look: LOOK }), answers({}));
    assert.equal(answers({ look: { ...LOOK, gtidBinlogPos: POSITION } }), answers({ look: LOOK }));
    assert.notEqual(markOfVip(silent(1)), markOfVip(silent(2)));
    assert.equal(markOfVip(silent(2)), markOfVip(silent(3)));
  });
});
