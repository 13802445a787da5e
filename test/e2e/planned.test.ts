import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { Writer } from '../support/writer.ts';
import { Stage } from './support/stage.ts';

let stage: Stage;

before(async () => {
  stage = await Stage.open();
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

test('a planned move: each replica continues on the new member, nothing lost or doubled', async () => {
  const { bench } = stage;
  await stage.following('hci-a');
  const writer = new Writer(bench);
  await writer.writes(200, 'hci-a');

  await bench.a.planned();

  await bench.holderIs(bench.b);
  await writer.writes(200, 'hci-b');
  await stage.following('hci-b');
  const status = await stage.statusIs('the handover is recorded', ({ handovers }) => handovers[0]?.to === 'hci-b');
  await writer.stop();
  await assertRight(bench, bench.b);
  const [record] = status.handovers;
  assert.equal(record?.outcome, 'Completed');
  assert.equal(record.from, 'hci-a');
  assert.deepEqual(
    record.replicas.map((replica) => replica.proof),
    ['Contained', 'Contained', 'Contained'],
  );
});
