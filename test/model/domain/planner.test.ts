import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import fc from 'fast-check';
import { anyHistory } from '../../support/simulate/arbitrary.ts';
import type { History, Run } from '../../support/simulate/history.ts';
import { live, verdicts } from '../../support/simulate/history.ts';
import { legalHistory } from '../../support/simulate/legal.ts';

/**
 * The whole operator (passes, proofs, plans, executor, status) over simulated servers that accept exactly what MariaDB
 * accepts, also what is wrong: a bad plan really loses or doubles rows here. To see one again: MXR_MODEL_SEED.
 */
mock.timers.enable({ apis: ['setTimeout'] });

const FULL = process.env['MXR_FULL'] === '1';
const RUNS = Number(process.env['MXR_MODEL_RUNS'] ?? (FULL ? 3000 : 300));
/** `npm test` shows that what was found stays found, so it is the same each time; `npm run test:full` explores. */
const SEED = process.env['MXR_MODEL_SEED'] ?? (FULL ? undefined : '20260301');

test('whatever happens, no plan breaks an invariant, and every verdict is true of the rows', async () => {
  await check(anyHistory, async (run) => [...new Set(await verdicts(run))]);
});

test('where nothing is lost and nobody makes a mistake, every replica follows in the end', async () => {
  await check(legalHistory, async (run) => {
    const wrong = await verdicts(run);
    const decisions = run.operator.runtime.picture?.decisions ?? [];
    const others = decisions.filter(({ verdict }) => verdict !== 'Following');
    return [...new Set(wrong), ...others.map((one) => `${one.pod} ${one.verdict}/${one.reason}: ${one.message}`)];
  });
});

test('the same where gaps are filled', async () => {
  const filled = anyHistory.map((history): History => ({ ...history, onGap: 'Fill' }));
  let fills = 0;
  await check(filled, async (run) => {
    const wrong = await verdicts(run);
    if (run.cluster.trace.some((line) => line.includes('UNTIL'))) fills += 1;
    return [...new Set(wrong)];
  });
  assert.ok(fills > 0, 'no history had a gap that was filled');
});

async function check(histories: fc.Arbitrary<History>, judge: (run: Run) => Promise<string[]>): Promise<void> {
  await fc.assert(
    fc.asyncProperty(histories, async (history) => {
      const run = await live(history);
      assert.deepEqual(await judge(run), [], `\n${run.cluster.trace.slice(-80).join('\n')}`);
    }),
    { numRuns: RUNS, ...(SEED === undefined ? {} : { seed: Number(SEED) }) },
  );
}
