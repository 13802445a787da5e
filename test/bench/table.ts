import type { MoveKind, MoveResult, Outcome } from './moves.ts';
import { quantile } from './quantiles.ts';
import type { Mode, Side } from './world.ts';

/** All moves of one kind in one mode. */
export interface TableRow extends MoveKind {
  readonly mode: Mode;
  readonly results: readonly MoveResult[];
  /** Moves that could not be measured: the bench itself broke. */
  readonly failed: number;
}

const HEAD = [
  'mode',
  'kind',
  'publishers',
  'clock',
  'moves mxr/plain/failed',
  'mxr p50',
  'mxr p95',
  'plain p50',
  'plain p95',
  'ratio p50',
  'ratio p95',
  'replicas mxr',
  'replicas plain',
];
const CLOCKS = { fromVip: 'VIP answers', fromAck: 'first row acknowledged' } as const;

/** Markdown: quantiles by nearest rank, over the moves after which all three replicas got the row. */
export function tableOf(rows: readonly TableRow[]): string {
  const lines = rows.flatMap((row) => [lineOf(row, 'fromVip'), lineOf(row, 'fromAck')]);
  return [HEAD, HEAD.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

function lineOf({ mode, kind, publishers, results, failed }: TableRow, clock: keyof typeof CLOCKS): readonly string[] {
  const of = (side: Side): number[] => results.flatMap(({ sides }) => sides[side][clock] ?? []);
  const [mxr, plain] = [of('mxr'), of('plain')];
  const pairs = [0.5, 0.95].map((q) => [quantile(mxr, q), quantile(plain, q)] as const);
  return [
    mode,
    kind,
    publishers ? 'with' : 'without',
    CLOCKS[clock],
    `${mxr.length}/${plain.length}/${failed}`,
    ...pairs.map(([value]) => msText(value)),
    ...pairs.map(([, value]) => msText(value)),
    ...pairs.map(([a, b]) => (a === null || b === null ? '-' : (a / b).toFixed(2))),
    outcomesOf(results, 'mxr'),
    outcomesOf(results, 'plain'),
  ];
}

export function msText(value: number | null): string {
  return value === null ? 'never' : `${Math.round(value)} ms`;
}

function outcomesOf(results: readonly MoveResult[], side: Side): string {
  const counts = new Map<Outcome, number>();
  for (const outcome of results.flatMap(({ sides }) => sides[side].outcomes)) {
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  }
  return [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ') || '-';
}
