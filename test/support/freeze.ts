import { readFileSync, readdirSync } from 'node:fs';
import { until } from './wait.ts';

const DEADLINE_MS = 10_000;

/**
 * Stops the process as a hung one is: it keeps its sockets and answers nothing. A signal reaches one thread after
 * another, and one that runs on another processor may still answer; resolves when none runs any more.
 */
export async function freezeProcess(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP');
  const stopped = (): boolean => threadStates(pid).every((state) => STOPPED.has(state));
  await until(`process ${pid} stands still`, stopped, { deadlineMs: DEADLINE_MS, intervalMs: 1 });
}

/** Whether a process is there and no thread of it runs. */
export function isFrozen(pid: number): boolean {
  try {
    const states = threadStates(pid);
    return states.length > 0 && states.every((state) => state === 'T' || state === 't');
  } catch {
    return false;
  }
}

/** Stopped, or gone. */
const STOPPED = new Set(['T', 't', 'Z', 'X']);

function threadStates(pid: number): string[] {
  const tasks = `/proc/${pid}/task`;
  // The name of the program, in parentheses, may hold spaces; the state is the first word after it.
  return readdirSync(tasks).map((thread) => stateIn(`${tasks}/${thread}/stat`));
}

function stateIn(file: string): string {
  try {
    const text = readFileSync(file, 'utf8');
    return text.charAt(text.lastIndexOf(')') + 2);
  } catch {
    // A thread that ended since the directory was read.
    return 'X';
  }
}
