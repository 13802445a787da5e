import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { movesUnderWrites } from './support/moves.ts';
import { insertAt } from './support/refusal.ts';
import { Stage } from './support/stage.ts';

// One member only answers behind the VIP: the firewall lets mxr reach the other one directly, and not this one.
let stage: Stage;

before(async () => {
  stage = await Stage.open();
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

test('the holder can no longer be asked directly: behind the VIP it is still who it was, and everything goes on', async () => {
  const { bench } = stage;
  const { a } = bench;
  await stage.following(a.name);
  await bench.op.drop({ direction: 'out', peer: a.address });
  const cut = await stage.statusIs('it is said to be unreachable', ({ source }) =>
    source.members.some(({ name, reachable }) => name === a.name && !reachable),
  );
  await insertAt(bench.a.db, 5);
  const status = await stage.following(a.name);
  assert.deepEqual([cut.holder, status.source.situation], [a.name, 'Stable']);
  const moved = status.handovers.filter(({ trigger }) => trigger === 'VipMoved');
  assert.deepEqual(moved, [], 'at most receiving was stopped and went on');
  await assertRight(bench, a);
});

test('the VIP leaves it by a planned move', async () => {
  const { a, b } = stage.bench;
  await movesUnderWrites(stage, { from: a, to: b, fault: async () => a.planned() });
  await stage.bench.rejoin(a, 'keep');
});

test('kill -9 of the other one: the VIP is on the member that only answers there, and that is enough', async () => {
  const { a, b } = stage.bench;
  await movesUnderWrites(stage, { from: b, to: a, pause: true, fault: async () => b.kill9() });
});
