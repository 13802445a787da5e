import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { until } from '../../support/wait.ts';

export const ROOT = join(import.meta.dirname, '../../..');
/** What the surrounding sandbox and test runner say of themselves is not for a demo that somebody starts by hand. */
const NOT_ITS_OWN = ['MXR_SANDBOX', 'MXR_SANDBOX_ENTER', 'MXR_FULL', 'NODE_TEST_CONTEXT'];

export interface DemoOptions {
  readonly args?: readonly string[];
  /** Put before the command, e.g. to run it as somebody else. */
  readonly prefix?: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** `npm run demo` as a person starts it: with a sandbox of its own, and as the first process of a terminal's job. */
export class DemoProcess {
  readonly lines: string[] = [];
  readonly errors: string[] = [];
  readonly #process: ChildProcess;
  readonly #end: Promise<unknown>;

  constructor({ args = [], prefix = [], env }: DemoOptions) {
    const command = [...prefix, process.execPath, join(ROOT, 'scripts/run.mjs'), 'demo', ...args];
    const inherited = Object.entries(process.env).filter(([name]) => !NOT_ITS_OWN.includes(name));
    this.#process = spawn(command[0] ?? '', command.slice(1), {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...Object.fromEntries(inherited), ...env },
      detached: true,
    });
    this.#end = once(this.#process, 'close');
    for (const [stream, into] of [
      [this.#process.stdout, this.lines],
      [this.#process.stderr, this.errors],
    ] as const) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => into.push(line));
    }
  }

  /** Resolves with the first line like this; fails at once when the demo has ended without it. */
  async says(pattern: RegExp, deadlineMs: number): Promise<string> {
    const found = (): string | undefined => this.lines.find((line) => pattern.test(line));
    await until(`the demo says ${pattern.source}`, () => found() ?? this.#ended(), { deadlineMs, intervalMs: 20 });
    const line = found();
    if (line === undefined) throw new Error(`the demo ended before it said ${pattern.source}: ${this.tail()}`);
    return line;
  }

  /** The exit code, once its output is complete too. */
  async ends(deadlineMs: number): Promise<number | null> {
    const late = setTimeout(() => this.signalJob('SIGKILL'), deadlineMs);
    await this.#end;
    clearTimeout(late);
    return this.#process.exitCode;
  }

  /** To the process that was started, as a supervisor or `kill` does. */
  signal(name: NodeJS.Signals): void {
    this.#process.kill(name);
  }

  /** To all that a terminal's Ctrl-C reaches. */
  signalJob(name: NodeJS.Signals): void {
    if (!this.#ended()) process.kill(-(this.#process.pid ?? 0), name);
  }

  tail(): string {
    return [...this.lines.slice(-20), ...this.errors].join('\n');
  }

  #ended(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }
}

/** What there is in the namespaces around the demo. */
export interface Surroundings {
  readonly processes: ReadonlyMap<string, string>;
  readonly mounts: string;
  readonly interfaces: string;
  readonly files: readonly string[];
}

/** `folders` are those that the demo could write to, beside the cache. */
export function surroundings(folders: readonly string[]): Surroundings {
  return {
    processes: processes(),
    mounts: readFileSync('/proc/self/mountinfo', 'utf8'),
    interfaces: readFileSync('/proc/self/net/dev', 'utf8').replaceAll(/ +\d+/gu, ''),
    files: folders.flatMap((folder) => readdirSync(folder, { recursive: true, encoding: 'utf8' })).sort(),
  };
}

/** Command lines of the processes that have come since; those of inner sandboxes are among them. */
export function newProcesses(before: Surroundings): string[] {
  return [...processes()].filter(([pid]) => !before.processes.has(pid)).map(([, command]) => command);
}

function processes(): Map<string, string> {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/u.test(name));
  return new Map(pids.map((pid) => [pid, commandOf(pid)]));
}

function commandOf(pid: string): string {
  try {
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return command === '' ? `process ${pid}, which is no more than an exit code` : command;
  } catch {
    return `process ${pid}, which has just ended`;
  }
}
