import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { newPast } from '../../chaos/field.ts';
import { isLegal } from '../../chaos/legal.ts';
import { FIXED_SEEDS } from '../../chaos/fixed-seeds.ts';
import type { Kind, Plan } from '../../chaos/plan.ts';
import type { Configuration } from '../../chaos/configuration.ts';
import { configurationText } from '../../chaos/configuration.ts';
import { KINDS, drawPlan, faultText } from '../../chaos/plan.ts';

const MANY = 2_000;
const NOT_ON_SHARED: readonly Kind[] = ['drained-kill-holder', 'flap', 'isolate-holder', 'cut-vrrp', 'kill-standby'];
const plans = Array.from({ length: MANY }, (_, seed) => drawPlan(seed));

const HAS: readonly (readonly [name: string, has: (one: Configuration) => boolean, isEverLegal: boolean])[] = [
  ['publishers', ({ publishers }) => publishers, true],
  ['equal server ids', ({ equalIds }) => equalIds, false],
  ['binlog-ignore-db', ({ filter }) => filter === 'binlog-ignore-db', true],
  ['replicate-do-db', ({ filter }) => filter === 'replicate-do-db', false],
  ['replicas newer than the source', ({ versions }) => versions === '10.5/11.8', true],
  ['dual primary', ({ pair }) => pair === 'dual', true],
  ['shared storage', ({ pair }) => pair === 'shared', true],
  ['shared storage that nobody declared', ({ pair, topology }) => pair === 'shared' && topology === 'Auto', true],
  ['clocks an hour apart', ({ clockHours }) => clockHours[0] !== clockHours[1], true],
  ['members whose clocks are apart', ({ hostHours: [a, b] }) => Math.abs(a - b) >= 1, true],
  [
    'publishers with another clock',
    ({ publishers, hostHours }) => publishers && hostHours.some((one) => one !== 0),
    true,
  ],
  ['a replica with another clock', ({ replicaHours }) => replicaHours !== 0, true],
  ['a standby that is declared', ({ topology }) => topology === 'PrimaryStandby', true],
  ['two primaries that are declared', ({ topology }) => topology === 'DualPrimary', true],
  ['different lags', ({ delaySeconds }) => new Set(delaySeconds).size > 2, true],
  ['gaps that are filled', ({ onGap }) => onGap === 'Fill', true],
  ['file and position', ({ positioning }) => positioning === 'FilePosition', false],
  ['links through the VIP', ({ through }) => through === 'VIP', false],
];

/** Until the last heal is due. */
function secondsOf({ faults }: Plan): number {
  let [begins, ends] = [0, 0];
  for (const { gapMs, forMs } of faults) {
    begins += gapMs;
    ends = Math.max(ends, begins + forMs);
  }
  return ends / 1000;
}

describe('the fixed seeds', () => {
  const fixed = FIXED_SEEDS.map(drawPlan);

  it('have every kind of fault and of set-up among them, and legal histories', () => {
    assert.equal(new Set(FIXED_SEEDS).size, 20);
    const drawn = new Set(fixed.flatMap(({ faults }) => faults.map(({ kind }) => kind)));
    assert.deepEqual(
      Object.keys(KINDS).filter((kind) => !drawn.has(kind as Kind)),
      [],
    );
    for (const [name, holds] of HAS)
      assert.ok(
        fixed.some(({ configuration }) => holds(configuration)),
        name,
      );
    assert.ok(fixed.filter((plan) => isLegal(plan, newPast())).length >= 4);
  });

  it('are short', () => {
    const seconds = fixed.reduce((sum, plan) => sum + secondsOf(plan), 0);
    assert.ok(seconds < 120, `${seconds} s of storm`);
  });
});

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
      assert.ok(configuration.publishers || faults.every(({ kind }) => kind !== 'publisher-down'));
      assert.ok(!configuration.equalIds || configuration.logSlaveUpdates.every((on) => !on), 'MariaDB does not start');
      if (pair === 'shared') {
        assert.ok(faults.every(({ kind }) => !NOT_ON_SHARED.includes(kind)));
        assert.ok(!configuration.readOnly && configuration.fall > 1_000, 'the manager alone moves it');
        continue;
      }
      assert.ok(syncBinlog === 0 || faults.every(({ kind }) => kind !== 'lost-tail-holder'));
      assert.ok(standbyLink === 'gtid' || faults.every(({ kind }) => kind !== 'kill-standby'));
      assert.ok(!resetSlaveAll || pair === 'standby');
      assert.ok(faults.every(({ replica }) => replica < configuration.replicas));
    }
  });

  it('draws every kind of set-up, and of each one with a legal history, if it has any', () => {
    const legal = plans.filter((plan) => isLegal(plan, newPast()));
    for (const [name, holds, isEverLegal] of HAS) {
      const drawn = plans.filter(({ configuration }) => holds(configuration)).length;
      assert.ok(drawn > MANY / 100, `${name}: ${drawn} of ${MANY}`);
      assert.equal(
        legal.some(({ configuration }) => holds(configuration)),
        isEverLegal,
        `${name} in a legal history`,
      );
    }
    assert.ok(legal.length > MANY / 5, `${legal.length} legal histories`);
  });
});
