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
  ].join('\n');
}

function fileOf({ name, atSecondTry }: StepOutcome): string {
  const file = name.replace('test/e2e/', '').replace('.test.ts', '');
  return atSecondTry === true ? `${file} (at the second try)` : file;
}

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
