import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Status } from '../../src/api/v1alpha1.ts';
import { assertRight } from '../support/judge.ts';
import type { Member } from '../support/member.ts';
import { condition, movesAmidWrites, movesUnderWrites } from './support/moves.ts';
import { allReached, approvalAsked, insertAt, remember } from './support/refusal.ts';
import {
  assertFrozen,
  bothServe,
  caughtUp,
  cutBetween,
  endedByProof,
  frozenWithinBound,
  oneHolderAgain,
  seesVipAt,
  toAndFro,
  ownFrom,
  ownListed,
} from './support/split.ts';
import { Stage } from './support/stage.ts';
import { noteVerdicts } from './support/told.ts';

// keepalived with preemption: the preferred host takes the VIP back as soon as its database serves again. Each server follows
// the other, neither is ever closed for writes, and they replicate one database only to each other.
const MEMBER_SERVER = {
  'log-slave-updates': 1,
  'sync-binlog': 1,
  // Of a statement the default database decides what is replicated, of a row its own.
  'binlog-format': 'ROW',
  // A link that was cut is seen as broken at once.
  'slave-net-timeout': 2,
} as const;
/** Longer than the loser of an address has to become read-only, and than the detection bound after that. */
const UNREST_MS = 6_000;
/** So long a move of the VIP counts towards two hosts that claim it. */
const LONG_OVER_MS = 10_000;
const APPROVAL = /mxr\.dev\/approve=([\w-]+)/;

let stage: Stage;

before(async () => {
  const [a, b] = [1, 2].map((domain) => ({
    server: { 'gtid-domain-id': domain, 'auto-increment-increment': 2, 'auto-increment-offset': domain },
  }));
  assert.ok(a !== undefined && b !== undefined);
  stage = await Stage.open({
    bench: { pair: 'dual', preempt: true, readOnly: false, server: MEMBER_SERVER, a, b },
    spec: { source: { topology: 'DualPrimary' } },
  });
  // Not before they have copied each other's accounts.
  for (const { db } of stage.bench.members) {
    await db.sql("STOP SLAVE; SET GLOBAL replicate_do_db = 'app'; START SLAVE");
    db.configure({ 'replicate-do-db': 'app' });
  }
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

test('the primary dies, boots, catches up and takes the VIP back by itself: one move each time, by proof', async () => {
  const { a, b } = stage.bench;
  await stage.following(a.name);
  await caughtUp(stage.bench, a);
  const notes = noteVerdicts(stage);
  await a.db.sql('CREATE DATABASE scratch');
  await a.db.sql('CREATE TABLE scratch.t (n INT) ENGINE=InnoDB; INSERT INTO scratch.t VALUES (1), (2)');
  await movesOnce(stage, () => movesUnderWrites(stage, { from: a, to: b, pause: true, fault: async () => a.kill9() }));
  assert.equal((await b.db.sql("SHOW DATABASES LIKE 'scratch'")).length, 0, 'that database is filtered');
  await movesOnce(stage, () => movesUnderWrites(stage, { from: b, to: a, fault: async () => a.db.start() }));
  await assertCalm(stage, a);
  await assertNeverFrozen(notes);
  const { findings } = await stage.status();
  const filters = findings.filter(({ finding }) => finding === 'MemberFilters');
  assert.deepEqual(
    filters.map(({ subject, message }) => [subject, /Replicate_Do_DB=app/.test(message)]),
    [a, b].map(({ name }) => [name, true]),
  );
});

test('an application health script stops keepalived, and starts it again: one move each, by proof', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  const notes = noteVerdicts(stage);
  const [stops, starts] = [() => a.keepalived.stop(), () => preempts(a)];
  await movesOnce(stage, () => movesUnderWrites(stage, { from: a, to: b, pause: true, fault: stops }));
  assert.ok(a.db.running, 'the database had nothing to do with it');
  await movesOnce(stage, () => movesUnderWrites(stage, { from: b, to: a, pause: true, fault: starts }));
  await assertCalm(stage, a);
  await assertNeverFrozen(notes);
});

test('keepalived restarts on the preferred host, neither server is ever read-only: there and back once is no split', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  // Three moves within that time are no flap of a healthy pair.
  await stage.statusIs('the move before is long over', ({ handovers: [last] }) => {
    return last?.finishedAt !== undefined && Date.now() - Date.parse(last.finishedAt) > LONG_OVER_MS;
  });
  const notes = noteVerdicts(stage);
  await a.keepalived.stop();
  await bench.holderIs(b);
  await stage.statusIs('it is seen there', ({ holder }) => holder === b.name);
  await preempts(a);
  await stage.following(a.name);
  await delay(UNREST_MS);
  await assertNeverFrozen(notes);
  await caughtUp(bench, a);
  await assertCalm(stage, a);
});

