// `npm test`: set-up, then everything that shows that mxr works; ends with one line of totals.
import { writeFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { controlPlane, helm, requireControlPlane } from './support/kube/build.ts';
import { fakeTime } from './support/faketime.ts';
import { ProvisionError, provision } from './support/provision.ts';
import { checksOf, runCheck } from './support/runner/checks.ts';
import { pooled } from './support/runner/command.ts';
import { versionRuns } from './support/runner/on-versions.ts';
import { type Stage, STAGES, filesOf, runFile } from './support/runner/files.ts';
import { type StepOutcome, failedSteps, lastLine, secondTries, stepReport, totals } from './support/runner/outcome.ts';
import { storyTable } from './support/runner/table.ts';
import { enterSandbox } from './support/sandbox.ts';
import { OTHER_VERSIONS, type OtherVersion, VERSIONS, mariaDbVersion, versionPairOf } from './support/versions.ts';

const USAGE = `usage: npm test -- [--full [--table FILE]] [--versions SOURCE/REPLICAS] [path ...]
  path        test files or folders; none: everything
  --full      every story in every mode, the main ones on every pair of versions too, and a search of the model
  --table     writes the table of the stories there, too
  --versions  on the bench the pair runs the one and the replicas the other: each of ${VERSIONS.join(', ')}`;
const CHECK_WIDTH = 2;

const root = dirname(import.meta.dirname);
const { full, table, versions, paths } = readArguments();
const inEveryMode = full || process.env['MXR_FULL'] === '1';
const stages = STAGES.map((stage) => {
  const deadlineMs = (inEveryMode ? stage.fullDeadlineMs : undefined) ?? stage.deadlineMs;
  return { stage: { ...stage, deadlineMs }, files: filesOf(stage, root, paths) };
});
if (paths.length > 0 && stages.every(({ files }) => files.length === 0))
  fail(`no test file matches ${paths.join(' ')}`);
const absent = await setUp();
await enterSandbox();
if (full) process.env['MXR_FULL'] = '1';
if (versions !== undefined) process.env['MXR_VERSIONS'] = versions;

const outcomes: StepOutcome[] = [];
if (paths.length === 0) {
  await pooled(checksOf(root), CHECK_WIDTH, async (check) => report(await runCheck(check, root)));
}
for (const { stage, files } of stages) {
  await pooled(files, stage.width, async (file) => report(await tried(file, stage)));
}
if (full && versions === undefined) {
  for (const { stage, files } of stages) {
    const runs = versionRuns(files, absent);
    await pooled(runs, stage.width, async (run) => report(await tried(run.file, stage, run.versions)));
  }
}
if (full) tell(storyTable(outcomes, `A full run of ${new Date().toISOString().slice(0, 10)}`));
const failed = failedSteps(outcomes);
if (failed !== undefined) print(`\n${failed}`);
const again = secondTries(outcomes);
if (again !== undefined) print(`\n${again}`);
print(`\n${lastLine(totals(outcomes))}`);
process.exitCode = failed === undefined ? 0 : 1;

function readArguments() {
  try {
    const text = { type: 'string' } as const;
    const options = { full: { type: 'boolean', default: false }, table: text, versions: text } as const;
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    if (values.versions !== undefined) versionPairOf(values.versions);
    return { ...values, paths: positionals.map((path) => resolve(path)) };
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}

/** Everything that needs the network happens here, before the sandbox, which has none. Which versions cannot be had. */
async function setUp(): Promise<readonly OtherVersion[]> {
  const missing: OtherVersion[] = [];
  const uses = (pattern: RegExp): boolean => stages.some(({ files }) => files.some((file) => pattern.test(file)));
  const usesKube = uses(/^test\/(e2e|chaos|integration\/kube)/);
  try {
    if (usesKube) await requireControlPlane();
    await provision(print);
    if (full || versions !== undefined || uses(/^test\/(chaos|(integration|e2e)\/versions|integration\/takeover)/)) {
      for (const version of OTHER_VERSIONS) {
        const found = await mariaDbVersion(version, print);
        if (!('absent' in found)) continue;
        missing.push(version);
        print(`MariaDB ${version} is not tested: ${found.absent}`);
      }
    }
    if (uses(/^test\/(chaos|integration\/bench)/)) {
      const clocks = await fakeTime(print);
      if ('absent' in clocks) print(`The clocks of databases are right: ${clocks.absent}`);
    }
    if (usesKube) {
      await controlPlane(print);
      await helm(print);
    }
    return missing;
  } catch (error) {
    if (error instanceof ProvisionError) fail(error.message);
    throw error;
  }
}

/**
 * Stories depend on real timers of keepalived and MariaDB, and a machine that stands still for seconds breaks them. One
 * second try is allowed where the stage says so; that it was needed, and why, is printed for somebody to look into.
 */
async function tried(file: string, stage: Stage, on?: string): Promise<StepOutcome> {
  const first = await runFile(file, stage, root, on);
  if (first.failures.length === 0 || stage.tries === 1) return first;
  print(`second try of ${first.name}, because the first went wrong:\n${stepReport(first)}`);
  const second = await runFile(file, stage, root, on);
  return second.failures.length === 0 ? { ...second, atSecondTry: true } : second;
}

function report(outcome: StepOutcome): void {
  outcomes.push(outcome);
  print(stepReport(outcome));
}

function tell(text: string): void {
  print(`\n${text}`);
  if (table !== undefined) writeFileSync(resolve(table), text);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
