import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Replica } from '../support/bench.ts';
import { compareTables, judge } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import { begin, calm } from './support/begin.ts';
import { WITHOUT_ROWS } from './support/lost-tail.ts';
import { allReached, insertAt, onlyServe, remember } from './support/refusal.ts';
import type { Stage } from './support/stage.ts';

// The standby is killed and loses the end of its binlog, and not the rows: it goes on behind them. Once it has applied more
// nothing shows what its binlog lacks, and who stands before that would never get it.
const LOST = 4;
const DELAY_SECONDS = 3600;

test('LostTail: a late replica before a hole in the binlog of the standby, which mxr had never seen filled', async () => {
  await refusesWhoStandsBefore(false);
});

test('LostTail: the same, which mxr had seen filled', async () => {
  await refusesWhoStandsBefore(true);
});

async function refusesWhoStandsBefore(seen: boolean): Promise<void> {
  const stage = await begin();
  try {
    const { bench } = stage;
    const [r1, r2, late] = bench.replicas;
    assert.ok(r1 !== undefined && r2 !== undefined && late !== undefined);
    await calm(stage);
    await standsStill(stage, late);
    await leavesHole(stage, [r1, r2], seen);
    await startsAgain(stage, [r1, r2]);
    const untouched = await remember([late]);

    await bench.a.kill9();
    await bench.holderIs(bench.b);

    const { replicas } = await stage.statusIs(
      'r3 is refused, the others follow',
      ({ holder, replicas: now }) =>
        holder === bench.b.name &&
        now.every(({ pod, ready, verdict }) => (pod === late.name ? verdict === 'Unproven' : ready)),
      60_000,
    );
    const refused = replicas.find(({ pod }) => pod === late.name);
    assert.deepEqual([refused?.reason, refused?.ready], ['LostTail', false], refused?.message);
    assert.match(refused?.message ?? '', /hci-b started again with .*Reseed r3/);
    await onlyServe(stage, [r1.name, r2.name]);
    await insertAt(bench.b.db, 3);
    const others = await judge(bench, bench.b, { replicas: [r1, r2] });
    assert.deepEqual(
      others.flatMap(({ findings }) => findings),
      [],
    );
    const link = await slaveStatus(late.db);
    assert.deepEqual([link?.['Master_Host'], link?.['Slave_IO_Running']], [bench.a.address, 'No']);
    await untouched();
  } finally {
    await stage.close();
  }
}

/** It receives, and applies nothing of what is written from now on. */
async function standsStill({ bench }: Stage, late: Replica): Promise<void> {
  await late.db.sql(`STOP SLAVE; CHANGE MASTER TO MASTER_DELAY=${DELAY_SECONDS}; START SLAVE`);
  const { a, b } = bench;
  await insertAt(a.db, 2);
  await bench.follows(b.db, a.db);
}

/** What b applies last is cut off its binlog while it is down; its engine keeps the rows. */
async function leavesHole(stage: Stage, replicas: readonly Replica[], seen: boolean): Promise<void> {
  const { bench } = stage;
  const { a, b, op } = bench;
  const heal = seen ? async () => Promise.resolve() : await op.drop({ direction: 'in', peer: b.address });
  if (!seen) await isGone(stage);
  const lose = await WITHOUT_ROWS.from(b.db);
  await insertAt(a.db, LOST);
  await bench.follows(b.db, a.db);
  await allReached(bench, replicas, a.db);
  const { state } = await b.db.row('SELECT @@gtid_binlog_state AS state');
  // Positions alone are written every 30 s.
  if (seen) {
    await stage.statusIs(
      'mxr has seen b with all of it',
      ({ source }) => source.members.some(({ name, binlogState }) => name === b.name && binlogState === state),
      60_000,
    );
  }
  // As it does each second by itself: else the last of them is rolled back, which no binlog confirms.
  await b.db.sql('FLUSH LOCAL ENGINE LOGS');
  await b.kill9();
  await lose();
  await isGone(stage);
  await stage.operator.kill9();
  await heal();
}

async function isGone(stage: Stage): Promise<void> {
  const { b } = stage.bench;
  await stage.statusIs('b is not reachable', ({ source }) =>
    source.members.some(({ name, reachable }) => name === b.name && !reachable),
  );
}

/** Before mxr can look at it again b has applied more: its rows are all there, and its position says nothing. */
async function startsAgain(stage: Stage, replicas: readonly Replica[]): Promise<void> {
  const { bench } = stage;
  const { a, b } = bench;
  await b.db.start();
  await insertAt(a.db, 3);
  await bench.follows(b.db, a.db);
  await allReached(bench, replicas, a.db);
  assert.deepEqual(await compareTables(a.db, b.db), [], 'b has every row');
  const ends = await Promise.all(
    [a, b].map(async ({ db }) => (await db.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid']),
  );
  assert.equal(ends[1], ends[0], 'and shows the same end');
  const logged = await Promise.all([a, b].map(async ({ db }) => transactionsIn(db)));
  assert.equal((logged[0] ?? 0) - (logged[1] ?? 0), LOST, 'its binlog lacks what was cut off');

  await stage.startOperator();

  const { startedAt } = await b.db.row(
    'SELECT UNIX_TIMESTAMP() - VARIABLE_VALUE AS startedAt FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = "UPTIME"',
  );
  await stage.statusIs('the new life of b is known, and every replica follows', ({ source, following, holder }) => {
    const told = source.members.find(({ name }) => name === b.name);
    const isNew = Math.abs(Date.parse(told?.identity?.startedAt ?? '') / 1000 - Number(startedAt)) < 2;
    return isNew && told?.inQuestion !== true && following === '3/3' && holder === a.name;
  });
}

/** How many transactions a server has in its binlog. */
async function transactionsIn(db: Replica['db']): Promise<number> {
  let count = 0;
  for (const { Log_name: file } of await db.sql('SHOW BINARY LOGS')) {
    const events = await db.sql(`SHOW BINLOG EVENTS IN '${file}'`);
    count += events.filter(({ Event_type: type }) => type === 'Gtid').length;
  }
  return count;
}