test('the script flaps three times: the replicas end where the VIP ends, nothing lost or doubled', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  const flaps = [
    { holder: b, move: () => a.keepalived.stop() },
    { holder: a, move: () => preempts(a) },
    { holder: b, move: () => a.keepalived.stop() },
  ];
  for (const { holder, move } of flaps) {
    await move();
    await bench.holderIs(holder);
    await insertAt(holder.db, 3);
    await bench.follows(bench.other(holder).db, holder.db);
  }
  await stage.following(b.name, 60_000);
  await allReached(bench, bench.replicas, b.db);
  await assertCalm(stage, b);

  await preempts(a);
  await stage.following(a.name, 60_000);
  await caughtUp(bench, a);
  await assertCalm(stage, a);
});

test('the host dies amid writes: what only it has written is kept until it is back with the VIP', async () => {
  const { a, b } = stage.bench;
  const notes = noteVerdicts(stage);
  // Rows that both change without having met end different on the members themselves.
  await movesAmidWrites(stage, { from: a, to: b, mix: 'equal', fault: async () => a.powerOff() });
  await a.powerOn();
  await stage.bench.holderIs(a);
  await stage.following(a.name, 60_000);
  await insertAt(a.db, 3);
  await allReached(stage.bench, stage.bench.replicas, a.db);
  await assertCalm(stage, a);
  await assertNeverFrozen(notes);
});

test('it takes the VIP back without what the other one wrote: every replica is Ahead until it has that', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  const notes = noteVerdicts(stage);
  await takenBackBehind(stage);
  const status = await stage.status();
  assert.equal(condition(status, 'ReplicasIntact'), 'False/Ahead');
  for (const { ready, transactions } of status.replicas) {
    assert.equal(ready, false);
    assert.notEqual(transactions?.gtids.length ?? 0, 0, 'what the holder lacks is listed');
  }
  const untouched = await remember(bench.replicas);
  await untouched();

  await a.db.sql('START SLAVE');
  await bench.follows(a.db, b.db);
  await stage.following(a.name, 60_000);
  await insertAt(a.db, 3);
  await allReached(bench, bench.replicas, a.db);
  await assertCalm(stage, a);
  await assertNeverFrozen(notes);
});

test('it is written to before it has that: nothing is missing, and a person who compared the rows lets the replicas go on', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await caughtUp(bench, a);
  const notes = noteVerdicts(stage);
  await takenBackBehind(stage);
  await insertAt(a.db, 3);
  await a.db.sql('START SLAVE');
  await bench.follows(a.db, b.db);
  await insertAt(a.db, 3);
  const status = await stage.statusIs(
    'the order of the two domains differs for every replica',
    ({ replicas }) => replicas.every(({ reason, message }) => reason === 'OrderDiffers' && APPROVAL.test(message)),
    60_000,
  );
  assert.equal(condition(status, 'ReplicasIntact'), 'False/Unproven');
  const untouched = await remember(bench.replicas);
  await insertAt(a.db, 1);
  await untouched();

  const ids = new Set(status.replicas.map(({ message }) => APPROVAL.exec(message)?.[1] ?? ''));
  for (const id of ids) {
    await stage.annotate({ 'mxr.dev/approve': id });
    await stage.statusIs('the approval is recorded', ({ approvals }) => approvals.some((one) => one.id === id));
  }
  await stage.following(a.name, 60_000);
  await insertAt(a.db, 3);
  await allReached(bench, bench.replicas, a.db);
  await assertCalm(stage, a);
  await assertNeverFrozen(notes);
});

