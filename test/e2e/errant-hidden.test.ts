import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MemberStatus } from '../../src/api/status-member.ts';
import type { Status } from '../../src/api/v1alpha1.ts';
import { assertRight, compareTables } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import type { MariaDbServer } from '../support/mariadb.ts';
import { begin, calm } from './support/begin.ts';
import { allReached, insertAt, onlyServe, remember } from './support/refusal.ts';
import type { Stage } from './support/stage.ts';

// While mxr is down the VIP goes to the standby and comes back. Of each server MariaDB shows the highest number only, so what
// the standby wrote before by itself hides behind what it wrote as the holder, and nobody misses it.

/** More than the errant ones: what tells is a number of the other server that is not higher behind them. */
const WRITTEN = 4;
/** What nobody waits for is written every 30 s. */
const WRITTEN_LATE_MS = 90_000;

test('NotPrefix: an errant write that a later number of the same server hides from every replica', async () => {
  const stage = await begin();
  try {
    const { bench } = stage;
    const { a, b } = bench;
    await ready(stage);
    await stage.operator.kill9();
    await insertAt(b.db, 1);
    const errant = await lastOf(b.db);
    assert.match(errant, /^0-2-/);
    await thereAndBack(stage);
    await assertHidden(stage, errant);

    await stage.startOperator();

    await proven(stage);
    const isListed = (status: Status) => {
      const runs = memberOf(status, b.name)?.errant ?? [];
      return runs.length === 1 && runs[0]?.first === errant && runs[0].last === errant;
    };
    await stage.statusIs('the errant write is listed', isListed, WRITTEN_LATE_MS);
    const untouched = await remember(bench.replicas);
    await a.planned();
    await bench.holderIs(b);

    const { replicas, following } = await stage.statusIs('no replica attaches', (status) => {
      const reasons = status.replicas.map(({ reason }) => reason);
      return status.holder === b.name && reasons.every((reason) => reason === 'NotPrefix');
    });
    assert.equal(following, '0/3');
    for (const { verdict, transactions, message, ready: isReady } of replicas) {
      assert.deepEqual([verdict, isReady, transactions?.gtids], ['Unproven', false, [errant]]);
      assert.match(message, new RegExp(`hci-b wrote ${errant} by itself.*reseed`));
    }
    await onlyServe(stage, []);
    await insertAt(b.db, 3);
    await untouched();
  } finally {
    await stage.close();
  }
});

test('nothing errant: what the standby wrote after a clean takeover is held against nobody', async () => {
  const stage = await begin();
  try {
    const { bench } = stage;
    const { a, b } = bench;
    await ready(stage);
    await stage.operator.kill9();
    await thereAndBack(stage);
    const { state = '' } = await b.db.row('SELECT @@gtid_binlog_state AS state');

    await stage.startOperator();

    await proven(stage);
    // The first of its own after a look could have been errant, until its peer has shown that it has it.
    const isSettled = (status: Status) => {
      const seen = memberOf(status, b.name);
      const isNow = state?.split(',').every((gtid) => seen?.binlogState?.split(',').includes(gtid)) === true;
      return isNow && seen?.mixed === undefined && seen?.errant.length === 0;
    };
    await stage.statusIs('its binlog was read, and nothing is left of it', isSettled, WRITTEN_LATE_MS);
    await a.planned();
    await bench.holderIs(b);
    await stage.following(b.name);
    await insertAt(b.db, 3);
    await assertRight(bench, b);
  } finally {
    await stage.close();
  }
});

/** Every replica dials the member a, and one of them keeps no log of what it applies: of that one only its source can tell. */
async function ready(stage: Stage): Promise<void> {
  const { bench } = stage;
  const { a, b } = bench;
  await stage.following(a.name);
  await stage.operator.kill9();
  const last = bench.replicas.at(-1);
  assert.ok(last);
  await last.db.restart({ 'log-slave-updates': false });
  await last.db.sql('START SLAVE');
  await stage.startOperator();
  await calm(stage);
  await bench.follows(b.db, a.db);
}

/** a writes on, the VIP goes to b, which is written to, and back to a. Each follows the other by GTID from where it stands. */
async function thereAndBack({ bench }: Stage): Promise<void> {
  const { a, b } = bench;
  await insertAt(a.db, WRITTEN);
  await bench.follows(b.db, a.db);
  await a.planned();
  await bench.holderIs(b);
  await insertAt(b.db, 2);
  await bench.rejoin(a, 'keep');
  await b.planned();
  await bench.holderIs(a);
  await insertAt(a.db, 2);
  await bench.rejoin(b, 'keep');
  await allReached(bench, bench.replicas, a.db);
}

/** MariaDB is content with it, and logs as mxr takes for granted: the same numbers twice, the errant one first. */
async function assertHidden({ bench }: Stage, errant: string): Promise<void> {
  const { a, b, replicas } = bench;
  const logged = await loggedBy(b.db);
  const same = errant.replace(/^0-2-/, '0-1-');
  assert.deepEqual(logged.slice(logged.indexOf(errant)).slice(0, 2), [errant, same], logged.join());
  assert.ok(!(await loggedBy(a.db)).includes(errant), 'a never got it');
  const end = await lastOf(a.db);
  for (const { name, db } of replicas) {
    const link = await slaveStatus(db);
    assert.deepEqual(
      [link?.['Master_Host'], link?.['Slave_IO_Running'], link?.['Slave_SQL_Running']],
      [a.address, 'Yes', 'Yes'],
      `${name} has been on a all the time`,
    );
    assert.equal((await db.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'], end);
    const missing = (await compareTables(b.db, db)).flatMap((one) => [...one.missing.keys()]);
    assert.equal(missing.length, 1, `${name} lacks one row of b: ${missing.join()}`);
  }
}

/** The order in which a server logged. */
async function loggedBy(db: MariaDbServer): Promise<readonly string[]> {
  const logged: string[] = [];
  for (const { Log_name: file } of await db.sql('SHOW BINARY LOGS')) {
    const events = await db.sql(`SHOW BINLOG EVENTS IN '${file}'`);
    logged.push(...events.flatMap(({ Info: info }) => /GTID (\d+-\d+-\d+)/.exec(info ?? '')?.[1] ?? []));
  }
  return logged;
}

async function lastOf(db: MariaDbServer): Promise<string> {
  return (await db.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'] ?? '';
}

function memberOf({ source }: Status, name: string): MemberStatus | undefined {
  return source.members.find((member) => member.name === name);
}

/** Every replica follows a, and was proven to since mxr is back: what the status says from before counts for nothing. */
async function proven(stage: Stage): Promise<void> {
  const { a } = stage.bench;
  const gtid = await lastOf(a.db);
  await stage.statusIs(
    'every replica follows a, with a baseline of now',
    ({ replicas, following, holder }) =>
      following === '3/3' && holder === a.name && replicas.every(({ baseline }) => baseline?.gtid === gtid),
    WRITTEN_LATE_MS,
  );
}
