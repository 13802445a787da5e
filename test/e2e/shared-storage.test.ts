import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Status } from '../../src/api/v1alpha1.ts';
import { snapshotData } from '../support/clone.ts';
import { assertRight } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import type { Member } from '../support/member.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { begin } from './support/begin.ts';
import { positionings } from './support/modes.ts';
import { condition, movesUnderWrites } from './support/moves.ts';
import type { Stage } from './support/stage.ts';

// DRBD + heartbeat + VIP: one data directory, mounted by whoever is active. keepalived watches something else than the
// database (`fall` is never reached), and who moves the VIP starts the database on the other host, as a cluster manager does.
const SHARED = { shared: true, readOnly: false, fall: 10_000 } as const;
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
      assertSameCoordinates(status, by === 'file');
      assert.deepEqual(lineagesOf(status), [lineageOf(calm, a)], 'it is the same history');
    });

    test('and back: what was remembered of the first host is older than what the other one wrote', async () => {
      const { a, b } = stage.bench;
      assertSameCoordinates(await moves(b, a), by === 'file');
    });

    test('nobody watched the failover: the next operator proves it from what the status remembers', async () => {
      const { a, b } = stage.bench;
      const writer = new Writer(stage.bench);
      await writer.writes(50, a.name);
      await stage.operator.kill9();
      await takesOver(a, b);
      await writer.writes(50, b.name, 60_000);
      await stage.startOperator();
      await stage.following(b.name, 60_000);
      await writer.stop();
      await rightOn(b);
    });

    test('the operator dies between the failover and the proof', async () => {
      const { a, b } = stage.bench;
      await takesOver(b, a);
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
      const { bench } = stage;
      const { a, b } = bench;
      const writer = new Writer(bench);
      await writer.writes(100, a.name);
      const [first, second, cut] = bench.replicas;
      assert.ok(first !== undefined && second !== undefined && cut !== undefined);
      const heal = await cut.host.drop({ direction: 'in', peer: a.address, port: bench.vip.port });
      const restore = await snapshotData(a.db);
      await writer.writes(8, a.name);
      await writer.stop();
      await Promise.all([first, second].map(({ db }) => bench.follows(db, a.db)));

      await a.kill9();
      await a.keepalived.stop();
      await restore();
      await heal();
      await startsOn(b);

      const status = await stage.statusIs('every replica is held back', ({ replicas }) =>
        replicas.every(({ reason }) => reason === 'LostTail'),
      );
      assert.deepEqual(
        status.replicas.map(({ pod, verdict, ready }) => [pod, verdict, ready]),
        [
          [first.name, 'Ahead', false],
          [second.name, 'Ahead', false],
          [cut.name, 'Unproven', false],
        ],
      );
      for (const { pod, message, transactions } of status.replicas) {
        assert.match(message, /lost is, as far as mxr knows, 0-1-\d+ to 0-1-\d+ \(\d+ transactions\)|0-1-\d+/);
        assert.match(message, /reseed/);
        assert.equal((transactions?.gtids.length ?? 0) > 0, pod !== cut.name, 'who has what was lost lists it');
      }
      assert.equal(condition(status, 'ReplicasIntact'), 'False/Ahead');
      await standsStill();
    });
  });
}

test('Auto finds the shared storage out', async () => {
  stage = await begin({ bench: SHARED });
  try {
    const { a, b } = stage.bench;
    const calm = await stage.following(a.name);
    assert.match(findingOf(calm, 'StandbyUnreachable'), /set source.topology: SharedStorage/);
    assertSameCoordinates(await moves(a, b), false);
    const found = await stage.statusIs(
      'nothing is missing any more',
      (now) => condition(now, 'FailoverReady') === 'True/NoFinding',
    );
    assert.deepEqual(
      found.source.members.map(({ sharedStorage }) => sharedStorage),
      [{ tenure: 0 }, { tenure: 1 }],
    );
    assertSameCoordinates(await moves(b, a), false);
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

      await takesOver(a, b);

      await isExplained(
        /binlog of hci-b is called hci-b-bin and that of hci-a was hci-a-bin: the name follows the host/,
      );
      await b.db.sql('INSERT INTO app.plain (token) VALUES ("of-the-other-host")');
      // Back on the old files: they are whole, and know nothing of what was written under the other name.
      await takesOver(b, a);
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
  await standsStill();
}

/** kill -9 of the active one under writes; the other one has the storage then. */
async function moves(from: Member, to: Member): Promise<Status> {
  return movesUnderWrites(stage, { from, to, proof: 'SameServer', fault: async () => takesOver(from, to) });
}

async function takesOver(from: Member, to: Member): Promise<void> {
  await from.kill9();
  await from.keepalived.stop();
  await startsOn(to);
}

async function startsOn(member: Member): Promise<void> {
  await member.db.start();
  if (!member.keepalived.running) await member.keepalived.start();
  await stage.bench.holderIs(member);
}

async function rightOn(member: Member): Promise<void> {
  const writer = new Writer(stage.bench);
  await writer.writes(30, member.name);
  await writer.stop();
  await assertRight(stage.bench, member);
}

/** Nothing is received: nobody attached, and nobody was attached. */
async function standsStill(): Promise<void> {
  for (const { name, db } of stage.bench.replicas) {
    await until(`${name} receives nothing`, async () => (await slaveStatus(db))?.['Slave_IO_Running'] === 'No');
  }
}

function isSeenOn({ name }: Member): (member: Status['source']['members'][number]) => boolean {
  return (member) => member.name === name && member.reachable;
}

/** What the record says of each replica: by file the same place, by GTID the same position. */
function assertSameCoordinates({ handovers }: Status, byFile: boolean): void {
  const replicas = handovers[0]?.replicas ?? [];
  assert.equal(replicas.length, 3);
  for (const { from, to } of replicas) {
    const place = (one: typeof from): unknown => (byFile ? [one.file, one.position] : one.gtid);
    assert.deepEqual(place(to), place(from));
  }
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
