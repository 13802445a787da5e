import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Status } from '../../src/api/v1alpha1.ts';
import type { Replica } from '../support/bench.ts';
import { assertRight } from '../support/judge.ts';
import { ownPosition, slaveStatus } from '../support/link.ts';
import { openSession } from '../support/mariadb-sql.ts';
import type { Member } from '../support/member.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { begin } from './support/begin.ts';
import { assertRecorded, condition } from './support/moves.ts';
import { allReached, approvalAsked, insertAt, purge, remember } from './support/refusal.ts';
import {
  allFrozen,
  assertFrozen,
  bothServe,
  caughtUp,
  cutBetween,
  endedByProof,
  frozenByTwoHolders,
  linkIsBroken,
  nobodyReceives,
  oneHolderAgain,
  seesVipAt,
  ownFrom,
  ownListed,
} from './support/split.ts';
import { NAME, NAMESPACE } from './support/stage.ts';
import type { Stage } from './support/stage.ts';

// A remote site: keepalived with nopreempt and long adverts, so the VIP is silent for long when a host dies; each server follows
// the other, and the notify scripts open and close them. Both sides can be active when they do not see each other.
/** 40 as such sites have it: then the VIP is silent for minutes, and so is the test. */
const ADVERT_SECONDS = process.env['MXR_FULL'] === '1' ? 40 : 5;
/** Three adverts and what the priority makes of a fourth, without the time since the last one. */
const SILENCE_MS = 2 * ADVERT_SECONDS * 1000;
/** A move once the VIP answers; the machine is small and has much else to do. */
const MOVE_DEADLINE_MS = 10_000;
/** Whoever reads who approved, and when, thinks in these. */
const MINUTES_MS = 3 * 60_000;
let stage: Stage;

before(async () => {
  const [a, b] = [1, 2].map((site) => ({
    server: { 'gtid-domain-id': site, 'auto-increment-increment': 2, 'auto-increment-offset': site },
  }));
  assert.ok(a !== undefined && b !== undefined);
  // A link that was cut is seen as broken at once.
  const server = { 'log-slave-updates': 1, 'sync-binlog': 1, 'slave-net-timeout': 2 };
  stage = await begin({
    bench: { pair: 'dual', advertSeconds: ADVERT_SECONDS, server, a, b },
    spec: { source: { topology: 'DualPrimary' } },
  });
});
after(async () => stage.close());

test('the power of the holder fails: drained and proven while the VIP is silent, moved as soon as it answers', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  const [r1, ...others] = bench.replicas;
  assert.ok(r1 !== undefined);
  await stage.following(a.name);
  await caughtUp(bench, a);
  const before = await stage.status();
  let writer = new Writer(bench);
  await writer.writes(50, a.name);
  // A backup runs on r1, which receives meanwhile and does not apply.
  const backup = await openSession({ name: r1.name, user: 'root', socketPath: r1.db.socket });
  await backup.sql('LOCK TABLES app.plain READ, app.auto READ, app.hot READ, app.firsts READ');
  await writer.writes(100, a.name);
  await writer.stop();
  await bench.follows(b.db, a.db);
  await allReached(bench, others, a.db);
  const { position } = await ownPosition(a.db);
  const placesOf = async ({ db }: Replica): Promise<readonly unknown[]> => {
    const link = await slaveStatus(db);
    return [link?.['Slave_SQL_Running'], Number(link?.['Read_Master_Log_Pos']), Number(link?.['Exec_Master_Log_Pos'])];
  };
  await until('r1 has received everything', async () => (await placesOf(r1))[1] === position);
  const starts = bench.replicas.map(({ db }) => db.pid);

  await a.powerOff();
  const dark = performance.now();
  const silent = await stage.statusIs(
    'the VIP is silent and every replica waits',
    ({ source, replicas }) =>
      source.situation === 'VipSilent' && replicas.every(({ verdict }) => verdict === 'Waiting'),
  );
  assert.equal(condition(silent, 'SourceAvailable'), 'False/VipSilent');
  await nobodyReceives(bench);
  for (const other of others) assert.deepEqual(await placesOf(other), ['Yes', position, position], other.name);
  const [threads, received, applied] = await placesOf(r1);
  assert.deepEqual([threads, received], ['Yes', position], 'it goes on applying, and keeps what it received');
  assert.notEqual(applied, position);
  backup.close();
  await until('r1 has drained', async () => (await placesOf(r1))[2] === position);
  assert.deepEqual(await bench.whoHoldsVip(), [], 'the VIP was silent for longer than that took');
  assert.ok(
    (await stage.status()).replicas.every(({ serving }) => serving),
    'reads go on',
  );

  writer = new Writer(bench);
  await bench.holderIs(b);
  const silentMs = performance.now() - dark;
  await writer.writes(150, b.name, bench.holderDeadlineMs);
  const status = await stage.statusIs('every replica follows the other site', followed(b, before));
  await writer.stop();
  assert.ok(silentMs > SILENCE_MS, `the VIP was silent for ${Math.round(silentMs)} ms only`);
  assertRecorded(status, a, b);
  assertShort(status);
  assert.deepEqual(
    bench.replicas.map(({ db }) => db.pid),
    starts,
    'no database was restarted',
  );
  await assertRight(bench, b);
});

test('the old holder comes back as the other side, and a planned move leads back to it', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await a.powerOn();
  await caughtUp(bench, b);
  const before = await stage.following(b.name);
  const writer = new Writer(bench);
  await writer.writes(50, b.name);
  await b.planned();
  await bench.holderIs(a);
  await writer.writes(50, a.name, bench.holderDeadlineMs);
  const status = await stage.statusIs('every replica follows the first site', followed(a, before));
  await writer.stop();
  assertRecorded(status, b, a);
  assertShort(status);
  await b.keepalived.start();
  await assertRight(bench, a);
});

