import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { finish } from './command.ts';
import type { StepOutcome } from './outcome.ts';

const CHECK_DEADLINE_MS = 300_000;

/** A command that must end with 0; it counts as one test. */
export interface Check {
  readonly name: string;
  readonly command: readonly string[];
}

export function checksOf(root: string): Check[] {
  const bin = join(root, 'node_modules/.bin');
  const generator = join(root, 'scripts/generate.ts');
  const folders = ['src', 'test', 'scripts', 'bin'].filter((folder) => existsSync(join(root, folder)));
  return [
    { name: 'format (prettier)', command: [join(bin, 'prettier'), '--check', '--log-level', 'warn', '.'] },
    { name: 'lint (oxlint)', command: [join(bin, 'oxlint'), '--type-aware', '--deny-warnings', ...folders] },
    { name: 'types (tsc)', command: [join(bin, 'tsc'), '--noEmit'] },
    ...(existsSync(generator)
      ? [{ name: 'generated files (generate --check)', command: [process.execPath, generator, '--check'] }]
      : []),
  ];
}

export async function runCheck(check: Check, root: string): Promise<StepOutcome> {
  const start = performance.now();
  const [program = '', ...args] = check.command;
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
  const done = await finish(child, CHECK_DEADLINE_MS, () => child.kill('SIGKILL'));
  const passed = done.code === 0;
  const why = done.timedOut ? `did not end within ${CHECK_DEADLINE_MS / 1000} s\n` : '';
  return {
    name: check.name,
    passed: passed ? 1 : 0,
    skipped: 0,
    durationMs: performance.now() - start,
    failures: passed ? [] : [`${why}${done.output}`],
  };
}
