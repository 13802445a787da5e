import assert from 'node:assert/strict';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { FIXED_SEEDS } from './fixed-seeds.ts';
import { runMany } from './many.ts';
import type { RunResult } from './run-plan.ts';
import { isFailed } from './run-plan.ts';
import { again, endedText, failureOf, rowOf, totalsText } from './table.ts';

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
  const rows = results.map(rowOf);
  for (const { seed, configuration, faults, made, unmade, ended } of rows) {
    const count = `${made} made${unmade.length === 0 ? '' : `, not ${unmade.join(', ')}`}`;
    console.log(`${seed}: ${configuration}: ${faults.join('; ')} (${count}): ${endedText(ended)}`);
  }
  console.log(totalsText(rows));
  for (const { seed } of results.filter(isFailed)) console.log(`again: ${again(seed)}`);
  assert.deepEqual(
    results.filter(isFailed).map(({ seed, ended, broken, kept }) => ({ again: again(seed), ended, broken, kept })),
    [],
  );
  assert.equal(results.length, RUNS);
  assert.equal(failureOf(rows, FLOOR), '');
});
