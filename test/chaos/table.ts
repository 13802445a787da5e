import type { RunResult } from './run-plan.ts';
import { isFailed } from './run-plan.ts';
import type { Source } from './source.ts';

/** What is kept of a run. */
export interface Row {
  readonly seed: number;
  readonly configuration: string;
  readonly faults: readonly string[];
  /** How many of them really happened, by their effect, and the kinds of those that did not. */
  readonly made: number;
  readonly unmade: readonly string[];
  readonly legal: boolean;
  readonly state: 'ok' | 'FAILED' | 'void';
  readonly ended: readonly RowEnd[];
  /** What went wrong. */
  readonly why: string;
  readonly seconds: number;
}

interface RowEnd {
  readonly replica: string;
  readonly verdict: string;
  readonly outcome: string;
  readonly lost: number;
  readonly doubled: number;
}

const END_SEPARATOR = ' · ';
const SHOWN_WHY = 400;
/** With fewer that were made a run is no storm, and does not count. */
export const LEAST_MADE = 3;
const MOST_VOID = 0.2;
/** Fewer replicas say little of a share; but not even one of several runs that follows is no chance. */
const LEAST_JUDGED = 20;
const LEAST_RUNS = 3;

export function rowOf(result: RunResult): Row {
  const { seed, configuration, faults, made, legal, seconds, ended, broken } = result;
  const state = isFailed(result) ? 'FAILED' : result.void === '' ? 'ok' : 'void';
  const wrong = state === 'FAILED' ? ended.filter(({ outcome }) => outcome !== 'right' && outcome !== 'refused') : [];
  return {
    seed,
    configuration,
    faults,
    made: made.length,
    unmade: without(faults.map(kindOf), made),
    legal,
    state,
    ended: ended.map(({ replica, verdict, reason, outcome, lost, doubled }) => {
      const name = verdict === reason ? verdict : `${verdict}/${reason}`;
      return { replica, verdict: name, outcome, lost, doubled };
    }),
    why: [broken, result.void, ...wrong.map(({ replica, why }) => `${replica}: ${why}`)]
      .filter((text) => text !== '')
      .map((text) => text.slice(0, SHOWN_WHY))
      .join('; '),
    seconds,
  };
}

function kindOf(fault: string): string {
  return fault.split(' ')[0] ?? '';
}

/** Each kind as often as it is not among the others. */
function without(kinds: readonly string[], others: readonly string[]): string[] {
  const left = [...kinds];
  for (const kind of others) if (left.includes(kind)) left.splice(left.indexOf(kind), 1);
  return left;
}

/** Whether a run is one of those that were asked for: it was a storm, and it left something to judge. */
export function counts({ state, made }: Row): boolean {
  return state === 'FAILED' || (state === 'ok' && made >= LEAST_MADE);
}

export function endedText(ended: readonly RowEnd[]): string {
  const one = ({ replica, verdict, outcome, lost, doubled }: RowEnd): string => {
    const counts = lost + doubled > 0 ? ` lost ${lost} doubled ${doubled}` : '';
    return `${replica} ${verdict} ${outcome}${counts}`;
  };
  return ended.map(one).join(END_SEPARATOR);
}

export interface Totals {
  /** Those that count. */
  readonly runs: number;
  readonly failed: number;
  readonly void: number;
  /** Runs with too few faults that really happened. */
  readonly few: number;
  /** That happened. */
  readonly faults: number;
  readonly replicas: number;
  readonly lost: number;
  readonly doubled: number;
  readonly outcomes: ReadonlyMap<string, number>;
  readonly verdicts: ReadonlyMap<string, number>;
  /** Faults that were drawn, and of them those that did not happen. */
  readonly kinds: ReadonlyMap<string, number>;
  readonly unmade: ReadonlyMap<string, number>;
  readonly legalRuns: number;
  readonly legalReplicas: number;
  readonly legalFollowing: number;
  /** Percent of the replicas that were judged. */
  readonly following: number;
}

/** Of the runs that count; only of the others how many there are. */
export function totalsOf(all: readonly Row[]): Totals {
  const rows = all.filter(counts);
  const ended = rows.flatMap((row) => row.ended);
  const faults = rows.flatMap((row) => row.faults);
  const legal = rows.filter((row) => row.legal);
  const legalEnded = legal.flatMap((row) => row.ended);
  const sum = (of: (end: RowEnd) => number): number => ended.reduce((total, end) => total + of(end), 0);
  const right = (ends: readonly RowEnd[]): number => ends.filter(({ outcome }) => outcome === 'right').length;
  return {
    runs: rows.length,
    failed: rows.filter(({ state }) => state === 'FAILED').length,
    void: all.filter(({ state }) => state === 'void').length,
    few: all.filter((row) => row.state === 'ok' && !counts(row)).length,
    faults: rows.reduce((sum, { made }) => sum + made, 0),
    replicas: ended.length,
    lost: sum((end) => end.lost),
    doubled: sum((end) => end.doubled),
    outcomes: counted(ended.map(({ outcome }) => outcome)),
    verdicts: counted(ended.map(({ verdict }) => verdict)),
    kinds: counted(faults.map(kindOf)),
    unmade: counted(rows.flatMap(({ unmade }) => unmade)),
    legalRuns: legal.length,
    legalReplicas: legalEnded.length,
    legalFollowing: right(legalEnded),
    following: ended.length === 0 ? 0 : Math.round((100 * right(ended)) / ended.length),
  };
}

