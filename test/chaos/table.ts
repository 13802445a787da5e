import type { RunResult } from './run-plan.ts';
import { isFailed } from './run-plan.ts';

/** One run as a line of the table; what is kept of it for the totals over many calls. */
export interface Row {
  readonly seed: number;
  readonly configuration: string;
  readonly faults: readonly string[];
  readonly legal: boolean;
  readonly state: 'ok' | 'FAILED' | 'void';
  readonly ended: readonly RowEnd[];
  readonly seconds: number;
}

interface RowEnd {
  readonly replica: string;
  readonly verdict: string;
  readonly outcome: string;
  readonly lost: number;
  readonly doubled: number;
}

const FAULT_SEPARATOR = '; ';
const END_SEPARATOR = ' · ';
const COLUMNS = '| seed | run | set-up | faults | legal | replicas | s |';
const RULE = '| ---: | --- | --- | --- | --- | --- | ---: |';

export function rowOf(result: RunResult): Row {
  return {
    seed: result.seed,
    configuration: result.configuration,
    faults: result.faults,
    legal: result.legal,
    state: isFailed(result) ? 'FAILED' : result.void === '' ? 'ok' : 'void',
    ended: result.ended.map(({ replica, verdict, reason, outcome, lost, doubled }) => {
      const name = verdict === reason ? verdict : `${verdict}/${reason}`;
      return { replica, verdict: name, outcome, lost, doubled };
    }),
    seconds: result.seconds,
  };
}

export function rowText({ seed, state, configuration, faults, legal, ended, seconds }: Row): string {
  const cells = [
    seed,
    state,
    configuration,
    faults.join(FAULT_SEPARATOR),
    legal ? 'yes' : 'no',
    endedText(ended),
    seconds,
  ];
  return `| ${cells.join(' | ')} |`;
}

export function endedText(ended: readonly RowEnd[]): string {
  const one = ({ replica, verdict, outcome, lost, doubled }: RowEnd): string => {
    const counts = lost + doubled > 0 ? ` lost ${lost} doubled ${doubled}` : '';
    return `${replica} ${verdict} ${outcome}${counts}`;
  };
  return ended.map(one).join(END_SEPARATOR);
}

/** The rows of a table that was written before; lines that are none are passed over. */
export function rowsIn(text: string): Row[] {
  return text.split('\n').flatMap((line) => {
    const cells = line.split('|').map((cell) => cell.trim());
    const [, seed = '', state = '', configuration = '', faults = '', legal = '', ended = '', seconds = ''] = cells;
    if (!/^\d+$/.test(seed) || cells.length !== 9) return [];
    const known = state === 'ok' || state === 'FAILED' || state === 'void' ? state : 'FAILED';
    return [
      {
        seed: Number(seed),
        state: known,
        configuration,
        faults: faults.split(FAULT_SEPARATOR),
        legal: legal === 'yes',
        ended: ended === '' ? [] : ended.split(END_SEPARATOR).map(endIn),
        seconds: Number(seconds),
      },
    ];
  });
}

function endIn(text: string): RowEnd {
  const [replica = '', verdict = '', outcome = '', , lost = '0', , doubled = '0'] = text.split(' ');
  return { replica, verdict, outcome, lost: Number(lost), doubled: Number(doubled) };
}

/** Later rows of a seed replace earlier ones. */
export function merged(before: readonly Row[], now: readonly Row[]): Row[] {
  const rows = new Map([...before, ...now].map((row) => [row.seed, row]));
  return [...rows.values()].sort((one, other) => one.seed - other.seed);
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
  readonly legalRuns: number;
  readonly legalReplicas: number;
  readonly legalFollowing: number;
  /** Percent of the replicas that were judged. */
  readonly following: number;
}

export function totalsOf(rows: readonly Row[]): Totals {
  const ended = rows.flatMap((row) => row.ended);
  const legal = rows.filter((row) => row.legal);
  const legalEnded = legal.flatMap((row) => row.ended);
  const sum = (of: (end: RowEnd) => number): number => ended.reduce((total, end) => total + of(end), 0);
  const right = (ends: readonly RowEnd[]): number => ends.filter(({ outcome }) => outcome === 'right').length;
  return {
    runs: rows.length,
    failed: rows.filter(({ state }) => state === 'FAILED').length,
    void: rows.filter(({ state }) => state === 'void').length,
    faults: rows.reduce((total, row) => total + row.faults.length, 0),
    replicas: ended.length,
    lost: sum((end) => end.lost),
    doubled: sum((end) => end.doubled),
    outcomes: counted(ended.map(({ outcome }) => outcome)),
    verdicts: counted(ended.map(({ verdict }) => verdict)),
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
  return [
    '| runs | faults | replicas judged | lost | doubled | silent | untrue | refused a legal history | void runs | failed runs |',
    '| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    `| ${[totals.runs, totals.faults, totals.replicas, totals.lost, totals.doubled, count('silent'), count('untrue'), count('denied'), totals.void, totals.failed].join(' | ')} |`,
    '',
    '| how a replica ended | replicas | share |',
    '| --- | ---: | ---: |',
    ...[...totals.verdicts].map(([verdict, number]) => `| ${verdict} | ${number} | ${share(number)} |`),
    '',
    `Legal histories without a gap: ${totals.legalRuns} runs, ${totals.legalFollowing} of ${totals.legalReplicas} replicas Following.`,
  ].join('\n');
}

/** The page that is kept in the docs. */
export function page(rows: readonly Row[], source: string): string {
  return [
    '# Storms of faults',
    '',
    `<!-- Written by npm run chaos -- --table; source ${source} -->`,
    '',
    'What each column and outcome means is in [chaos](chaos.md).',
    '',
    totalsText(rows),
    '',
    COLUMNS,
    RULE,
    ...rows.map(rowText),
    '',
  ].join('\n');
}

/** The source that a page was made with. */
export function sourceIn(text: string): string {
  return /; source (\S+) -->/.exec(text)?.[1] ?? '';
}
