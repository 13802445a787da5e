import { OWN } from '../versions.ts';
import type { StepOutcome } from './outcome.ts';
import { lastLine, secondTries, totals } from './outcome.ts';

/** The table that a full run prints and docs/full-run.md keeps: every story of every file, what it came to, how long it took. */
export function storyTable(outcomes: readonly StepOutcome[], heading: string): string {
  const stories = outcomes.filter(({ name }) => name.startsWith('test/e2e/'));
  const rows = stories.flatMap((story) =>
    (story.tests ?? []).map((test) => {
      return row(fileOf(story), test.name, test.outcome, (test.durationMs / 1000).toFixed(1));
    }),
  );
  const again = secondTries(outcomes);
  const rest = outcomes.filter((outcome) => !stories.includes(outcome));
  return [
    `# ${heading}`,
    '',
    `Everything: ${lastLine(totals(outcomes))}. Of that checks, unit, scenario, model and integration tests: ${lastLine(totals(rest))}.`,
    ...(again === undefined ? [] : ['', `Of the files ${again}.`]),
    '',
    row('file', 'story', 'outcome', 'seconds'),
    row('---', '---', '---', '---:'),
    ...rows,
    '',
    ...versionTable(stories),
  ].join('\n');
}

/** Which story ran with which MariaDB, and what it came to there; nothing where all ran with this machine's. */
function versionTable(stories: readonly StepOutcome[]): readonly string[] {
  const runs = stories.map((story) => ({ story, ...runOf(story.name) }));
  const pairs = [...new Set(runs.map(({ pair }) => pair))];
  if (pairs.length <= 1) return [];
  const files = [...new Set(runs.filter(({ pair }) => pair !== OWN).map(({ file }) => file))];
  const cell = (file: string, pair: string): string => {
    const run = runs.find((one) => one.file === file && one.pair === pair);
    return run === undefined ? '-' : lastLine(totals([run.story]));
  };
  return [
    '## What ran with what',
    '',
    'SOURCE/REPLICAS: the MariaDB of the pair, and of the replicas; `own` is the one that the machine or its release has.',
    '',
    row('file', ...pairs),
    row('---', ...pairs.map(() => '---')),
    ...files.map((file) => row(file, ...pairs.map((pair) => cell(file, pair)))),
    '',
  ];
}

function runOf(name: string): { readonly file: string; readonly pair: string } {
  const [file = '', pair = OWN] = name.replace('test/e2e/', '').replace('.test.ts', '').split(' on ');
  return { file, pair };
}

function fileOf({ name, atSecondTry }: StepOutcome): string {
  const file = name.replace('test/e2e/', '').replace('.test.ts', '');
  return atSecondTry === true ? `${file} (at the second try)` : file;
}

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