function counted(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return new Map([...counts].sort(([, one], [, other]) => other - one));
}

export function totalsText(rows: readonly Row[]): string {
  const totals = totalsOf(rows);
  const count = (outcome: string): number => totals.outcomes.get(outcome) ?? 0;
  const share = (number: number): string => `${Math.round((1000 * number) / Math.max(1, totals.replicas)) / 10} %`;
  const { runs, faults, replicas, lost, doubled } = totals;
  const wrong = ['silent', 'untrue', 'denied', 'restless'].map(count);
  return [
    '| runs | faults made | replicas judged | lost | doubled | silent | untrue | refused a legal history | restless | void runs | failed runs |',
    '| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    `| ${[runs, faults, replicas, lost, doubled, ...wrong, totals.void, totals.failed].join(' | ')} |`,
    '',
    '| how a replica ended | replicas | share |',
    '| --- | ---: | ---: |',
    ...[...totals.verdicts].map(([verdict, number]) => `| ${verdict} | ${number} | ${share(number)} |`),
    '',
    `Legal histories without a gap: ${totals.legalRuns} runs, ${totals.legalFollowing} of ${totals.legalReplicas} replicas Following.`,
    `Not among the runs: ${totals.few} with fewer than ${LEAST_MADE} faults that really happened, ${totals.void} void.`,
  ].join('\n');
}

/** Why all of it has failed, or nothing. `floor`: percent of the replicas that have to end Following. */
export function failureOf(rows: readonly Row[], floor: number): string {
  const totals = totalsOf(rows);
  const failed = totals.failed > 0 ? [`${totals.failed} of ${rows.length} runs failed`] : [];
  return [...failed, ...shareFailures(rows, floor)].join('; ');
}

/** What is wrong with many runs of which each by itself is right. */
export function shareFailures(rows: readonly Row[], floor: number): string[] {
  const { void: voids, following, replicas, runs } = totalsOf(rows);
  const reasons: string[] = [];
  if (voids > MOST_VOID * rows.length) reasons.push(`${voids} of ${rows.length} runs left nothing to judge`);
  const isLow = replicas >= LEAST_JUDGED ? following < floor : runs >= LEAST_RUNS && following === 0 && floor > 0;
  if (isLow) reasons.push(`${following} % of ${replicas} replicas ended Following, less than ${floor} %`);
  return reasons;
}

/** How a run is made again. */
export function again(seed: number): string {
  return `npm run chaos -- --runs 1 --seed ${seed}`;
}

/** The page that is kept in the docs: `npm run chaos -- --dry --seed S` says what a seed draws. */
export function page(rows: readonly Row[], { trees, commit }: Source): string {
  const { kinds, unmade } = totalsOf(rows);
  const made = [...kinds].map(([kind, drawn]) => `${kind} ${drawn - (unmade.get(kind) ?? 0)} of ${drawn}`);
  const few = rows.filter((row) => row.state === 'ok' && !counts(row)).map(({ seed }) => seed);
  return [
    '# How the storms of faults ended',
    '',
    'Written by `npm run chaos -- --table`; what each column and outcome means is in [chaos](chaos.md), and what a seed draws is printed by `npm run chaos -- --dry --runs 1 --seed S`.',
    '',
    `Of the source since commit ${commit} (${trees}). Seeds: ${rangesText(rows.map(({ seed }) => seed))}.`,
    '',
    totalsText(rows),
    '',
    '## Faults',
    '',
    `Those that really happened, by their effect, of those that were drawn: ${made.join(', ')}.`,
    '',
    `Runs with fewer than ${LEAST_MADE} of them, which are not among those above: ${few.length === 0 ? 'none' : rangesText(few)}.`,
    '',
    '## Runs that failed',
    '',
    ...failedLines(rows),
    '',
    '## How each run ended',
    '',
    '| how its replicas ended | runs | seeds |',
    '| --- | ---: | --- |',
    ...waysToEnd(rows.filter((row) => counts(row) || row.state === 'void')),
    '',
  ].join('\n');
}

function failedLines(rows: readonly Row[]): string[] {
  const failed = rows.filter(({ state }) => state === 'FAILED');
  if (failed.length === 0) return ['None.'];
  return failed.map(({ seed, configuration, faults, ended, why }) => {
    const text = [`${configuration}: ${faults.join('; ')}`, endedText(ended), why].filter((part) => part !== '');
    return `- ${seed} (\`${again(seed)}\`): ${text.join('. ').replaceAll(/\s+/g, ' ')}`;
  });
}

function waysToEnd(rows: readonly Row[]): string[] {
  const ways = new Map<string, number[]>();
  for (const { seed, state, ended } of rows) {
    const names = ended.map(({ verdict, outcome }) => (outcome === 'right' ? verdict : `${verdict} ${outcome}`));
    const way = state === 'void' ? 'void' : names.sort().join(', ') || 'nothing judged';
    ways.set(way, [...(ways.get(way) ?? []), seed]);
  }
  return [...ways]
    .sort(([, one], [, other]) => other.length - one.length)
    .map(([way, seeds]) => `| ${way} | ${seeds.length} | ${rangesText(seeds)} |`);
}

/** `1-3, 7`, of ascending numbers. */
export function rangesText(seeds: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const seed of seeds) {
    const last = ranges.at(-1);
    if (last !== undefined && seed === last[1] + 1) last[1] = seed;
    else ranges.push([seed, seed]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(', ');
}
