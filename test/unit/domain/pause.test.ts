import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Failures } from '../../../src/domain/pause.ts';
import { failedAgain, paused } from '../../../src/domain/pause.ts';
import type { Plan } from '../../../src/domain/plan.ts';
import { planStopReceiving } from '../../../src/domain/plan.ts';
import { decide } from '../../../src/domain/verdict.ts';

const MOVE: Plan = {
  ...planStopReceiving('r1', 'a'),
  kind: 'Move',
  target: { member: 'b', host: '10.0.0.12', port: 3306, through: 'Member' },
};

function fails(times: number, member = 'b'): Failures {
  let failures: Failures | undefined;
  for (let at = 1; at <= times; at += 1) failures = failedAgain(failures, { member, at, why: `surprise ${at}` });
  assert.ok(failures);
  return failures;
}

function planAfter(failures: Failures, now: number, plan: Plan = MOVE): Plan | null {
  return paused(decide('r1', 'HandingOver', 'HandingOver', 'proven', { plan }), failures, now).plan;
}

test('a first surprise is tried again at once, each further one later, at most every 30 s', () => {
  assert.equal(planAfter(fails(1), 1), MOVE);
  assert.equal(planAfter(fails(2), 2 + 499), null);
  assert.equal(planAfter(fails(2), 2 + 500), MOVE);
  assert.equal(planAfter(fails(3), 3 + 999), null);
  assert.equal(planAfter(fails(40), 40 + 29_999), null);
  assert.equal(planAfter(fails(40), 40 + 30_000), MOVE);
});

test('stopping to receive never waits, nor does a plan towards another member', () => {
  const stop = planStopReceiving('r1', 'a');
  assert.equal(planAfter(fails(9), 9, stop), stop);
  assert.equal(planAfter(fails(9, 'a'), 9), MOVE);
  assert.equal(failedAgain(fails(9, 'a'), { member: 'b', at: 1, why: '' }).times, 1);
});

test('while it waits it is under way still, so that its intent is not forgotten', () => {
  const decision = decide('r1', 'Unproven', 'NotAdopted', 'proven', { plan: MOVE });
  assert.deepEqual(
    [paused(decision, fails(2), 2).verdict, paused(decision, fails(2), 600).verdict],
    ['HandingOver', 'Unproven'],
  );
});

test('it says what it stops at: first and last', () => {
  const decision = decide('r1', 'HandingOver', 'HandingOver', 'proven', { plan: MOVE });
  assert.equal(paused(decision, fails(1), 1).message, 'proven');
  assert.equal(
    paused(decision, fails(3), 3).message,
    'proven; 3 tries stopped: surprise 3 (the first one: surprise 1)',
  );
});
