import type { RunResult } from './run-plan.ts';
import { isFailed } from './run-plan.ts';
import type { Source } from './source.ts';

/** What is kept of a run. */
export interface Row {
  readonly seed: number;
  readonly configuration: string;
  readonly faults: readonly string[];
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

export function rowOf(result: RunResult): Row {
  const { seed, configuration, faults, legal, seconds, ended, broken } = result;
  const state = isFailed(result) ? 'FAILED' : result.void === '' ? 'ok' : 'void';
  const wrong = state === 'FAILED' ? ended.filter(({ outcome }) => outcome !== 'right' && outcome !== 'refused') : [];
  return {
    seed,
    configuration,
    faults,
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

export function endedText(ended: readonly RowEnd[]): string {
  const one = ({ replica, verdict, outcome, lost, doubled }: RowEnd): string => {
    const counts = lost + doubled > 0 ? ` lost ${lost} doubled ${doubled}` : '';
    return `${replica} ${verdict} ${outcome}${counts}`;
  };
  return ended.map(one).join(END_SEPARATOR);
}

export interface Totals {
  readonly runs: number;
  readonly failed: number;
  readonly void: number;
  readonly faults: number;
  readonly replicas: number;
  readonly lost: number;
  readonly doubled: number;
  readonly outcomes: ReadonlyMap<string, number>;
  readonly verdicts: ReadonlyMap<string, number>;
  readonly kinds: ReadonlyMap<string, number>;
  readonly legalRuns: number;
  readonly legalReplicas: number;
  readonly legalFollowing: number;
  /** Percent of the replicas that were judged. */
  readonly following: number;
}

export function totalsOf(rows: readonly Row[]): Totals {
  const ended = rows.flatMap((row) => row.ended);
  const faults = rows.flatMap((row) => row.faults);
  const legal = rows.filter((row) => row.legal);
  const legalEnded = legal.flatMap((row) => row.ended);
  const sum = (of: (end: RowEnd) => number): number => ended.reduce((total, end) => total + of(end), 0);
  const right = (ends: readonly RowEnd[]): number => ends.filter(({ outcome }) => outcome === 'right').length;
  return {
    runs: rows.length,
    failed: rows.filter(({ state }) => state === 'FAILED').length,
    void: rows.filter(({ state }) => state === 'void').length,
    faults: faults.length,
    replicas: ended.length,
    lost: sum((end) => end.lost),
    doubled: sum((end) => end.doubled),
    outcomes: counted(ended.map(({ outcome }) => outcome)),
    verdicts: counted(ended.map(({ verdict }) => verdict)),
    kinds: counted(faults.map((text) => text.split(' ')[0] ?? '')),
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
    '| runs | faults | replicas judged | lost | doubled | silent | untrue | refused a legal history | restless | void runs | failed runs |',
    '| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    `| ${[runs, faults, replicas, lost, doubled, ...wrong, totals.void, totals.failed].join(' | ')} |`,
    '',
    '| how a replica ended | replicas | share |',
    '| --- | ---: | ---: |',
    ...[...totals.verdicts].map(([verdict, number]) => `| ${verdict} | ${number} | ${share(number)} |`),
    '',
    `Legal histories without a gap: ${totals.legalRuns} runs, ${totals.legalFollowing} of ${totals.legalReplicas} replicas Following.`,
  ].join('\n');
}

/** The page that is kept in the docs: `npm run chaos -- --dry --seed S` says what a seed draws. */
export function page(rows: readonly Row[], { trees, commit }: Source): string {
  const { kinds } = totalsOf(rows);
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
    [...kinds].map(([kind, number]) => `${kind} ${number}`).join(', '),
    '',
    '## Runs that failed',
    '',
    ...failedLines(rows),
    '',
    '## How each run ended',
    '',
    '| how its replicas ended | runs | seeds |',
    '| --- | ---: | --- |',
    ...waysToEnd(rows),
    '',
  ].join('\n');
}

function failedLines(rows: readonly Row[]): string[] {
  const failed = rows.filter(({ state }) => state === 'FAILED');
  if (failed.length === 0) return ['None.'];
  return failed.map(({ seed, configuration, faults, ended, why }) => {
    const text = [`${configuration}: ${faults.join('; ')}`, endedText(ended), why].filter((part) => part !== '');
    return `- ${seed}: ${text.join('. ').replaceAll(/\s+/g, ' ')}`;
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
