// `npm run bench`: how long until the replicas follow after a move, next to plain MariaDB tuned by hand, on the same moves.
import { parseArgs } from 'node:util';
import { controlPlane, helm, requireControlPlane } from '../support/kube/build.ts';
import { monotonicMs } from '../support/monotonic.ts';
import { provision } from '../support/provision.ts';
import { enterSandbox, sandboxDirectory } from '../support/sandbox.ts';
import { KINDS, measureMove } from './moves.ts';
import type { Kind, MoveKind, MoveResult } from './moves.ts';
import { quantile } from './quantiles.ts';
import { msText, tableOf } from './table.ts';
import { waterfallOf } from './waterfall.ts';
import type { Mode, Side } from './world.ts';
import { MODES, SIDES, World } from './world.ts';

const USAGE =
  'usage: npm run bench -- [--moves N] [--kinds planned,crash,power,frozen] [--modes gtid,takeover] ' +
  '[--publishers only|both|none] [--only mxr] [--minutes N] [--steps]';
/** A move that takes longer is counted as failed. */
const MOVE_DEADLINE_MS = 150_000;
const MAX_FAILURES_IN_A_ROW = 3;
const MAX_MESSAGE = 500;
const PUBLISHERS: Readonly<Record<string, readonly boolean[]>> = { only: [true], both: [false, true], none: [false] };

const { values: flags } = parseArgs({
  options: {
    moves: { type: 'string', default: '40' },
    kinds: { type: 'string', default: KINDS.join(',') },
    modes: { type: 'string', default: Object.keys(MODES).join(',') },
    publishers: { type: 'string', default: 'both' },
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
const variants = PUBLISHERS[flags.publishers];
const numbersFit = Number.isInteger(moves) && moves >= 1 && minutes > 0;
const wordsFit = kinds.length > 0 && modes.length > 0 && ['', 'mxr'].includes(flags.only) && variants !== undefined;
if (!numbersFit || !wordsFit) {
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
  readonly failed: MoveKind[];
}

const all: Series[] = [];
const overAt = monotonicMs() + minutes * 60_000;
for (const [index, mode] of modes.entries()) {
  const series: Series = { mode, results: [], failed: [] };
  all.push(series);
  // What one mode leaves of the time, the next ones have.
  await measure(series, variants, monotonicMs() + (overAt - monotonicMs()) / (modes.length - index));
}
const rows = all.flatMap(({ mode, results, failed }) =>
  kinds.flatMap((kind) =>
    variants.map((publishers) => {
      const isOne = (one: MoveKind): boolean => one.kind === kind && one.publishers === publishers;
      return { mode, kind, publishers, results: results.filter(isOne), failed: failed.filter(isOne).length };
    }),
  ),
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

/**
 * Kinds in turn, so that what there is when the time is over is of each kind; with and without publishers in turn too, and
 * the one that begins changes, because each move leads the other way than the one before.
 */
function* allMoves(among: readonly boolean[]): Generator<MoveKind & { readonly round: number }> {
  for (let round = 1; round <= moves; round += 1) {
    for (const [index, kind] of kinds.entries()) {
      const turn = (round + index) % 2 === 1 ? among : among.toReversed();
      for (const publishers of turn) yield { kind, publishers, round };
    }
  }
}

/** A move that fails gets a new bench. */
async function measure({ mode, results, failed }: Series, among: readonly boolean[], endsAt: number): Promise<void> {
  let world: World | null = null;
  let failures = 0;
  for (const { round, ...move } of allMoves(among)) {
    const began = monotonicMs();
    if (failures === MAX_FAILURES_IN_A_ROW || began > endsAt) break;
    const title = `${mode} ${move.kind} ${move.publishers ? 'with' : 'without'} publishers ${round}/${moves}`;
    try {
      world ??= await World.open(mode, sides, among.includes(true));
      const result = await withDeadline(measureMove(world, move));
      results.push(result);
      failures = 0;
      tell(`${title} (${Math.round((monotonicMs() - began) / 100) / 10} s): ${textOf(result)}`);
      if (flags.steps) tell(waterfallOf(result, (await world.stage.status()).handovers[0]));
    } catch (error) {
      failed.push(move);
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
