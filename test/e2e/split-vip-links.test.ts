import { after, before, test } from 'node:test';
import { begin } from './support/begin.ts';
import { wroteOnOneSide } from './support/split.ts';
import type { Stage } from './support/stage.ts';

// A link that dials the VIP ends on whichever host the network takes for its owner, so in a split it must not dial.
let stage: Stage;

before(async () => {
  stage = await begin({ spec: { link: { through: 'VIP' } } });
});
after(async () => stage.close());

test('a split on links through the VIP: they stop receiving, and resume by proof on the member that has it alone', async () => {
  await wroteOnOneSide(stage);
});
