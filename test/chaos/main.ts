// `npm run chaos`: storms of drawn faults on the real bench, and whether what mxr then says of each replica is true.
import { mkdtempSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { controlPlane, helm, requireControlPlane } from '../support/kube/build.ts';
import { fakeTime } from '../support/faketime.ts';
import { ProvisionError, provision } from '../support/provision.ts';
import { OTHER_VERSIONS, mariaDbVersion } from '../support/versions.ts';
import { FIXED_SEEDS } from './fixed-seeds.ts';
import { WRONG } from './judge-told.ts';
import { runMany } from './many.ts';
import type { Seconds } from './phases.ts';
import { meanOf, phasesText } from './phases.ts';
import { configurationText } from './configuration.ts';
import { drawPlan, faultText } from './plan.ts';
import type { RunResult } from './run-plan.ts';
import { Results } from './results.ts';
import type { Source } from './source.ts';
import { sourceOf } from './source.ts';
import type { Row } from './table.ts';
import { again, counts, endedText, failureOf, page, rowOf, shareFailures, totalsText } from './table.ts';

const USAGE = `usage: npm run chaos -- [--runs N] [--seed S] [--width W] [--minutes M] [--floor P] [--table FILE] [--fixed] [--keep] [--dry]
  --runs     how many, with the seeds S, S+1, ...; default 20
  --seed     the first seed; the same one draws the same set-up and the same faults; default 1
  --width    benches side by side, 1 to 8; default 2
  --minutes  no run begins after so many; default 60
  --floor    percent of the replicas that have to end Following, or all of it has failed; default 40
  --table    adds the runs to this page and, as they end, to the .jsonl beside it; seeds that are in it for this source
             (what counts of src/ is in docs/chaos.md) are not run again, those of another source are not shown
  --fixed    the seeds that every npm test runs, instead of --runs and --seed
  --keep     keeps logs and positions of every run, not only of failing ones
  --dry      prints what would be done`;
const MOST_WIDTH = 8;
const INTERRUPTED = 130;

const flags = readFlags();
const drawn = flags.fixed ? FIXED_SEEDS : Array.from({ length: flags.runs }, (_, index) => flags.seed + index);
if (flags.dry) {
  for (const seed of drawn) print(planText(seed));
  process.exit(0);
}
const table = flags.table === undefined ? null : openTable(resolve(flags.table));
const seeds = table === null ? drawn : drawn.filter((seed) => !table.known.has(seed));
await setUp();
const directory = mkdtempSync(join(tmpdir(), 'mxr-chaos-'));
const rows: Row[] = [];
const spent: Seconds[] = [];
let processors = 0;
const begun = performance.now();
const stop = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort());
await runMany(
  { seeds, width: flags.width, notAfterMs: flags.minutes * 60_000, directory, keepsAll: flags.keep, onResult },
  stop.signal,
);
print(`\n${totalsText(rows)}`);
print(paceText());
if (table !== null) writePage(table);
removeIfEmpty(directory);
const wrong = failure();
if (wrong !== '') print(`\nFAILED: ${wrong}`);
process.exit(stop.signal.aborted ? INTERRUPTED : wrong === '' ? 0 : 1);

function onResult(result: RunResult): void {
  rows.push(rowOf(result));
  spent.push(result.phases);
  processors += result.cpuSeconds;
  table?.results.add(rowOf(result));
  print(lineOf(result));
}

function lineOf(result: RunResult): string {
  const { seed, seconds, configuration, faults, ended, legal, kept } = result;
  const row = rowOf(result);
  const { state } = row;
  const lines = [
    `seed ${seed} ${state} (${seconds} s${legal ? ', legal' : ''}): ${endedText(row.ended)}`,
    `  ${configuration}`,
    `  ${faults.join('; ')}`,
    `  made ${row.made} of ${faults.length}${row.unmade.length === 0 ? '' : `, not ${row.unmade.join(', ')}`}${counts(row) ? '' : ': does not count'}`,
    `  seconds: ${phasesText(result.phases)}; of processors ${result.cpuSeconds.toFixed(1)}`,
    ...ended
      .filter(({ outcome }) => WRONG.includes(outcome))
      .map(({ replica, outcome, why }) => `  ${replica} ${outcome}: ${why}`),
  ];
  if (result.unplanned.length > 0) lines.push(`  other than drawn: ${result.unplanned.join('; ')}`);
  if (result.void !== '') lines.push(`  void: ${result.void}`);
  if (result.broken !== '') lines.push(`  broken: ${result.broken}`);
  if (kept !== '') lines.push(`  kept in ${kept}`);
  if (state === 'FAILED') lines.push(`  again: ${again(seed)}`);
  return lines.join('\n');
}