test('both hold the VIP, and each still takes in what the other writes: frozen, reads go on, ended by proof', async (t) => {
  const { bench } = stage;
  const { a, b } = bench;
  await caughtUp(bench, a);
  await seesVipAt(bench, a);
  await Promise.all([a.cutVrrp(), b.cutVrrp()]);
  await bothServe(bench);
  const status = await frozenWithinBound(t, stage, () => toAndFro(bench));
  await assertFrozen(stage, status);
  const untouched = await remember(bench.replicas);
  await insertAt(a.db, 3);
  await untouched();

  await oneHolderAgain(bench, a, async () => Promise.all([a.healVrrp(), b.healVrrp()]));
  await endedByProof(stage, a, 60_000, status.approvals);
  await assertCalm(stage, a);
});

test('both hold the VIP and write, and neither sees the other: frozen until a person approves, which is recorded', async (t) => {
  const { bench } = stage;
  const { a, b } = bench;
  await caughtUp(bench, a);
  await seesVipAt(bench, a);
  const ofB = await ownFrom(b);
  const heal = await cutBetween(bench);
  await bothServe(bench);
  const status = await frozenWithinBound(t, stage, () => Promise.all([insertAt(a.db, 1), insertAt(b.db, 1)]));
  await assertFrozen(stage, status);
  const dirty = (await b.db.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'] ?? '';
  const untouched = await remember(bench.replicas);
  await insertAt(a.db, 3);

  // The hosts hear each other again while their replication waits for its next try.
  for (const { db } of [a, b]) await db.sql('STOP SLAVE');
  await oneHolderAgain(bench, a, heal);
  const id = await approvalAsked(stage);
  const { source } = await stage.status();
  const own = new Map([[b, await ofB()]]);
  await ownListed(stage, own);
  assert.ok(dirty.split(',').includes(own.get(b)?.at(-1) ?? ''), dirty);
  const ofA = source.members.find(({ name }) => name === a.name)?.ownTransactions;
  assert.notEqual(ofA?.gtids.length ?? 0, 0, 'the side that holds the VIP lists its own too');
  await untouched();

  await stage.annotate({ 'mxr.dev/approve': id });
  const after = await stage.following(a.name, 60_000);
  assert.equal(after.source.split, undefined);
  assert.deepEqual(
    after.approvals.map(({ id: approved, via }) => [approved, via]),
    [...status.approvals.map((one) => [one.id, one.via]), [id, 'annotation']],
  );
  for (const { db } of [a, b]) await db.sql('START SLAVE');
  await caughtUp(bench, a);
  await assertCalm(stage, a);
});

/** The old primary boots and takes the VIP back, and does not replicate yet. */
async function takenBackBehind(stage: Stage): Promise<void> {
  const { a, b } = stage.bench;
  a.db.configure({ 'skip-slave-start': 1 });
  await movesUnderWrites(stage, { from: a, to: b, pause: true, fault: async () => a.kill9() });
  await a.db.start();
  await stage.bench.holderIs(a);
  await stage.statusIs(
    'every replica has more than the holder',
    ({ holder, replicas }) => holder === a.name && replicas.every(({ verdict }) => verdict === 'Ahead'),
    60_000,
  );
}

/** With keepalived back, the preferred host takes the VIP from the other one. */
async function preempts(member: Member): Promise<void> {
  await member.keepalived.start();
  await stage.bench.holderIs(member);
}

/** One record more than before. */
async function movesOnce(stage: Stage, move: () => Promise<Status>): Promise<void> {
  const before = (await stage.status()).handovers[0]?.id;
  const { handovers } = await move();
  assert.equal(
    handovers.findIndex(({ id }) => id === before),
    1,
    'one move of the VIP is one handover',
  );
}

async function assertCalm(stage: Stage, holder: Member): Promise<void> {
  await assertRight(stage.bench, holder);
  const status = await stage.following(holder.name);
  assert.equal(status.source.situation, 'Stable');
  assert.equal(status.source.split, undefined);
}

/** What a healthy pair does is no split, not even for a moment. */
async function assertNeverFrozen(notes: ReturnType<typeof noteVerdicts>): Promise<void> {
  const told = [...(await notes.end())].map(([pod, verdicts]) => `${pod} ${[...verdicts].join()}`);
  assert.equal(told.length, stage.bench.replicas.length);
  for (const verdicts of told) assert.doesNotMatch(verdicts, /Frozen/);
}
