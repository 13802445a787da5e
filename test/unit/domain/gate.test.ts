import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Gates } from '../../../src/domain/gate.ts';
import { gate } from '../../../src/domain/gate.ts';
import type { Picture } from '../../../src/domain/judge.ts';
import type { Plan } from '../../../src/domain/plan.ts';
import { planMove, planStopReceiving } from '../../../src/domain/plan.ts';
import { NEW_PAIR } from '../../../src/domain/situation.ts';
import { decide } from '../../../src/domain/verdict.ts';
import { calmPair, NOW, position, state } from './pair-fixture.ts';

const OPEN: Gates = { suspend: false, handover: 'Auto', holdDownMs: 0, approved: new Set() };

function move(pod: string, gtid = '0-1-100'): Plan {
  return planMove({
    pod,
    from: 'a',
    trigger: 'VipMoved',
    positioning: 'GTID',
    received: state(gtid),
    target: { member: 'b', host: '10.0.0.12', port: 3306, through: 'Member' },
    proven: { kind: 'Proven', proof: 'Contained', gtid: position(gtid), at: null, contains: state(gtid), because: 'x' },
  });
}

function picture(plans: readonly Plan[]): Picture {
  const { diagnosis, memory } = calmPair();
  const decisions = plans.map((plan) => decide(plan.pod, 'HandingOver', 'HandingOver', 'proven', { plan }));
  return {
    diagnosis,
    decisions,
    plans,
    questions: [],
    memory,
    pair: { ...NEW_PAIR, holder: 'a', holderSince: NOW - 5000 },
  };
}

function awaiting(plans: readonly Plan[], gates: Partial<Gates> = {}): string | null {
  return gate(picture(plans), { ...OPEN, handover: 'Confirm', ...gates }, NOW).awaiting;
}

test('Auto lets everything through', () => {
  const plans = [move('r0'), planStopReceiving('r1', 'a')];
  assert.deepEqual(gate(picture(plans), OPEN, NOW).plans, plans);
});

describe('Confirm', () => {
  test('holds moves and lets protective steps through', () => {
    const stop = planStopReceiving('r1', 'a');
    const gated = gate(picture([move('r0'), stop]), { ...OPEN, handover: 'Confirm' }, NOW);
    assert.deepEqual(gated.plans, [stop]);
    assert.equal(gated.decisions[0]?.verdict, 'AwaitingApproval');
    assert.ok(gated.decisions[0]?.message.includes(gated.awaiting ?? 'no id'));
  });

  test('an approved id lets exactly that handover through', () => {
    const id = awaiting([move('r0')]);
    assert.ok(id !== null);
    const approved = new Set([id]);
    const gates = { ...OPEN, handover: 'Confirm' as const, approved };
    assert.equal(gate(picture([move('r0')]), gates, NOW).plans.length, 1);
    assert.equal(gate(picture([move('r0', '0-1-101')]), gates, NOW).plans.length, 0, 'another position is another id');
    assert.equal(gate(picture([move('r0'), move('r1')]), gates, NOW).plans.length, 0, 'more replicas are another id');
  });

  test('the order of the replicas is no part of the id', () => {
    assert.equal(awaiting([move('r0'), move('r1')]), awaiting([move('r1'), move('r0')]));
  });
});

describe('hold-down', () => {
  test('delays moves until the holder has been proven for so long', () => {
    const stop = planStopReceiving('r1', 'a');
    const gated = gate(picture([move('r0'), stop]), { ...OPEN, holdDownMs: 10_000 }, NOW);
    assert.deepEqual(gated.plans, [stop]);
    assert.equal(gated.decisions[0]?.reason, 'HoldDown');
    assert.equal(gated.holdDownLeftMs, 5000);
    assert.equal(gate(picture([move('r0')]), { ...OPEN, holdDownMs: 5000 }, NOW).plans.length, 1);
  });
});

for (const gates of [{ suspend: true }, { handover: 'Observe' }] as const) {
  describe(JSON.stringify(gates), () => {
    test('issues nothing, protective steps included, and says what it would do', () => {
      const gated = gate(picture([move('r0'), planStopReceiving('r1', 'a')]), { ...OPEN, ...gates }, NOW);
      assert.deepEqual(gated.plans, []);
      assert.ok(gated.decisions.every(({ plan, reason }) => plan === null && reason === 'ObserveOnly'));
      assert.match(gated.decisions[0]?.message ?? '', /mxr would Capture, Prove, Stop, Change/);
    });

    test('a verdict that says something is wrong stays', () => {
      const bad = { ...picture([]), decisions: [decide('r0', 'Diverged', 'Diverged', 'x')] };
      assert.equal(gate(bad, { ...OPEN, ...gates }, NOW).decisions[0]?.verdict, 'Diverged');
    });
  });
}
