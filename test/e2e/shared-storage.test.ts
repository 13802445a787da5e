import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Status } from '../../src/api/v1alpha1.ts';
import type { Replica } from '../support/bench.ts';
import { assertRight } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import type { Member } from '../support/member.ts';
import { Writer } from '../support/writer.ts';
import { begin } from './support/begin.ts';
import { heldBackByLostTail, standsStill, WITH_ROWS } from './support/lost-tail.ts';
import { positionings } from './support/modes.ts';
import { condition, movesUnderWrites } from './support/moves.ts';
import { allReached } from './support/refusal.ts';
import { SHARED, takesOver } from './support/shared.ts';
import type { Stage } from './support/stage.ts';
import { statementsOf } from './support/statements.ts';

// DRBD + heartbeat + VIP: one data directory, mounted by whoever is active. keepalived watches something else than the
// database (`fall` is never reached), and who moves the VIP starts the database on the other host, as a cluster manager does.
const DECLARED = { source: { topology: 'SharedStorage' } };
let stage: Stage;

for (const { name, by, options } of positionings(SHARED)) {
  describe(`shared storage, ${name}`, () => {
    before(async () => {
      stage = await begin({ ...options, spec: { ...options.spec, ...DECLARED } });
    });
    after(async () => stage.close());

    test('kill -9 of the active host: the replicas resume at the same coordinates on the other one', async () => {
      const { a, b } = stage.bench;
      const calm = await stage.following(a.name);
      assert.equal(condition(calm, 'FailoverReady'), 'True/NoFinding', 'that no standby answers is how it is');
      const status = await moves(a, b);
      if (by === 'file') assertSameCoordinates(status);
      assert.deepEqual(lineagesOf(status), [lineageOf(calm, a)], 'it is the same history');
    });

    test('and back: what was remembered of the first host is older than what the other one wrote', async () => {
      const { a, b } = stage.bench;
      const status = await moves(b, a);
      if (by === 'file') assertSameCoordinates(status);
    });

    test('nobody watched the failover: the next operator proves it from what the status remembers', async () => {
      const { a, b } = stage.bench;
      const writer = new Writer(stage.bench);
      await writer.writes(50, a.name);
      await stage.operator.kill9();
      await takesOver(stage.bench, a, b);
      await writer.writes(50, b.name, 60_000);
      await stage.startOperator();
      await stage.following(b.name, 60_000);
      await writer.stop();
      await rightOn(b);
    });

    test('the operator dies between the failover and the proof', async () => {
      const { a, b } = stage.bench;
      await takesOver(stage.bench, b, a);
      await stage.statusIs('the other host was seen', ({ source }) => source.members.some(isSeenOn(a)));
      await stage.operator.kill9();
      await stage.startOperator();
      await stage.following(a.name, 60_000);
      await rightOn(a);
    });

    test('the VIP is on a host whose database is down: DatabaseDown, and reads go on', async () => {
      const { a } = stage.bench;
      const before = await stage.following(a.name);
      await a.kill9();
      const status = await stage.statusIs('the database is down', ({ source }) => source.situation === 'DatabaseDown');
      assert.equal(condition(status, 'SourceAvailable'), 'False/DatabaseDown');
      assert.match(status.source.message, /host that holds the VIP answers.*database takes no connection/);
      const waiting = await stage.statusIs('every replica waits', ({ replicas }) =>
        replicas.every(({ verdict, reason }) => verdict === 'Waiting' && reason === 'DatabaseDown'),
      );
      assert.ok(
        waiting.replicas.every(({ serving }) => serving),
        'an unreachable source empties nothing',
      );
      await a.db.start();
      assert.deepEqual(lineagesOf(await stage.following(a.name, 60_000)), lineagesOf(before));
    });

    test('a lost tail holds every replica back, and what is known of it is listed', async () => {
      await heldBackByLostTail(stage, WITH_ROWS);
    });
  });
}

test('by file and position, while nobody writes: each replica is told the very coordinates at which it stood', async () => {
  const spec = { ...DECLARED, link: { positioning: 'FilePosition' } };
  stage = await begin({ bench: { ...SHARED, replicas: { link: 'file', server: { 'skip-slave-start': 1 } } }, spec });
  try {
    const { bench } = stage;
    const { a, b, replicas } = bench;
    await stage.following(a.name);
    const writer = new Writer(bench);
    await writer.writes(50, a.name);
    await writer.stop();
    await allReached(bench, replicas, a.db);
    const stood = await Promise.all(replicas.map(appliedTo));
    for (const { db } of replicas) await db.sql('SET GLOBAL general_log = 1');

    await takesOver(bench, a, b);

    await stage.following(b.name, 60_000);
    assert.deepEqual(replicas.map(toldPlace), stood);
    await rightOn(b);
  } finally {
    await stage.close();
  }
});

