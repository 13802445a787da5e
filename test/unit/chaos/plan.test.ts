import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Kind } from '../../chaos/plan.ts';
import { KINDS, configurationText, drawPlan, faultText } from '../../chaos/plan.ts';

const MANY = 2_000;
const plans = Array.from({ length: MANY }, (_, seed) => drawPlan(seed));

describe('a plan', () => {
  it('is the same for the same seed, and another for the next', () => {
    assert.deepEqual(drawPlan(7), drawPlan(7));
    const texts = plans.map(
      ({ configuration, faults }) => configurationText(configuration) + faults.map(faultText).join(),
    );
    assert.equal(new Set(texts).size, MANY);
  });

  it('has at least three faults, and over the seeds every kind, first and later', () => {
    assert.ok(plans.every(({ faults }) => faults.length >= 3));
    const kinds = Object.keys(KINDS) as Kind[];
    for (const kind of kinds) {
      assert.ok(
        plans.some(({ faults }) => faults[0]?.kind === kind),
        `${kind} never comes first`,
      );
      assert.ok(
        plans.some(({ faults }) => faults.slice(1).some((fault) => fault.kind === kind)),
        `${kind} never comes later`,
      );
    }
  });

  it('asks for nothing that mxr does not have or that the pair breaks by itself', () => {
    for (const { configuration, faults } of plans) {
      const { positioning, through, syncBinlog, standbyLink, resetSlaveAll, pair } = configuration;
      assert.ok(positioning === 'Auto' || through !== 'VIP');
      assert.ok(syncBinlog === 0 || faults.every(({ kind }) => kind !== 'lost-tail-holder'));
      assert.ok(standbyLink === 'gtid' || faults.every(({ kind }) => kind !== 'kill-standby'));
      assert.ok(!resetSlaveAll || pair === 'standby');
      assert.ok(faults.every(({ replica }) => replica < configuration.replicas));
    }
  });
});
