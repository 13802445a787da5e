import type { StepOutcome } from './outcome.ts';
import { lastLine, totals } from './outcome.ts';

/** The table that a full run prints and docs/full-run.md keeps: every story of every file, what it came to, how long it took. */
export function storyTable(outcomes: readonly StepOutcome[], heading: string): string {
  const stories = outcomes.filter(({ name }) => name.startsWith('test/e2e/'));
  const rows = stories.flatMap(({ name, tests = [] }) =>
    tests.map((test) => row(fileOf(name), test.name, test.outcome, (test.durationMs / 1000).toFixed(1))),
  );
  const rest = outcomes.filter((outcome) => !stories.includes(outcome));
  return [
    `# ${heading}`,
    '',
    `Everything: ${lastLine(totals(outcomes))}. Of that checks, unit, scenario, model and integration tests: ${lastLine(totals(rest))}.`,
    '',
    row('file', 'story', 'outcome', 'seconds'),
    row('---', '---', '---', '---:'),
    ...rows,
    '',
  ].join('\n');
}

function fileOf(name: string): string {
  return name.replace('test/e2e/', '').replace('.test.ts', '');
}

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
