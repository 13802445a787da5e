import type { TestEvent } from 'node:test/reporters';

/** One line of a test file's report, as JSON. */
export interface ReportLine {
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** Names from the outermost suite to the test. */
  readonly name: string;
  readonly durationMs: number;
  /** Of a failure: message, difference and stack. */
  readonly detail?: string;
}

/** Reporter of `node --test-reporter`: one JSON line per test. Suites are no tests. */
async function* reportLines(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const path: string[] = [];
  for await (const event of events) {
    if (event.type === 'test:start') {
      path.length = event.data.nesting;
      path.push(event.data.name);
    }
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue;
    const line = reportLine(event, [...path.slice(0, event.data.nesting), event.data.name].join(' > '));
    if (line !== undefined) yield `${JSON.stringify(line)}\n`;
  }
}

function reportLine(event: TestEvent & { type: 'test:pass' | 'test:fail' }, name: string): ReportLine | undefined {
  const { data } = event;
  const durationMs = data.details.duration_ms;
  if (event.type === 'test:fail') {
    const { error } = event.data.details;
    // Its subtests are reported on their own.
    if ('failureType' in error && error.failureType === 'subtestsFailed') return undefined;
    if (data.todo !== undefined) return { outcome: 'skipped', name, durationMs };
    return { outcome: 'failed', name, durationMs, detail: errorDetail(error) };
  }
  if (data.details.type === 'suite') return undefined;
  return { outcome: data.skip === undefined && data.todo === undefined ? 'passed' : 'skipped', name, durationMs };
}

function errorDetail(error: Error): string {
  const cause = error.cause instanceof Error ? error.cause : error;
  const deeper = cause.cause instanceof Error ? `\ncaused by ${cause.cause.message}` : '';
  return `${cause.stack ?? cause.message}${deeper}`;
}

// oxlint-disable-next-line import/no-default-export -- Node.js takes a reporter from the default export only
export default reportLines;
