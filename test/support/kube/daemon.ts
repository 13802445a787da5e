import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { once } from 'node:events';

export interface DaemonOptions {
  readonly program: string;
  readonly args: readonly string[];
  /** Collects both output streams; appended to. */
  readonly logFile: string;
  readonly cwd: string;
  /** Network namespace to run in; default: this process's own. */
  readonly netns?: string | undefined;
  readonly env?: NodeJS.ProcessEnv;
}

/** A long-running child. It dies with this process, even when that is killed. */
export interface Daemon {
  readonly pid: number;
  running(): boolean;
  signal(name: NodeJS.Signals): void;
  /** SIGTERM, and SIGKILL when that has not worked after `graceMs` (0: at once). Resolves when it is gone. */
  stop(graceMs: number): Promise<void>;
  /** The end of its log. */
  logTail(): string;
}

const TAIL_LINES = 30;

export function startDaemon(options: DaemonOptions): Daemon {
  const log = openSync(options.logFile, 'a');
  // Both wrappers replace themselves by what they run, so the pid is that of the program itself.
  const bound = ['setpriv', '--pdeathsig', 'KILL', '--', options.program, ...options.args];
  const [program, ...args] = inNetns(options.netns, bound);
  const child = spawn(program ?? '', args, {
    cwd: options.cwd,
    stdio: ['ignore', log, log],
    env: { ...process.env, ...options.env },
    // Out of the terminal's reach: Ctrl-C is for us, and we stop our daemons in order.
    detached: true,
  });
  closeSync(log);
  const { pid } = child;
  // Reported through `running`, as any other early end.
  child.on('error', () => undefined);
  if (pid === undefined) throw new Error(`could not start ${program} for ${options.program}`);
  return {
    pid,
    running: () => isRunning(child),
    signal: (name) => void child.kill(name),
    stop: (graceMs) => stop(child, graceMs),
    logTail: () => readFileSync(options.logFile, 'utf8').trimEnd().split('\n').slice(-TAIL_LINES).join('\n'),
  };
}

export function inNetns(netns: string | undefined, command: readonly string[]): string[] {
  return netns === undefined ? [...command] : ['ip', 'netns', 'exec', netns, ...command];
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null;
}

async function stop(child: ChildProcess, graceMs: number): Promise<void> {
  if (!isRunning(child)) return;
  const exited = once(child, 'exit');
  if (graceMs > 0) {
    child.kill('SIGTERM');
    // A stopped (frozen) process receives SIGTERM only after it is continued.
    child.kill('SIGCONT');
  }
  const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await exited;
  clearTimeout(timer);
}
