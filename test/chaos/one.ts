// Runs, one after another, in a sandbox of their own: `one.ts DIRECTORY [always]`. Each line of the input is a seed, and
// is answered by a line with its result.
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { StandingGround } from '../e2e/support/ground.ts';
import { sandboxDirectory } from '../support/sandbox.ts';
import { OWN, absentOf, versionPairOf } from '../support/versions.ts';
import type { Plan } from './plan.ts';
import { drawPlan } from './plan.ts';
import type { RunResult } from './run-plan.ts';
import { isSpoiled, runPlan } from './run-plan.ts';
import { RESULT_MARK } from './worker.ts';

const [directory = '', always = ''] = process.argv.slice(2);
if (sandboxDirectory() === undefined) throw new Error('a run lives in a sandbox only: use npm run chaos');
const ground = StandingGround.lay();
// Whoever runs on it says why there is none.
ground.catch(() => undefined);
for await (const line of createInterface({ input: process.stdin })) {
  const seed = Number(line);
  const result = await runPlan(ground, await possibleHere(drawPlan(seed)), {
    directory: join(directory, `seed-${seed}`),
    always: always === 'always',
  });
  await say(result);
  // What went wrong there shall explain nothing of the next run.
  if (isSpoiled(result)) break;
}
process.exit(0);

/** Where a version of MariaDB cannot be had, the run is made with the one that is here, and says so. */
async function possibleHere(plan: Plan): Promise<Plan> {
  const isAbsent = (await absentOf(versionPairOf(plan.configuration.versions))) !== false;
  return isAbsent ? { ...plan, configuration: { ...plan.configuration, versions: OWN } } : plan;
}

function say(result: RunResult): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.write(`\n${RESULT_MARK}${JSON.stringify(result)}\n`, () => resolve());
  });
}
