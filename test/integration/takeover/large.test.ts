// A transaction of 100 MB that is on its way when the VIP moves: cut in half by the crash, or still arriving. Each case is a
// transaction of 100 MB in the full run, and one is always.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Proof } from '../../../src/api/reasons.ts';
import { ownPosition, slaveStatus } from '../../support/link.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { until } from '../../support/wait.ts';
import { orOwn, prepareVersions } from '../versions/servers.ts';
import { World } from './world.ts';

const { '10.5': version } = await prepareVersions();
const { title: VERSION, tools } = orOwn(version);
const FULL = process.env['MXR_FULL'] === '1';
const MB = 1_000_000;
const ARRIVES_MS = 60_000;

/** A transaction, and where in it the holder dies: one page of SHOW RELAYLOG EVENTS has 30 MB. */
interface Size {
  readonly mb: number;
  readonly cutMb: number;
}

const WHOLE: Size = { mb: 100, cutMb: 40 };
const SIZE: Size = FULL ? WHOLE : { mb: 30, cutMb: 8 };

interface Pair {
  readonly positioning: 'GTID' | 'FilePosition';
  readonly logs: boolean;
  readonly parallel: 0 | 4;
  /** The promotion script ran RESET SLAVE ALL. */
  readonly forgets: boolean;
}

const BASE: Pair = { positioning: 'GTID', logs: false, parallel: 0, forgets: false };

function titleOf({ positioning, logs, parallel, forgets }: Pair): string {
  const workers = parallel === 0 ? 'one applier' : `slave_parallel_threads=${parallel}`;
  return `${positioning}, log_slave_updates=${logs ? 1 : 0}, ${workers}, ${forgets ? 'RESET SLAVE ALL' : 'STOP SLAVE'}`;
}

async function inCalm(pair: Pair, story: (world: World) => Promise<void>): Promise<void> {
  const { positioning, logs, parallel } = pair;
  const world = await World.open({
    tools,
    standbyLink: logs ? 'gtid' : 'file',
    server: { 'log-slave-updates': logs, 'binlog-format': 'ROW' },
    b: { 'slave-parallel-threads': parallel },
    replica: {
      'slave-parallel-threads': parallel,
      // A worker is given all of it at once, so that the SQL thread says that it has read all.
      'slave-parallel-max-queued': 2 * WHOLE.mb * MB,
      ...(positioning === 'FilePosition' ? { 'skip-slave-start': 1 } : {}),
    },
    spec: { link: { positioning } },
  });
  try {
    const { a } = world;
    await a.sql('CREATE TABLE app.big (n INT PRIMARY KEY, filling VARCHAR(1000)) ENGINE=InnoDB');
    await world.write(a);
    await world.settled();
    world.startMxr();
    await world.followed(a);
    await world.seenStandby();
    await story(world);
  } finally {
    await world.close();
  }
}

interface Large extends Size {
  /** Where it begins and ends in the binlog. */
  readonly from: number;
  readonly to: number;
}

async function writeLarge(server: MariaDbServer, size: Size): Promise<Large> {
  const { position: from } = await ownPosition(server);
  await server.sql(`USE app; INSERT INTO big SELECT seq, REPEAT('x', 1000) FROM seq_1_to_${size.mb * 1_000}`);
  const { position: to } = await ownPosition(server);
  assert.ok(to - from >= size.mb * MB, `${to - from} bytes`);
  return { ...size, from, to };
}

async function received(server: MariaDbServer): Promise<number> {
  return Number((await slaveStatus(server))?.['Read_Master_Log_Pos']);
}

/** Lets no more of it arrive once half of it has. */
async function holdAtHalf(server: MariaDbServer, { cutMb, from }: Large): Promise<void> {
  await until(`${server.name} has half of it`, async () => (await received(server)) > from + cutMb * MB);
  await receives(server, 1);
}

/** KB per second, 0: as fast as it comes. Below the size of an event it is one event a second. */
async function receives(server: MariaDbServer, speed: number): Promise<void> {
  await server.sql(`SET GLOBAL read_binlog_speed_limit = ${speed}`);
}

/** It takes 20 seconds. */
function receivesSlowly(server: MariaDbServer, { mb }: Size): Promise<void> {
  return receives(server, mb * 50);
}

async function bigRows(server: MariaDbServer): Promise<number> {
  return Number((await server.row('SELECT COUNT(*) AS n FROM app.big'))['n']);
}

/** The holder dies while both have only half of it; what is on its way then still arrives. */
async function cutInHalf({ a, b, replica }: World, size: Size): Promise<void> {
  const both = [b, replica];
  await Promise.all(both.map((server) => receivesSlowly(server, size)));
  const large = await writeLarge(a, size);
  await Promise.all(both.map((server) => holdAtHalf(server, large)));
  await a.kill9();
  await Promise.all(
    both.map(async (server) => {
      await receives(server, 0);
      const isCut = async (): Promise<boolean> => (await slaveStatus(server))?.['Slave_IO_Running'] !== 'Yes';
      await until(`${server.name} receives no more`, isCut);
      assert.ok((await received(server)) < large.to, `${server.name} has all of it`);
    }),
  );
}

