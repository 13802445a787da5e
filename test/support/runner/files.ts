import { spawn } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { spawnInSandbox } from '../sandbox.ts';
import { type Finished, finish } from './command.ts';
import type { StepOutcome } from './outcome.ts';
import type { ReportLine } from './reporter.ts';

const REPORTER = join(import.meta.dirname, 'reporter.ts');
const SHOWN_OUTPUT_LINES = 80;

/** Test files of one kind, which run under the same conditions. */
export interface Stage {
  readonly folder: string;
  /** How many files at a time. */
  readonly width: number;
  /** How often a file may be tried. */
  readonly tries: 1 | 2;
  /** Hard limit of one file. */
  readonly deadlineMs: number;
  /** Of a file in a full run, where that is another one. */
  readonly fullDeadlineMs?: number;
  /** Whether each file gets namespaces of its own, so that files cannot meet each other's addresses. */
  readonly ownSandbox: boolean;
}

/** In order of trust: what can be shown in a second comes first. */
export const STAGES: readonly Stage[] = [
  { folder: 'unit', tries: 1, width: 2, deadlineMs: 180_000, ownSandbox: false },
  { folder: 'scenarios', tries: 1, width: 2, deadlineMs: 180_000, ownSandbox: false },
  { folder: 'model', tries: 1, width: 2, deadlineMs: 600_000, ownSandbox: false },
  { folder: 'integration', tries: 2, width: 2, deadlineMs: 600_000, ownSandbox: true },
  { folder: 'e2e', tries: 2, width: 3, deadlineMs: 600_000, fullDeadlineMs: 1_200_000, ownSandbox: true },
  { folder: 'chaos', tries: 1, width: 1, deadlineMs: 1_200_000, ownSandbox: false },
];

/** The stage's files below any of the given paths, as paths relative to the root; all without a path. */
export function filesOf(stage: Stage, root: string, paths: readonly string[]): string[] {
  const all = globSync(`test/${stage.folder}/**/*.test.ts`, { cwd: root }).sort();
  const wanted = paths.map((path) => relative(root, path));
  return all.filter((file) => wanted.length === 0 || wanted.some((path) => file.startsWith(path)));
}

/** `versions`: in place of the servers of this machine (test/support/versions.ts), and then in one mode only. */
export async function runFile(file: string, stage: Stage, root: string, versions?: string): Promise<StepOutcome> {
  const start = performance.now();
  const work = mkdtempSync(join(tmpdir(), 'mxr-test-'));
  const destination = join(work, 'report.jsonl');
  const args = [`--test-reporter=${REPORTER}`, `--test-reporter-destination=${destination}`, join(root, file)];
  try {
    const env = versions === undefined ? {} : { MXR_VERSIONS: versions, MXR_FULL: '' };
    const done = await runNode(args, { stage, root, env });
    const name = versions === undefined ? file : `${file} on ${versions}`;
    return fileOutcome(name, readReport(destination), done, stage.deadlineMs, performance.now() - start);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

interface NodeRun {
  readonly stage: Stage;
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
}

function runNode(args: readonly string[], { stage, root, env }: NodeRun): Promise<Finished> {
  if (stage.ownSandbox) {
    const inside = spawnInSandbox(process.execPath, args, { stdio: 'pipe', env });
    return finish(inside.process, stage.deadlineMs, () => inside.kill());
  }
  const options = { cwd: root, env: { ...process.env, ...env } };
  const child = spawn(process.execPath, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
  return finish(child, stage.deadlineMs, () => child.kill('SIGKILL'));
}

function readReport(path: string): ReportLine[] {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return [];
  }
  // A killed process may leave half a line.
  const complete = text.slice(0, text.lastIndexOf('\n') + 1);
  return complete
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as ReportLine);
}

/** A file that crashes, hangs or runs no test has failed, whatever its tests said. */
export function fileOutcome(
  name: string,
  lines: readonly ReportLine[],
  done: Finished,
  deadlineMs: number,
  durationMs: number,
): StepOutcome {
  const failures = lines
    .filter((line) => line.outcome === 'failed')
    .map((line) => `${line.name}\n${line.detail ?? ''}`);
  if (done.timedOut) failures.push(`${name} did not end within ${deadlineMs / 1000} s`);
  else if (lines.length === 0) failures.push(`${name} ran no test (exit code ${done.code ?? 'none'})`);
  else if (done.code !== 0 && failures.length === 0)
    failures.push(`${name} ended with exit code ${done.code ?? 'none'}`);
  const last = failures.length - 1;
  if (last >= 0 && done.output.trim() !== '') {
    const tail = done.output.trimEnd().split('\n').slice(-SHOWN_OUTPUT_LINES).join('\n');
    failures[last] = `${failures[last] ?? ''}\n--- the end of the output of ${name}:\n${tail}`;
  }
  return {
    name,
    passed: lines.filter((line) => line.outcome === 'passed').length,
    skipped: lines.filter((line) => line.outcome === 'skipped').length,
    durationMs,
    failures,
    tests: lines.map(({ name: of, outcome, durationMs: took }) => ({ name: of, outcome, durationMs: took })),
  };
}
