// One run, in a sandbox of its own: `one.ts SEED DIRECTORY [always]`. The last line is its result.
import { sandboxDirectory } from '../support/sandbox.ts';
import { drawPlan } from './plan.ts';
import { RESULT_MARK } from './many.ts';
import { runPlan } from './run-plan.ts';

const [seed = '', directory = '', always = ''] = process.argv.slice(2);
if (sandboxDirectory() === undefined) throw new Error('a run lives in a sandbox only: use npm run chaos');
const result = await runPlan(drawPlan(Number(seed)), { directory, always: always === 'always' });
process.stdout.write(`\n${RESULT_MARK}${JSON.stringify(result)}\n`, () => process.exit(0));