/** Once RESET SLAVE ALL has run, only who saw it wait for more than there is knows that it applied nothing of it. */
async function seenWaiting({ b, mxr }: World): Promise<void> {
  await until(`${b.name} waits for the rest`, async () => {
    const link = await slaveStatus(b);
    return link?.['Slave_SQL_State']?.includes('has read all relay log');
  });
  await mxr.lookedAgain();
  await mxr.statusIs('that was seen', ({ source }) => source.members[1]?.lastStandby?.drained === true);
}

const HOLDS = 'SELECT SLEEP(600)';

/** Nothing is applied to the table until the function that it resolves with is called. */
async function lockTable(server: MariaDbServer): Promise<() => Promise<void>> {
  const session = server.sql(`LOCK TABLES app.big READ; ${HOLDS}`, [], 600_000).catch(() => undefined);
  const find = `SELECT id FROM information_schema.processlist WHERE info = '${HOLDS}'`;
  const id = await until('the lock is held', async () => (await server.sql(find))[0]?.['id']);
  return async () => {
    await server.sql(`KILL ${id}`);
    await session;
  };
}

/** None of it is applied: nothing may end the link that brings it, or that the relay log belongs to. */
async function waitsForIt({ a, replica, mxr }: World): Promise<void> {
  for (let look = 0; look < 8; look += 1) {
    await mxr.lookedAgain();
    const [told] = mxr.status.replicas;
    assert.deepEqual([told?.ready, told?.verdict], [false, 'HandingOver'], told?.message);
  }
  const link = await slaveStatus(replica);
  assert.equal(link?.['Master_Port'], String(a.port), 'its link was not touched');
}

describe(`one large transaction, on ${VERSION}`, { concurrency: 2 }, () => {
  for (const [pair, size] of [
    [BASE, WHOLE],
    [{ ...BASE, positioning: 'FilePosition', forgets: true }, SIZE],
    [{ ...BASE, positioning: 'FilePosition', parallel: 4 }, SIZE],
    [{ ...BASE, logs: true, parallel: 4 }, SIZE],
  ] satisfies [Pair, Size][]) {
    const proof: Proof = pair.logs ? 'Contained' : 'TakeoverPoint';
    test(`the crash cuts ${size.mb} MB in half: ${titleOf(pair)}: ${proof}, and nothing of it is anywhere`, () =>
      inCalm(pair, async (world) => {
        const { a, b, replica } = world;
        await world.write(a);
        await cutInHalf(world, size);
        if (pair.forgets) await seenWaiting(world);
        await world.promote(`STOP SLAVE; ${pair.forgets ? 'RESET SLAVE ALL;' : ''}`, 1);
        await world.assertProven(proof, ARRIVES_MS);
        await world.sameRows(b);
        assert.deepEqual([await bigRows(b), await bigRows(replica)], [0, 0]);
      }));
  }

  const forgets: Pair = { ...BASE, positioning: 'FilePosition', parallel: 4, forgets: true };
  test(`the crash cuts ${SIZE.mb} MB in half: ${titleOf(forgets)}: Unproven/TakeoverUnknown, for its workers may apply`, () =>
    inCalm(forgets, async (world) => {
      await cutInHalf(world, SIZE);
      // One that applies by itself would have said by now that it waits.
      for (let look = 0; look < 8; look += 1) await world.mxr.lookedAgain();
      await world.promote('STOP SLAVE; RESET SLAVE ALL', 1);
      const message = await world.assertRefused('Unproven', 'TakeoverUnknown');
      assert.match(message, /had not applied all that it had received/);
    }));

  for (const [pair, size] of [
    [BASE, SIZE],
    [{ ...BASE, positioning: 'FilePosition', parallel: 4 }, SIZE],
  ] satisfies [Pair, Size][]) {
    test(`a planned move while ${size.mb} MB arrive on the replica: ${titleOf(pair)}: all of it is applied first`, () =>
      inCalm(pair, async (world) => {
        const { a, b, replica } = world;
        await receivesSlowly(replica, size);
        const large = await writeLarge(a, size);
        await holdAtHalf(replica, large);
        await a.sql('SET GLOBAL read_only = 1');
        await world.reached(b, a);
        await world.promote('STOP SLAVE', 1);
        await world.mxr.statusIs('the VIP is seen on the new holder', ({ holder }) => holder === b.name);
        await waitsForIt(world);
        await receives(replica, 0);
        await world.assertProven('TakeoverPoint', ARRIVES_MS);
        await world.sameRows(b);
        assert.equal(await bigRows(replica), size.mb * 1_000);
      }));
  }

  for (const [pair, size] of [
    [{ ...BASE, positioning: 'FilePosition' }, SIZE],
    [{ ...BASE, positioning: 'FilePosition', parallel: 4 }, SIZE],
  ] satisfies [Pair, Size][]) {
    test(`a crash once ${size.mb} MB are received and not applied: ${titleOf(pair)}: all of it is applied first`, () =>
      inCalm(pair, async (world) => {
        const { a, b, replica } = world;
        const unlock = await lockTable(replica);
        const large = await writeLarge(a, size);
        await world.reached(b, a);
        await world.seenStandby();
        await until('all of it is received', async () => (await received(replica)) === large.to);
        await a.kill9();
        await world.promote('STOP SLAVE', 1);
        await world.mxr.statusIs('the VIP is seen on the new holder', ({ holder }) => holder === b.name);
        await waitsForIt(world);
        await unlock();
        await world.assertProven('TakeoverPoint', ARRIVES_MS);
        await world.sameRows(b);
        assert.equal(await bigRows(replica), size.mb * 1_000);
      }));
  }
});
