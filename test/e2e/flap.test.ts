import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import type { Member } from '../support/member.ts';
import { Writer } from '../support/writer.ts';
import { Stage } from './support/stage.ts';

const FULL = process.env['MXR_FULL'] === '1';
let stage: Stage;

before(async () => {
  stage = await Stage.open({ bench: { pair: 'dual' } });
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

test('four quick moves: the replicas end where the VIP ends, nothing lost or doubled', async () => {
  await flap(4);
});

test('three quick moves: they end on the other member', { skip: !FULL }, async () => {
  await flap(3);
});

/** Each member follows the other all the time, so a move needs nothing but keepalived. */
async function flap(moves: number): Promise<void> {
  const { bench } = stage;
  const begun = performance.now();
  let [holder] = await bench.whoHoldsVip();
  assert.notEqual(holder, undefined);
  await stage.following(holder?.name ?? '');
  const writer = new Writer(bench);
  await writer.writes(50);

  for (let move = 0; move < moves; move += 1) holder = await moveFrom(holder ?? bench.a);

  await writer.writes(100, holder?.name);
  console.log(`${moves} moves in ${Math.round(performance.now() - begun)} ms`);
  await writer.stop();
  await stage.following(holder?.name ?? '', 60_000);
  await assertRight(bench, holder ?? bench.a);
}

async function moveFrom(holder: Member): Promise<Member> {
  const { bench } = stage;
  const next = bench.other(holder);
  await holder.planned();
  await bench.holderIs(next);
  await holder.keepalived.start();
  return next;
}