function paceText(): string {
  const seconds = (performance.now() - begun) / 1000;
  const perHour = Math.round((3_600 * rows.length) / seconds);
  const cpu = (processors / Math.max(1, rows.length)).toFixed(1);
  return `\n${perHour} runs an hour; seconds of a run on average: ${phasesText(meanOf(spent))}; of processors ${cpu}`;
}

function planText(seed: number): string {
  const { configuration, faults } = drawPlan(seed);
  return `seed ${seed}: ${configurationText(configuration)}\n  ${faults.map(faultText).join('; ')}`;
}

/** Of this call, and of all runs that its table has. */
function failure(): string {
  const reasons = [failureOf(rows, flags.floor)];
  if (rows.length === 0 && seeds.length > 0) reasons.push('no run ended');
  if (table !== null)
    reasons.push(...shareFailures(table.results.rows(), flags.floor).map((one) => `the table: ${one}`));
  return reasons.filter((reason) => reason !== '').join('; ');
}

interface Table {
  readonly file: string;
  readonly source: Source;
  readonly results: Results;
  /** Seeds that are in it. */
  readonly known: ReadonlySet<number>;
}

function openTable(file: string): Table {
  try {
    const source = sourceOf();
    const results = new Results(file, source.trees);
    return { file, source, results, known: new Set(results.rows().map(({ seed }) => seed)) };
  } catch (error) {
    return fail(error instanceof Error ? error.message : String(error));
  }
}

function writePage({ file, source, results }: Table): void {
  const all = results.rows();
  writeFileSync(file, page(all, source));
  print(`\n${file}: ${all.length} runs since ${source.commit}`);
}

function removeIfEmpty(folder: string): void {
  try {
    rmdirSync(folder);
  } catch {
    // Something was kept in it.
  }
}

/** Everything that needs the network happens here, before the sandboxes, which have none. */
async function setUp(): Promise<void> {
  try {
    await requireControlPlane();
    await provision(print);
    for (const version of OTHER_VERSIONS) {
      const found = await mariaDbVersion(version, print);
      if ('absent' in found) print(`MariaDB ${version} is not drawn: ${found.absent}`);
    }
    const clocks = await fakeTime(print);
    if ('absent' in clocks) print(`The clocks of databases are right: ${clocks.absent}`);
    await controlPlane(print);
    await helm(print);
  } catch (error) {
    if (!(error instanceof ProvisionError)) throw error;
    fail(error.message);
  }
}

interface Flags {
  readonly runs: number;
  readonly seed: number;
  readonly width: number;
  readonly minutes: number;
  readonly floor: number;
  readonly table: string | undefined;
  readonly fixed: boolean;
  readonly keep: boolean;
  readonly dry: boolean;
}

function readFlags(): Flags {
  const text = { type: 'string' } as const;
  const options = {
    runs: text,
    seed: text,
    width: text,
    minutes: text,
    floor: text,
    table: text,
    fixed: { type: 'boolean' },
    keep: { type: 'boolean' },
    dry: { type: 'boolean' },
  } as const;
  try {
    const { values } = parseArgs({ options });
    return {
      runs: numberOf('--runs', values.runs ?? '20', 1, 100_000),
      seed: numberOf('--seed', values.seed ?? '1', 0, 2 ** 32 - 1),
      width: numberOf('--width', values.width ?? '2', 1, MOST_WIDTH),
      minutes: numberOf('--minutes', values.minutes ?? '60', 1, 10_000),
      floor: numberOf('--floor', values.floor ?? '40', 0, 100),
      table: values.table,
      fixed: values.fixed === true,
      keep: values.keep === true,
      dry: values.dry === true,
    };
  } catch (error) {
    return fail(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}

function numberOf(name: string, text: string, least: number, most: number): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= least && number <= most) return number;
  throw new Error(`${name} ${text}: write a whole number from ${least} to ${most}`);
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}
