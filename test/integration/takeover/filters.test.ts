// What a pair leaves out on purpose, and a pair that shares one server_id: holes are neither a loss nor a proof.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Proof } from '../../../src/api/reasons.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { World, type WorldOptions } from './world.ts';

await enterSandbox();
const FULL = process.env['MXR_FULL'] === '1';
const OTHER = 'CREATE DATABASE other; USE other; CREATE TABLE t (n INT); INSERT INTO t VALUES (1)';

interface Filtered {
  readonly positioning: 'GTID' | 'FilePosition';
  readonly standbyLink: 'gtid' | 'file';
  readonly logs: boolean;
  /** Whether the last transaction before the takeover is one that the standby filters out, or only one in the middle. */
  readonly last: boolean;
  readonly writes: boolean;
  readonly fault: 'planned' | 'killed';
}

const DEFAULT: Filtered = {
  positioning: 'GTID',
  standbyLink: 'gtid',
  logs: true,
  last: true,
  writes: false,
  fault: 'planned',
};
const FEW: readonly Partial<Filtered>[] = [
  {},
  { last: false },
  { standbyLink: 'file', writes: true, fault: 'killed' },
  { positioning: 'FilePosition', standbyLink: 'file' },
  { logs: false, standbyLink: 'file' },
];

function all(): Filtered[] {
  const combinations: Filtered[] = [];
  for (const positioning of ['GTID', 'FilePosition'] as const)
    for (const standbyLink of ['gtid', 'file'] as const)
      for (const logs of [true, false])
        for (const last of [true, false])
          for (const writes of [true, false])
            for (const fault of ['planned', 'killed'] as const)
              combinations.push({ positioning, standbyLink, logs, last, writes, fault });
  return combinations;
}

async function inWorld(options: WorldOptions, story: (world: World) => Promise<void>): Promise<void> {
  const world = await World.open(options);
  try {
    await story(world);
  } finally {
    await world.close();
  }
}

async function inCalm(world: World): Promise<void> {
  await world.write(world.a);
  await world.settled();
  world.startMxr();
  await world.followed(world.a);
}

function finding(world: World, name: string): string {
  const found = world.mxr.status.findings.find((one) => one.finding === name);
  return found === undefined ? 'none' : `${found.severity} ${found.message}`;
}

describe('the standby replicates one database only (replicate-do-db)', { concurrency: 4 }, () => {
  for (const filtered of FULL ? all() : FEW.map((one) => ({ ...DEFAULT, ...one }))) {
    const { positioning, standbyLink, logs, last, writes, fault } = filtered;
    const proof: Proof = logs ? 'Contained' : 'TakeoverPoint';
    const title = `${positioning}, standby by ${standbyLink}, log_slave_updates=${logs ? 1 : 0}, ${fault}, ${last ? 'filtered at the end' : 'filtered before the end'}, ${writes ? 'written to' : 'idle'}`;
    test(`${title}: ${proof}, and the replica keeps what was filtered`, () =>
      inWorld(
        {
          standbyLink,
          standbyGets: 'Filtered',
          server: { 'log-slave-updates': logs },
          b: { 'replicate-do-db': 'app' },
          replica: positioning === 'FilePosition' ? { 'skip-slave-start': 1 } : {},
          spec: { link: { positioning } },
        },
        async (world) => {
          const { a, b, replica } = world;
          await a.sql(OTHER);
          await inCalm(world);
          assert.match(finding(world, 'MemberFilters'), /^warning .*Replicate_Do_DB=app/);
          await a.sql('USE other; INSERT INTO t VALUES (2)');
          if (!last) await world.write(a);
          await world.settled();
          await world.seenStandby();

          if (fault === 'planned') await a.sql('SET GLOBAL read_only = 1');
          else await a.kill9();
          await world.promote('STOP SLAVE', writes ? 1 : 0);

          await world.followed(b);
          // Nobody has written yet: what it was proven by still holds at the next looks.
          if (!writes) await world.staysProven();
          await world.assertProven(proof);
          await world.sameRows(b, 'app');
          assert.equal((await replica.row('SELECT COUNT(*) AS n FROM other.t'))['n'], '2');
        },
      ));
  }

  test('it passed less than the replica has: that is no hole of a filter, but Ahead', () =>
    inWorld(
      {
        standbyLink: 'gtid',
        standbyGets: 'Filtered',
        server: { 'log-slave-updates': 1 },
        b: { 'replicate-do-db': 'app' },
      },
      async (world) => {
        const { a, b, replica } = world;
        await a.sql(OTHER);
        await inCalm(world);
        await world.seenStandby();
        await b.sql('STOP SLAVE IO_THREAD');
        await a.sql('USE other; INSERT INTO t VALUES (2)');
        await world.reached(replica, a);
        await a.kill9();
        await world.promote('STOP SLAVE', 0);
        assert.match(await world.assertRefused('Ahead', 'Ahead'), /has 1 transactions that .* lacks/);
      },
    ));
});

