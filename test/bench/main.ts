// `npm run bench`: how long until the replicas follow after a move, next to plain MariaDB tuned by hand, on the same moves.
import { parseArgs } from 'node:util';
import { controlPlane, helm, requireControlPlane } from '../support/kube/build.ts';
import { monotonicMs } from '../support/monotonic.ts';
import { provision } from '../support/provision.ts';
import { enterSandbox, sandboxDirectory } from '../support/sandbox.ts';
import { KINDS, measureMove } from './moves.ts';
import type { Kind, MoveResult } from './moves.ts';
import { quantile } from './quantiles.ts';
import { msText, tableOf } from './table.ts';
import { waterfallOf } from './waterfall.ts';
import type { Mode, Side } from './world.ts';
import { MODES, SIDES, World } from './world.ts';

const USAGE =
  'usage: npm run bench -- [--moves N] [--kinds planned,crash,power,frozen] [--modes gtid,takeover] [--only mxr] [--minutes N] [--steps]';
/** A move that takes longer is counted as failed. */
const MOVE_DEADLINE_MS = 150_000;
const MAX_FAILURES_IN_A_ROW = 3;
const MAX_MESSAGE = 500;

const { values: flags } = parseArgs({
  options: {
    moves: { type: 'string', default: '40' },
    kinds: { type: 'string', default: KINDS.join(',') },
    modes: { type: 'string', default: Object.keys(MODES).join(',') },
    only: { type: 'string', default: '' },
    minutes: { type: 'string', default: '60' },
    steps: { type: 'boolean', default: false },
  },
});
const moves = Number(flags.moves);
const minutes = Number(flags.minutes);
const kinds = flags.kinds.split(',').filter((kind): kind is Kind => (KINDS as readonly string[]).includes(kind));
const modes = flags.modes.split(',').filter((mode): mode is Mode => mode in MODES);
const sides: readonly Side[] = flags.only === '' ? SIDES : ['mxr'];
const numbersFit = Number.isInteger(moves) && moves >= 1 && minutes > 0;
if (!numbersFit || kinds.length === 0 || modes.length === 0 || !['', 'mxr'].includes(flags.only)) {
  process.stderr.write(`${USAGE}\n`);
  process.exit(2);
}

if (sandboxDirectory() === undefined) {
  await requireControlPlane();
  await provision(tell);
  await controlPlane(tell);
  await helm(tell);
}
await enterSandbox();

interface Series {
  readonly mode: Mode;
  readonly results: MoveResult[];
  readonly failed: Kind[];
}

const all: Series[] = [];
const overAt = monotonicMs() + minutes * 60_000;
for (const [index, mode] of modes.entries()) {
  const series: Series = { mode, results: [], failed: [] };
  all.push(series);
  // What one mode leaves of the time, the next ones have.
  await measure(series, monotonicMs() + (overAt - monotonicMs()) / (modes.length - index));
}
const rows = all.flatMap(({ mode, results, failed }) =>
  kinds.map((kind) => ({
    mode,
    kind,
    results: results.filter((result) => result.kind === kind),
    failed: failed.filter((one) => one === kind).length,
  })),
);
process.stdout.write(tableOf(rows));
process.stdout.write(`\n${loadOf(all.flatMap(({ results }) => results))}\n`);
process.exit(0);

/** What the application got through the VIP before each fault. */
function loadOf(results: readonly MoveResult[]): string {
  const rates = results.map(({ ratePerSecond }) => ratePerSecond);
  const [least, median] = [0, 0.5].map((q) => Math.round(quantile(rates, q) ?? 0));
  return `Load before the faults: median ${median}, least ${least} transactions acknowledged per second.`;
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Kinds in turn, so that what there is when the time is over is of each kind. A move that fails gets a new bench. */
async function measure(series: Series, endsAt: number): Promise<void> {
  let world: World | null = null;
  let failures = 0;
  for (let count = 0; count < moves * kinds.length && failures < MAX_FAILURES_IN_A_ROW; count += 1) {
    const kind = kinds[count % kinds.length];
    if (kind === undefined || monotonicMs() > endsAt) break;
    const [round, began] = [Math.floor(count / kinds.length) + 1, monotonicMs()];
    const title = `${series.mode} ${kind} ${round}/${moves}`;
    try {
      world ??= await World.open(series.mode, sides);
      const result = await withDeadline(measureMove(world, kind));
      series.results.push(result);
      failures = 0;
      tell(`${title} (${Math.round((monotonicMs() - began) / 100) / 10} s): ${textOf(result)}`);
      if (flags.steps) tell(waterfallOf(result, (await world.stage.status()).handovers[0]));
    } catch (error) {
      series.failed.push(kind);
      failures += 1;
      tell(`${title} FAILED: ${String(error).slice(0, MAX_MESSAGE)}`);
      await world?.close().catch(() => undefined);
      world = null;
    }
  }
  await world?.close();
}

async function withDeadline<T>(work: Promise<T>): Promise<T> {
  work.catch(() => undefined);
  const { promise, reject } = Promise.withResolvers<never>();
  const late = (): void => reject(new Error(`not over after ${MOVE_DEADLINE_MS} ms`));
  const timer = setTimeout(late, MOVE_DEADLINE_MS);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

function textOf({ sides: both }: MoveResult): string {
  const refusals = both.mxr.refusals.map((one) => `\n  ${one}`).join('');
  const text = sides
    .map((side) => {
      const { fromVip, fromAck, outcomes } = both[side];
      return `${side} ${msText(fromVip)} from the VIP, ${msText(fromAck)} from the row, ${outcomes.join(' ')}`;
    })
    .join('; ');
  return text + refusals;
}
