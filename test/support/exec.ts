import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);
const DEADLINE_MS = 20_000;

/** Runs a command to its end and returns its output; anything but success is an error with the command's own words. */
export async function exec(command: readonly string[], deadlineMs = DEADLINE_MS): Promise<string> {
  const [program = '', ...args] = command;
  try {
    return (await run(program, args, { timeout: deadlineMs, maxBuffer: 16 * 1024 * 1024 })).stdout;
  } catch (error) {
    const words = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new Error(`${command.join(' ')}: ${words === '' ? String(error) : words}`, { cause: error });
  }
}
