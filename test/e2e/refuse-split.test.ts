import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight, judge } from '../support/judge.ts';
import { until } from '../support/wait.ts';
import { begin } from './support/begin.ts';
import { approvalAsked, insertAt, remember } from './support/refusal.ts';
import {
  allFrozen,
  healed,
  nobodyReceives,
  ownFrom,
  ownListed,
  seesVipAt,
  split,
  wroteOnOneSide,
} from './support/split.ts';
import type { Stage } from './support/stage.ts';

let stage: Stage;

before(async () => {
  stage = await begin();
});
after(async () => stage.close());

test('a split that wrote on one side only: frozen while it lasts, resumed by proof', async () => {
  await wroteOnOneSide(stage);
});

test('a split that wrote on both sides: frozen until a person approves, also by another process', async () => {
  const { bench } = stage;
  await bench.rejoin(bench.b, 'keep');
  await stage.following('hci-a');
  // Before both announce it: seen on hci-b for a moment, it would be followed there.
  await seesVipAt(bench, bench.a);
  const ofB = await ownFrom(bench.b);
  await split(stage.bench);
  await stage.statusIs('the VIP is seen on hci-a', ({ holder }) => holder === 'hci-a');
  await until('a member that writes without the VIP freezes every replica', async () => {
    await insertAt(bench.b.db, 1);
    return allFrozen(await stage.status());
  });
  const dirty = (await bench.b.db.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'] ?? '';
  assert.equal((await stage.status()).source.situation, 'SplitBrain');
  await nobodyReceives(bench);
  const untouched = await remember(bench.replicas);
  const ofA = await ownFrom(bench.a);
  await insertAt(bench.a.db, 3);

  await healed(stage.bench);
  await seesVipAt(bench, null);
  await bench.holderIs(bench.a);
  await stage.operator.kill9();
  await stage.startOperator();
  const id = await approvalAsked(stage);
  const { source } = await stage.status();
  const own = (await bench.a.db.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'] ?? '';
  assert.ok(source.message.includes(`hci-b wrote up to ${dirty}`), source.message);
  assert.ok(source.message.includes(`hci-a itself wrote up to ${own}`), source.message);
  await ownListed(
    stage,
    new Map([
      [bench.a, await ofA()],
      [bench.b, await ofB()],
    ]),
  );
  await stage.annotate({ 'mxr.dev/approve': 'split-of-another-day' });
  await stage.statusIs('the wrong id is noted', ({ approvals }) => approvals.length === 1);
  assert.ok(allFrozen(await stage.status()));
  await untouched();

  await stage.annotate({ 'mxr.dev/approve': id });
  const after = await stage.following('hci-a');
  assert.equal(after.source.split, undefined);
  await assertRight(bench, bench.a);
});

test('the other side is switched off while the split lasts: nobody knows what it wrote, so only a person ends it', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await bench.rejoin(b, 'clone');
  await stage.following(a.name, 60_000);
  await seesVipAt(bench, a);
  await split(stage.bench);
  await until('a member that writes without the VIP freezes every replica', async () => {
    await insertAt(b.db, 1);
    return allFrozen(await stage.status());
  });
  const untouched = await remember(bench.replicas);
  await insertAt(a.db, 3);

  // As people end it, and fencing does.
  await b.powerOff();
  await healed(stage.bench);
  await seesVipAt(bench, null);
  await bench.holderIs(a);
  const id = await approvalAsked(stage);
  const { source } = await stage.status();
  assert.ok(source.message.includes(`${b.name} does not answer, so nobody knows what it wrote`), source.message);
  assert.equal(source.situation, 'SplitBrain');
  await nobodyReceives(bench);
  await untouched();

  await stage.annotate({ 'mxr.dev/approve': id });
  const after = await stage.following(a.name, 60_000);
  assert.equal(after.source.split, undefined);
  await assertRight(bench, a);
});

test('policy.onSplitBrain: Resume: the holder is followed again as soon as it is alone, by every replica that is proven there', async () => {
  const { bench } = stage;
  await bench.rejoin(bench.b, 'clone');
  await stage.patchSpec({ policy: { onSplitBrain: 'Resume' } });
  await stage.following('hci-a', 60_000);
  await seesVipAt(bench, bench.a);
  await split(stage.bench);
  await until('writes on the other side freeze every replica', async () => {
    await insertAt(bench.b.db, 1);
    return allFrozen(await stage.status());
  });
  await insertAt(bench.a.db, 3);
  await healed(stage.bench);
  await seesVipAt(bench, null);
  await bench.holderIs(bench.a);

  const after = await stage.following('hci-a', 60_000);
  assert.equal(after.source.split, undefined);
  const told = await stage.statusIs('what the other side wrote is found', ({ findings }) =>
    findings.some(({ finding, subject }) => finding === 'StandbyOwnWrites' && subject === 'hci-b'),
  );
  assert.equal(told.conditions.find(({ type }) => type === 'FailoverReady')?.status, 'False');
  await assertRight(bench, bench.a);
  await stage.patchSpec({ policy: null });
});

test('a split as it comes: clients write on both sides, and whoever is seen at the VIP, nothing moves', async () => {
  const { bench } = stage;
  await bench.rejoin(bench.b, 'clone');
  await stage.following('hci-a');
  await split(stage.bench);
  const status = await until('writes on both sides freeze every replica', async () => {
    await Promise.all([insertAt(bench.a.db, 1), insertAt(bench.b.db, 1)]);
    const seen = await stage.status();
    return allFrozen(seen) && seen;
  });
  assert.equal(status.source.situation, 'SplitBrain');
  await nobodyReceives(bench);
  const untouched = await remember(bench.replicas);
  await Promise.all([insertAt(bench.a.db, 3), insertAt(bench.b.db, 3)]);
  await healed(stage.bench);
  await bench.holderIs(bench.a);
  const id = await approvalAsked(stage);
  await untouched();
  await stage.annotate({ 'mxr.dev/approve': id });
  // Whom a replica followed when it froze is the network's doing: those that took something from hci-b cannot go on.
  const verdicts = await stage.statusIs(
    'every replica is judged by the ordinary proofs',
    ({ replicas, source: now }) =>
      now.situation !== 'SplitBrain' && replicas.every(({ verdict }) => JUDGED.includes(verdict)),
  );
  const following = bench.replicas.filter((_, index) => verdicts.replicas[index]?.verdict === 'Following');
  const judgements = await judge(bench, bench.a, { replicas: following });
  assert.deepEqual(
    judgements.flatMap(({ findings }) => findings),
    [],
  );
});

const JUDGED = ['Following', 'Ahead', 'Unproven', 'Diverged'];
