/** What one step (a check, or a test file) came to. */
export interface StepOutcome {
  /** What to look for: a path or the name of a check. */
  readonly name: string;
  readonly passed: number;
  readonly skipped: number;
  readonly durationMs: number;
  /** One text per failed test, starting with its name. */
  readonly failures: readonly string[];
  /** It went wrong at first, and right when it was tried again. */
  readonly atSecondTry?: true;
  /** Each test of a file. */
  readonly tests?: readonly TestOutcome[];
}

export interface TestOutcome {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly durationMs: number;
}

export interface Totals {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export function totals(outcomes: readonly StepOutcome[]): Totals {
  let [passed, failed, skipped] = [0, 0, 0];
  for (const outcome of outcomes) {
    passed += outcome.passed;
    failed += outcome.failures.length;
    skipped += outcome.skipped;
  }
  return { passed, failed, skipped };
}

/** The last line of `npm test`; its form is part of the contract. */
export function lastLine({ passed, failed, skipped }: Totals): string {
  return `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;
}

/** Names what somebody should look into, although all is well; `undefined` when there is nothing. */
export function secondTries(outcomes: readonly StepOutcome[]): string | undefined {
  const names = outcomes.filter(({ atSecondTry }) => atSecondTry === true).map(({ name }) => name);
  return names.length === 0 ? undefined : `needed a second try: ${names.join(', ')}`;
}

const SHORT = 240;

/** The failures once more, a line each: the end of a long output is what is kept and read first. `undefined`: none. */
export function failedSteps(outcomes: readonly StepOutcome[]): string | undefined {
  const lines = outcomes.flatMap(({ name, failures }) =>
    failures.length === 0 ? [] : [`  ${name}`, ...failures.map((failure) => `    ${shortOf(failure)}`)],
  );
  return lines.length === 0 ? undefined : ['failed:', ...lines].join('\n');
}

function shortOf(failure: string): string {
  const [name = '', why = ''] = failure.split('\n').map((line) => line.trim());
  return `${name}: ${why}`.slice(0, SHORT);
}

/** What is printed when a step ends. */
export function stepReport(outcome: StepOutcome): string {
  const { name, passed, failures, skipped, durationMs } = outcome;
  const counts = lastLine({ passed, failed: failures.length, skipped });
  const tried = outcome.atSecondTry === true ? ' (at the second try)' : '';
  const head = `${failures.length === 0 ? 'ok  ' : 'FAIL'} ${name}${tried} (${counts}; ${(durationMs / 1000).toFixed(1)} s)`;
  return [head, ...failures.map((failure) => indent(failure))].join('\n');
}

function indent(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => `     ${line}`)
    .join('\n');
}
