import assert from 'node:assert/strict';
import type { NetworkInterfaceInfo } from 'node:os';
import { afterEach, describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { readPublisherConfig } from '../../../src/config.ts';
import type { Watching } from '../../../src/publisher/watching.ts';
import { startWatching } from '../../../src/publisher/watching.ts';
import type { Answer, FakeServer } from '../observe/fake-server.ts';
import { LINK_ROW, fakeServer, sqlError } from '../observe/fake-server.ts';
import { until } from '../../support/wait.ts';
import { keptJournal, keptLog } from './parts.ts';
import type { KeptJournal } from './parts.ts';

const VIP = '10.0.0.100';
const PASSWORD = 'hunter2-hunter2';
const STANDBY = [{ ...LINK_ROW, Using_Gtid: 'No', Master_Server_Id: '9' }];
const SOON = { deadlineMs: 3_000, intervalMs: 2 };

interface World extends Watching {
  readonly server: FakeServer;
  readonly journal: KeptJournal;
  readonly said: (message: string) => number;
  readonly text: () => string;
  beats(): number;
  /** What its binlog had at each look, and in the takeover record. */
  readonly seen: { readonly now: string; readonly record: string | undefined }[];
  holds: boolean;
  looks(): number;
}

const open: Watching[] = [];
afterEach(() => {
  for (const watching of open.splice(0)) watching.stop();
});

/** Looks so seldom that every look in a test has a reason of its own. */
function world(overrides: Partial<FakeServer> = {}, flags: readonly string[] = ['--interval-ms=60000']): World {
  const server = fakeServer({
    answer: (sql) => (sql === 'SHOW ALL SLAVES STATUS' ? STANDBY : undefined),
    ...overrides,
  });
  server.variables = { ...server.variables, read_only: '1', log_slave_updates: '0' };
  const journal = keptJournal();
  const { log, lines, said } = keptLog();
  const args = [`--vip=${VIP}`, '--timeout-ms=300', '--member=hci-b', ...flags];
  const config = readPublisherConfig(args, {
    env: { MXR_PUBLISHER_DB_PASSWORD: PASSWORD },
    readFile: () => undefined,
    hostname: () => 'host',
  });
  let beats = 0;
  const part: Omit<World, keyof Watching> = {
    server,
    journal,
    said,
    text: () => JSON.stringify(lines),
    beats: () => beats,
    seen: [],
    holds: false,
    looks: () => server.statements.filter((sql) => sql === 'SHOW ALL SLAVES STATUS').length,
  };
  const watching = startWatching({
    config,
    connect: server.connect,
    machineId: '',
    journal,
    interfaces: () => ({ eth0: part.holds ? [info(VIP)] : [info('10.0.0.12')] }),
    onBeat: () => {
      beats += 1;
      const { gtidBinlogState, takeover } = watching.state.coordinates();
      part.seen.push({ now: gtidBinlogState, record: takeover?.binlogState });
    },
    clock: systemClock,
    log,
  });
  open.push(watching);
  return Object.assign(part, watching);
}

function info(address: string): NetworkInterfaceInfo {
  return { address, netmask: '', mac: '', internal: false, cidr: null, family: 'IPv4' };
}

/** A standby by file and position; `next` holds the next look before its last answer, until `release`. */
function heldLook() {
  let wanted = false;
  let held: (() => void) | null = null;
  return {
    next: () => (wanted = true),
    isHeld: () => held !== null,
    release: () => held?.(),
    answer: (sql: string): Answer | undefined => {
      if (sql === 'SHOW ALL SLAVES STATUS') return STANDBY;
      if (sql !== 'SHOW PROCESSLIST' || !wanted) return undefined;
      wanted = false;
      return new Promise((resolve) => (held = () => resolve([])));
    },
  };
}

/** Written to as the holder, and left in peace again. */
async function promoted(w: World): Promise<void> {
  w.server.variables = { ...w.server.variables, read_only: '0', gtid_binlog_state: '0-2-4,0-1-900' };
  await until('it knows', () => w.state.coordinates().readOnly === false, SOON);
  let looks = -1;
  await until('it is calm', () => looks === (looks = w.looks()), { ...SOON, intervalMs: 100 });
}

describe('watching the database', () => {
  test('looks at once, and again after the interval', async () => {
    const w = world({}, ['--interval-ms=20']);
    await until('it has looked five times', () => w.beats() >= 5, SOON);
    assert.equal(w.server.attempts, 1);
    assert.equal(w.state.coordinates().slave?.masterServerId, 9);
  });

  test('asks for no more than a member is asked for', async () => {
    const w = world();
    await until('it has looked', () => w.beats() === 1, SOON);
    assert.ok(w.server.statements.includes('SHOW MASTER STATUS'));
    assert.ok(
      w.server.statements.every((sql) => /^(SELECT|SHOW) /u.test(sql)),
      w.server.statements.join('\n'),
    );
    assert.ok(!w.server.statements.some((sql) => /GET_LOCK/u.test(sql)));
  });

  test('a VIP that comes has the database looked at, every few ms while it is being promoted', async () => {
    const w = world();
    await until('it has looked', () => w.beats() === 1, SOON);
    w.holds = true;
    await until('it looks often', () => w.looks() >= 20, SOON);
    assert.equal(w.state.coordinates().vipHeld, true);
    assert.equal(w.state.coordinates().takeover?.ownFile !== undefined, true);
    await promoted(w);
  });

  test('a VIP that goes has it looked at once', async () => {
    const w = world();
    await until('it has looked', () => w.beats() === 1, SOON);
    w.holds = true;
    await until('it holds the VIP', () => w.state.coordinates().vipHeld === true, SOON);
    await promoted(w);
    const before = w.looks();
    w.holds = false;
    await until('it looks', () => w.looks() > before, SOON);
    assert.equal(w.state.coordinates().vipHeld, false);
  });

  for (const [what, holds] of [
    ['came', true],
    ['went', false],
  ] as const) {
    test(`a look during which the VIP ${what} is no look at a standby`, async () => {
      const held = heldLook();
      const w = world({ answer: held.answer });
      await until('it has looked', () => w.beats() === 1, SOON);
      w.server.variables = { ...w.server.variables, gtid_binlog_state: '0-2-4,0-1-900' };
      w.holds = !holds;
      held.next();
      w.server.sessions.at(-1)?.die();
      await until('a look is under way', () => held.isHeld(), SOON);
      w.holds = holds;
      held.release();
      await until('it has looked', () => w.beats() >= 2, SOON);
      assert.deepEqual(w.seen.slice(0, 2), [
        { now: '0-1-9,0-2-4', record: '0-1-9,0-2-4' },
        { now: '0-1-900,0-2-4', record: '0-1-9,0-2-4' },
      ]);
    });
  }

  test('a database that is gone is asked again, and told of once', async () => {
    const w = world({}, ['--interval-ms=20']);
    await until('it has looked', () => w.beats() === 1, SOON);
    w.server.refuses = sqlError('ConnectionRefused', 'nobody there');
    w.server.sessions.at(-1)?.die();
    await until('it knows', () => !w.state.coordinates().databaseAnswers, SOON);
    const before = w.beats();
    await until('it goes on', () => w.beats() > before + 5, SOON);
    assert.equal(w.said('the database does not answer'), 1);
    w.server.refuses = null;
    await until('it is back', () => w.state.coordinates().databaseAnswers, SOON);
    assert.equal(w.said('the database answers'), 2);
  });

  test('a session that is lost has it looked at once', async () => {
    const w = world();
    await until('it has looked', () => w.beats() === 1, SOON);
    w.server.sessions.at(-1)?.die();
    await until('it looks over a new session', () => w.server.sessions.length === 2, SOON);
  });

  test('never shows the password', async () => {
    const w = world({ refuses: sqlError('AccessDenied', `Access denied using ${PASSWORD}`) });
    await until('it has looked', () => w.beats() === 1, SOON);
    assert.match(w.text(), /AccessDenied/u);
    assert.doesNotMatch(w.text(), /hunter2/u);
  });

  test('ends at once, also while the database does not answer, and does not take that for its silence', async () => {
    const w = world({}, ['--interval-ms=20']);
    await until('it has looked', () => w.beats() === 1, SOON);
    w.server.answer = () => new Promise(() => undefined);
    const asked = w.server.statements.length;
    await until('it asks', () => w.server.statements.length > asked, SOON);
    w.stop();
    const session = w.server.sessions.at(-1);
    assert.equal(session?.alive, false);
    const silent = world({ refuses: 'silent' });
    await until('it dials', () => silent.server.dialling.size === 1, SOON);
    silent.stop();
    await until('it has given up', () => silent.server.dialling.size === 0, { ...SOON, deadlineMs: 200 });
    assert.equal(w.state.coordinates().databaseAnswers, true);
    assert.equal(silent.beats(), 0);
    assert.deepEqual(silent.journal.entries, []);
  });
});
