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

test('a database that the members leave out of their binlogs (binlog-ignore-db): found, and no hole', () =>
  inWorld({ standbyLink: 'gtid', server: { 'log-slave-updates': 1, 'binlog-ignore-db': 'scratch' } }, async (world) => {
    const { a, b, replica } = world;
    await a.sql('CREATE DATABASE scratch; USE scratch; CREATE TABLE t (n INT); INSERT INTO t VALUES (1)');
    await inCalm(world);
    assert.match(finding(world, 'MemberFilters'), /^warning .*binlog_ignore_db=scratch.*a failover loses it/);
    await world.write(a);
    await a.sql('USE scratch; INSERT INTO t VALUES (2)');
    await world.settled();
    await world.seenStandby();
    await a.sql('SET GLOBAL read_only = 1');
    await world.promote('STOP SLAVE', 1);
    await world.assertProven('Contained');
    await world.sameRows(b, 'app');
    assert.deepEqual(await replica.sql("SELECT 1 FROM information_schema.tables WHERE table_schema = 'scratch'"), []);
  }));

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
