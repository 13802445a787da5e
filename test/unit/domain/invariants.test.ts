import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PlanContext } from '../../../src/domain/invariants.ts';
import { violations } from '../../../src/domain/invariants.ts';
import { factsOf } from '../../../src/domain/context.ts';
import type { Plan } from '../../../src/domain/plan.ts';
import { planAdopt, planApply, planFill, planMove, planResume, planStopReceiving } from '../../../src/domain/plan.ts';
import type { Proven } from '../../../src/domain/proof.ts';
import type { PairChange } from './pair-fixture.ts';
import { calmPair, link, POLICY, position, state } from './pair-fixture.ts';

const PROVEN: Proven = {
  kind: 'Proven',
  proof: 'SameServer',
  gtid: position('0-1-100'),
  at: { file: 'a-bin.000003', position: 900 },
  contains: state('0-1-100'),
  because: 'x',
};
const PARTS = {
  pod: 'orders-0',
  from: 'a',
  trigger: 'Resume',
  positioning: 'GTID',
  received: state('0-1-100'),
  target: { member: 'a', host: '10.0.0.11', port: 3306, through: 'Member' },
  proven: PROVEN,
} as const;

function context(change: PairChange = {}, over: Partial<PlanContext> = {}): PlanContext {
  const { diagnosis, memory, observation } = calmPair(change);
  const [observed] = observation.replicas;
  assert.ok(observed);
  const replica = factsOf({ memory, policy: POLICY, observation }, observed);
  assert.ok(replica);
  return { diagnosis, memory, replica, ...over };
}

function broken(plan: Plan, at: PlanContext = context()): number[] {
  return violations(plan, at).map(({ invariant }) => invariant);
}

test('what mxr plans in calm breaks nothing', () => {
  for (const plan of [planMove(PARTS), planResume(PARTS), planAdopt(PARTS, link()), planApply('orders-0', 'a')]) {
    assert.deepEqual(broken(plan), [], plan.kind);
  }
});

describe('1. no CHANGE while relay log waits that the target is not proven to have', () => {
  const waiting = { sqlState: 'Reading event from the relay log', gtidIoPos: position('0-1-105') };

  test('by GTID a start of both threads deletes the relay log, too', () => {
    const stands = link({ ...waiting, io: 'No', sql: 'No', read: { file: 'a-bin.000003', position: 1400 } });
    const runs = link({ ...waiting, io: 'No', read: { file: 'a-bin.000003', position: 1400 } });
    const contained = { ...PARTS, proven: { ...PROVEN, proof: 'Contained' } } as const;
    assert.deepEqual(broken(planResume(contained), context({ replica: { links: [stands] } })), [1]);
    assert.deepEqual(broken(planResume(contained), context({ replica: { links: [runs] } })), []);
  });

  test('more was received than the holder has', () => {
    assert.deepEqual(
      broken(
        planMove(PARTS),
        context({ replica: { links: [link({ ...waiting, read: { file: 'a-bin.000003', position: 1400 } })] } }),
      ),
      [1],
    );
  });

  test('the holder has all that was received: it will send it again', () => {
    const holder = { gtidBinlogState: state('0-1-105'), gtidBinlogPos: position('0-1-105') };
    assert.deepEqual(broken(planMove(PARTS), context({ a: holder, replica: { links: [link(waiting)] } })), []);
  });

  test('a plan that drains first may be made', () => {
    assert.deepEqual(broken(planAdopt(PARTS, link()), context({ replica: { links: [link(waiting)] } })), []);
  });
});

describe('2. no start without proof, check and verification', () => {
  for (const step of ['Prove', 'VerifyAttached'] as const) {
    test(`a plan without ${step}`, () => {
      const plan = planMove(PARTS);
      assert.deepEqual(broken({ ...plan, steps: plan.steps.filter((one) => one.step !== step) }), [2]);
    });
  }

  test('a plan without a proof', () => assert.deepEqual(broken({ ...planMove(PARTS), proven: null }), [2]));
});

describe('3. coordinates stay on their lineage', () => {
  test('the lineage of the target is in question', () => {
    const at = context();
    const a = at.memory.members.get('a');
    assert.ok(a);
    const members = new Map([...at.memory.members, ['a', { ...a, inQuestion: true }]]);
    assert.deepEqual(broken(planResume(PARTS), { ...at, memory: { ...at.memory, members } }), [3]);
  });

  test('the same server with another history', () => {
    const at = context();
    const a = at.memory.members.get('a');
    assert.ok(a);
    const members = new Map([...at.memory.members, ['a', { ...a, lineage: 'a@later' }]]);
    assert.deepEqual(broken(planResume(PARTS), { ...at, memory: { ...at.memory, members } }), [3]);
  });
});

