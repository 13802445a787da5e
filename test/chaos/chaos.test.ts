import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FIXED_SEEDS } from './fixed-seeds.ts';
import { runMany } from './many.ts';
import { configurationText } from './configuration.ts';
import { drawPlan, faultText } from './plan.ts';
import type { RunResult } from './run-plan.ts';
import { isFailed } from './run-plan.ts';
import { rowOf, totalsOf } from './table.ts';

// Fixed seeds of `npm run chaos`, for CI.
const RUNS = FIXED_SEEDS.length;
const WIDTH = 2;
const DEADLINE_MS = 15 * 60_000;
const FLOOR = 40;

test(`${RUNS} storms of drawn faults: every replica is its source's equal, or stopped under a verdict that is true`, async () => {
  const results: RunResult[] = [];
  const directory = mkdtempSync(join(tmpdir(), 'mxr-chaos-'));
  const many = {
    seeds: FIXED_SEEDS,
    width: WIDTH,
    notAfterMs: DEADLINE_MS,
    directory,
    onResult: (one: RunResult) => results.push(one),
  };
  await runMany(many, AbortSignal.timeout(DEADLINE_MS));
  assert.deepEqual(
    results.filter(isFailed).map(({ seed, ended, broken, kept }) => ({ seed, ended, broken, kept })),
    [],
  );
  assert.equal(results.length, RUNS);
  const { following, void: voids } = totalsOf(results.map(rowOf));
  assert.ok(voids <= RUNS / 5, `${voids} runs left nothing to judge`);
  assert.ok(following >= FLOOR, `${following} % of the replicas ended Following`);
  for (const { seed } of results) {
    const { configuration, faults } = drawPlan(seed);
    console.log(`${seed}: ${configurationText(configuration)}: ${faults.map(faultText).join('; ')}`);
  }
});