interface Ignored {
  readonly positioning: 'GTID' | 'FilePosition';
  readonly standbyLink: 'gtid' | 'file';
  readonly logs: boolean;
  readonly fault: 'planned' | 'killed';
  /** `standby`: the old holder logged it, so the replica has it; the new one has it too, and not in its binlog. */
  readonly by: 'both' | 'standby';
}

const BY_GTID = { positioning: 'GTID', standbyLink: 'gtid', logs: true } as const;
const BY_FILE = { positioning: 'FilePosition', standbyLink: 'file', logs: false } as const;
const IGNORED = ([BY_GTID, BY_FILE] as const).flatMap((link) =>
  (['planned', 'killed'] as const).flatMap((fault) =>
    (['both', 'standby'] as const).map((by): Ignored => ({ ...link, fault, by })),
  ),
);

describe('a database that is left out of the binlog (binlog-ignore-db)', { concurrency: 4 }, () => {
  for (const { positioning, standbyLink, logs, fault, by } of IGNORED) {
    const proof: Proof = logs ? 'Contained' : 'TakeoverPoint';
    const title = `by ${by === 'both' ? 'both members' : 'the standby'}, ${positioning}, standby by ${standbyLink}, log_slave_updates=${logs ? 1 : 0}, ${fault}`;
    test(`${title}: found, and no hole: ${proof}`, () => {
      const ignores = { 'binlog-ignore-db': 'scratch' };
      return inWorld(
        {
          standbyLink,
          server: { 'log-slave-updates': logs, ...(by === 'both' ? ignores : {}) },
          b: ignores,
          replica: positioning === 'FilePosition' ? { 'skip-slave-start': 1 } : {},
          spec: { link: { positioning } },
        },
        async (world) => {
          const { a, b, replica } = world;
          await a.sql('CREATE DATABASE scratch; USE scratch; CREATE TABLE t (n INT); INSERT INTO t VALUES (1)');
          await inCalm(world);
          assert.match(finding(world, 'MemberFilters'), /^warning .*binlog_ignore_db=scratch.*a failover loses it/);
          await world.write(a);
          await a.sql('USE scratch; INSERT INTO t VALUES (2)');
          await world.settled();
          await world.seenStandby();
          if (fault === 'planned') await a.sql('SET GLOBAL read_only = 1');
          else await a.kill9();
          await world.promote('STOP SLAVE', 1);
          await world.assertProven(proof);
          await world.sameRows(b, 'app');
          if (by === 'standby') await world.sameRows(b, 'scratch');
          else {
            const there = "SELECT 1 FROM information_schema.tables WHERE table_schema = 'scratch'";
            assert.deepEqual([await b.sql(there), await replica.sql(there)], [[], []]);
          }
        },
      );
    });
  }
});

for (const standbyLink of ['file', 'gtid'] as const) {
  test(`one server_id without replicate_same_server_id, standby by ${standbyLink}: found, and Unproven`, () =>
    inWorld({ standbyLink, standbyGets: 'Nothing', b: { 'server-id': 1 } }, async (world) => {
      const { a } = world;
      await inCalm(world);
      assert.match(finding(world, 'EqualServerIds'), /^error .*error 1593.*Give each member a server_id of its own/);
      await a.kill9();
      await world.b.sql('CREATE DATABASE app; CREATE TABLE app.t (n INT)');
      await world.promote('STOP SLAVE', 1);
      assert.match(await world.assertRefused('Unproven', 'NotComparable'), /give .* a server_id of its own/);
    }));
}