describe('4. nothing moves while the pair is not clear', () => {
  for (const situation of [
    'SplitBrain',
    'HolderUnknown',
    'VipSilent',
    'HolderReadOnly',
    'HolderStillApplying',
    'HolderRestarted',
    'DatabaseDown',
    'AllDown',
  ] as const) {
    test(situation, () => {
      const at = context();
      const unclear = { ...at, diagnosis: { ...at.diagnosis, situation } };
      assert.deepEqual(broken(planMove(PARTS), unclear), [4]);
      assert.deepEqual(broken(planStopReceiving('orders-0', 'a'), unclear), [], 'protective steps may be done');
    });
  }

  test('a holder that had caught up, and applies again', () => {
    const at = context();
    const moved = { ...at.diagnosis, situation: 'VipMoved', applying: null } as const;
    assert.deepEqual(broken(planMove(PARTS), { ...at, diagnosis: moved }), []);
    const applying = { ...at, diagnosis: { ...moved, applying: 'b still applies' } };
    assert.deepEqual(broken(planMove(PARTS), applying), [4]);
    assert.deepEqual(broken(planStopReceiving('orders-0', 'a'), applying), [], 'protective steps may be done');
  });
});

describe('5. “could not ask” is never “no”', () => {
  test('not everything has answered once', () => {
    const at = context();
    assert.deepEqual(broken(planMove(PARTS), { ...at, diagnosis: { ...at.diagnosis, complete: false } }), [5]);
    assert.deepEqual(
      broken(planStopReceiving('orders-0', 'a'), { ...at, diagnosis: { ...at.diagnosis, complete: false } }),
      [5],
    );
  });

  test('the holder did not answer', () => {
    const at = context();
    assert.deepEqual(broken(planMove(PARTS), { ...at, diagnosis: { ...at.diagnosis, holder: null } }), [5]);
  });
});

describe('a fill', () => {
  const fill = {
    donor: { kind: 'Sibling', pod: 'orders-1' },
    dial: { host: '10.1.0.2', port: 3306 },
    startedAt: 0,
    upTo: position('0-1-100'),
    from: position('0-1-90'),
  } as const;
  const plan = planFill({ ...PARTS, proven: { ...PROVEN, proof: 'Filled', at: null } }, fill);

  test('up to what the holder has breaks nothing', () => assert.deepEqual(broken(plan), []));

  test('1. drops no relay log at all: nothing says that a donor has it', () => {
    const waiting = link({ sqlState: 'Reading event from the relay log', gtidIoPos: position('0-1-105') });
    const holder = { gtidBinlogState: state('0-1-105'), gtidBinlogPos: position('0-1-105') };
    assert.deepEqual(broken(plan, context({ a: holder, replica: { links: [waiting] } })), [1]);
  });

  test('2. has an end, the one that was proven', () => {
    const without = (until: typeof fill.upTo | undefined) => ({
      ...plan,
      steps: plan.steps.map((step) => {
        if (step.step !== 'Start') return step;
        return until === undefined ? { step: step.step, threads: step.threads } : { ...step, until };
      }),
    });
    assert.deepEqual(broken(without(undefined)), [2]);
    assert.deepEqual(broken(without(position('0-1-101'))), [2]);
    const { fill: _, ...unnamed } = plan;
    assert.deepEqual(broken(unnamed), [2]);
  });

  test('2. does not lead beyond what the holder has', () => {
    const beyond = planFill({ ...PARTS, proven: PROVEN }, { ...fill, upTo: position('0-1-101') });
    assert.deepEqual(broken(beyond), [2]);
  });

  test('2. goes by GTID', () => {
    const at = { file: 'a-bin.000003', position: 900 };
    const steps = plan.steps.map((step) =>
      step.step === 'Change' ? { ...step, attach: { by: 'File', at, gtid: PROVEN.gtid } as const } : step,
    );
    assert.deepEqual(broken({ ...plan, steps }), [2]);
  });

  test('10. asks no donor again that has refused', () => {
    const refused = link({ io: 'No', ioErrno: 1236, host: '10.1.0.2' });
    assert.deepEqual(broken(plan, context({ replica: { links: [refused] } })), [10]);
  });
});

test('13. a replica without a baseline is touched by its adoption only', () => {
  const at = context();
  const stranger = { ...at, replica: { ...at.replica, memory: { ...at.replica.memory, baseline: null } } };
  assert.deepEqual(broken(planStopReceiving('orders-0', null), stranger), [13]);
  assert.deepEqual(broken(planAdopt(PARTS, link()), stranger), []);
});
