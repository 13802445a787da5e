import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Replica } from '../support/bench.ts';
import { assertRight } from '../support/judge.ts';
import { Writer } from '../support/writer.ts';
import { blockStop } from './support/blocked.ts';
import { Stage } from './support/stage.ts';
import { noteVerdicts } from './support/told.ts';

let stage: Stage;
let r1: Replica;
let writer: Writer;

before(async () => {
  stage = await Stage.open();
  const [first] = stage.bench.replicas;
  assert.ok(first);
  r1 = first;
  await stage.startOperator();
});
after(async () => stage.close());

test('a replica whose STOP SLAVE blocks: the others are adopted, it is told what it waits for, and seen all the time', async () => {
  const { bench } = stage;
  writer = new Writer(bench);
  await writer.writes(50, 'hci-a');
  const release = await blockStop(r1);
  const verdicts = noteVerdicts(stage);

  await stage.createResource();

  await stage.statusIs(
    'r2 and r3 are adopted and follow',
    ({ replicas }) => replicas.length === 3 && replicas.every(({ pod, ready }) => ready === (pod !== 'r1')),
    60_000,
  );
  const blocked = await stage.statusIs(
    'r1 says what did not return',
    ({ replicas }) =>
      replicas.some(({ pod, message }) => pod === 'r1' && /tries stopped: .*could not stop receiving/.test(message)),
    60_000,
  );
  const told = blocked.replicas.find(({ pod }) => pod === 'r1');
  assert.equal(told?.ready, false);
  assert.equal(told.baseline, undefined, 'nothing is proven of it');

  const tries = stage.operator.lines.filter((line) => line.includes('plan stopped at a surprise'));
  assert.ok(tries.length < 10, `it was tried ${tries.length} times`);

  await release();
  await stage.following('hci-a', 60_000);
  const seen = (await verdicts.end()).get('r1') ?? new Set();
  assert.ok(![...seen].some((one) => one.startsWith('Unreachable/Unreachable')), [...seen].join());
  await writer.stop();
  await assertRight(bench, bench.a);
});