test('both sides active, one of them wrote: frozen, ended by proof', async () => {
  const { bench } = stage;
  const { a } = bench;
  await caughtUp(bench, a);
  await seesVipAt(bench, a);
  const heal = await cutBetween(bench);
  await bothServe(bench, bench.holderDeadlineMs);
  const status = await frozenByTwoHolders(stage);
  await assertFrozen(stage, status);
  const untouched = await remember(bench.replicas);
  await insertAt(a.db, 3);
  await untouched();

  await oneHolderAgain(bench, a, heal);
  await endedByProof(stage, a, bench.holderDeadlineMs);
  await caughtUp(bench, a);
  await assertRight(bench, a);
});

test('dirty data on the other side: frozen, each side lists its own, a person ends it', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await caughtUp(bench, a);
  await seesVipAt(bench, a);
  const heal = await cutBetween(bench);
  await bothServe(bench, bench.holderDeadlineMs);
  for (const { db } of [a, b]) await linkIsBroken(db);
  const ofB = await ownFrom(b);
  const status = await until('what the other side writes freezes every replica', async () => {
    await insertAt(b.db, 1);
    const seen = await stage.status();
    return allFrozen(seen) && seen;
  });
  await assertFrozen(stage, status);
  const untouched = await remember(bench.replicas);
  const ofA = await ownFrom(a);
  await insertAt(a.db, 3);
  const own = async () =>
    new Map([
      [a, await ofA()],
      [b, await ofB()],
    ]);
  await ownListed(stage, await own());
  assert.equal((await stage.status()).source.split?.endedAt, undefined, 'while it lasts');

  // The hosts hear each other again; what they wrote is not exchanged before a person has looked at it.
  for (const { db } of [a, b]) await db.sql('STOP SLAVE');
  await oneHolderAgain(bench, a, heal);
  const id = await approvalAsked(stage);
  const { source } = await stage.status();
  await ownListed(stage, await own());
  assert.match(source.message, new RegExp(`${b.name} wrote up to 2-2-\\d+, which ${a.name} lacks`));
  await untouched();

  const person = 'dba';
  const annotation = [`mxr.dev/approve=${id}`, '--overwrite', `--field-manager=${person}`];
  await stage.api.kubectl(['annotate', 'mxr', NAME, '--namespace', NAMESPACE, ...annotation]);
  const after = await stage.following(a.name, bench.holderDeadlineMs);
  assert.equal(after.source.split, undefined);
  const [approval] = after.approvals;
  assert.deepEqual([approval?.id, approval?.by, approval?.via], [id, person, 'annotation']);
  const agoMs = Date.now() - Date.parse(approval?.at ?? '');
  assert.ok(Math.abs(agoMs) < MINUTES_MS, `approved at ${approval?.at}, ${agoMs} ms ago`);
  for (const { db } of [a, b]) await db.sql('START SLAVE');
  await caughtUp(bench, a);
  await assertRight(bench, a);
});

test('a replica that was off until what it needs was purged on both sides is Purged; the others go on', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  const [r1, r2, r3] = bench.replicas;
  assert.ok(r1 && r2 && r3);
  await stage.following(a.name);
  await r3.db.stop();
  await insertAt(a.db, 5);
  await bench.follows(b.db, a.db);
  await allReached(bench, [r1, r2], a.db);
  await Promise.all([purge(a.db), purge(b.db)]);
  await r3.db.start();

  const status = await stage.statusIs(
    'r3 needs what was purged, the others follow',
    ({ replicas }) => replicas.map((one) => one.verdict).join() === 'Following,Following,Purged',
  );
  assert.match(status.replicas[2]?.message ?? '', /purged/);
  assert.equal(condition(status, 'ReplicasIntact'), 'False/Purged');
  await insertAt(a.db, 3);
  await allReached(bench, [r1, r2], a.db);
});

test('a standby that was off until what it needs was purged is found: nobody could take over; the replicas go on', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  const [r1, r2] = bench.replicas;
  assert.ok(r1 && r2);
  await bench.follows(b.db, a.db);
  await stage.statusIs('the standby could take over', (status) =>
    condition(status, 'FailoverReady').startsWith('True/'),
  );
  await b.powerOff();
  await insertAt(a.db, 5);
  await allReached(bench, [r1, r2], a.db);
  await purge(a.db);
  await b.powerOn();

  const status = await stage.statusIs('the standby is found to receive nothing', ({ findings }) =>
    findings.some(
      ({ finding, subject, message }) =>
        finding === 'StandbyNotApplying' && subject === b.name && /does not receive.* 1236 /.test(message),
    ),
  );
  assert.equal(condition(status, 'FailoverReady'), 'False/StandbyNotApplying');
  assert.equal(status.holder, a.name);
  await insertAt(a.db, 3);
  await allReached(bench, [r1, r2], a.db);
});

function followed({ name }: Member, before: Status): (status: Status) => boolean {
  const count = before.replicas.length;
  return ({ handovers, following, holder }) =>
    handovers[0]?.id !== before.handovers[0]?.id && following === `${count}/${count}` && holder === name;
}

/** From the VIP's first answer on, however long it was silent. */
function assertShort({ handovers: [record] }: Status): void {
  const answered = Date.parse(record?.vipAnsweredAt ?? '');
  const tookMs = Date.parse(record?.finishedAt ?? '') - answered;
  console.log(`moved ${tookMs} ms after the VIP answered; the record says ${record?.durationMs} ms`);
  assert.ok(tookMs < MOVE_DEADLINE_MS, `moved ${tookMs} ms after the VIP answered`);
}