test('Auto finds the shared storage out', async () => {
  stage = await begin({ bench: SHARED });
  try {
    const { a, b } = stage.bench;
    const calm = await stage.following(a.name);
    assert.match(findingOf(calm, 'StandbyUnreachable'), /set source.topology: SharedStorage/);
    await moves(a, b);
    const found = await stage.statusIs(
      'nothing is missing any more',
      (now) => condition(now, 'FailoverReady') === 'True/NoFinding',
    );
    assert.deepEqual(
      found.source.members.map(({ sharedStorage }) => sharedStorage),
      [{ tenure: 0 }, { tenure: 1 }],
    );
    await moves(b, a);
  } finally {
    await stage.close();
  }
});

for (const topology of ['SharedStorage', 'Auto'] as const) {
  test(`a binlog that is named after the host is explained, ${topology}`, async () => {
    // Without a name it is called after the pid file, which is called after the host.
    const named = (name: string) => ({
      server: { 'log-basename': name, 'log-bin': true, 'pid-file': `${name}.pid` },
    });
    const bench = { ...SHARED, a: named('hci-a'), b: named('hci-b') };
    stage = await begin({ bench, spec: { source: { topology } } });
    try {
      const { a, b } = stage.bench;
      const calm = await stage.following(a.name);
      if (topology === 'SharedStorage')
        assert.match(findingOf(calm, 'BinlogNameFollowsHost'), /hci-a-bin.*log_bin=mysql-bin/);

      await takesOver(stage.bench, a, b);

      const { state } = await b.db.row('SELECT @@gtid_binlog_state AS state');
      assert.equal(state, '', 'under the new name nothing is known of what the data has');
      await isExplained(
        /binlog of hci-b is called hci-b-bin and that of hci-a was hci-a-bin: the name follows the host .*with an empty GTID state/,
      );
      await b.db.sql('INSERT INTO app.plain (token) VALUES ("of-the-other-host")');
      // Back on the old files: they are whole, and know nothing of what was written under the other name.
      await takesOver(stage.bench, b, a);
      await isExplained(
        /binlog of hci-a is called hci-a-bin and that of hci-b was hci-b-bin: the name follows the host/,
      );
    } finally {
      await stage.close();
    }
  });
}

async function isExplained(message: RegExp): Promise<void> {
  const status = await stage.statusIs('every replica is held back', ({ replicas }) =>
    replicas.every((one) => one.reason === 'LineageChanged' && message.test(one.message)),
  );
  for (const { verdict, message: text } of status.replicas) {
    assert.equal(verdict, 'Unproven');
    assert.match(text, /Give it one name on both hosts \(log_bin=mysql-bin\); then reseed r\d/);
  }
  await standsStill(stage);
}

/** kill -9 of the active one under writes; the other one has the storage then. */
async function moves(from: Member, to: Member): Promise<Status> {
  return movesUnderWrites(stage, {
    from,
    to,
    proof: 'SameServer',
    fault: async () => takesOver(stage.bench, from, to),
  });
}

async function rightOn(member: Member): Promise<void> {
  const writer = new Writer(stage.bench);
  await writer.writes(30, member.name);
  await writer.stop();
  await assertRight(stage.bench, member);
}

function isSeenOn({ name }: Member): (member: Status['source']['members'][number]) => boolean {
  return (member) => member.name === name && member.reachable;
}

/** What the record says of each replica: the place that it had is the one that it was given. */
function assertSameCoordinates({ handovers }: Status): void {
  const replicas = handovers[0]?.replicas ?? [];
  assert.equal(replicas.length, 3);
  for (const { from, to } of replicas) assert.deepEqual([to.file, to.position], [from.file, from.position]);
}

/** Up to where a replica has applied, as it says itself. */
async function appliedTo({ db }: Replica): Promise<unknown> {
  const link = await slaveStatus(db);
  return [link?.['Relay_Master_Log_File'], Number(link?.['Exec_Master_Log_Pos'])];
}

/** The coordinates that a replica was told last, from its own log of statements. */
function toldPlace({ db }: Replica): unknown {
  const change = statementsOf(db).findLast((statement) => statement.includes('CHANGE MASTER')) ?? 'none';
  const [, file, position] = /MASTER_LOG_FILE = '(.*?)', MASTER_LOG_POS = (\d+)/.exec(change) ?? [];
  return file === undefined ? change : [file, Number(position)];
}

function lineageOf({ source }: Status, { name }: Member): string | undefined {
  return source.members.find((member) => member.name === name)?.lineage;
}

/** Of the baselines: one, where all were proven on one history. */
function lineagesOf({ replicas }: Status): unknown[] {
  return [...new Set(replicas.map(({ baseline }) => baseline?.lineage))];
}

function findingOf({ findings }: Status, name: string): string {
  return findings.find(({ finding }) => finding === name)?.message ?? '';
}
