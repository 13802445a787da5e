import type { ChildProcess } from 'node:child_process';

/** Much more than anybody reads; the end of an output is what explains a failure. */
const KEPT_OUTPUT = 64 * 1024;

export interface Finished {
  /** Exit code; `undefined` when it was ended by a signal or could not be started. */
  readonly code: number | undefined;
  readonly timedOut: boolean;
  /** The end of stdout and stderr together. */
  readonly output: string;
}

/** Waits for a child process with piped output; `kill` is called when the deadline passes. */
export async function finish(child: ChildProcess, deadlineMs: number, kill: () => void): Promise<Finished> {
  let output = '';
  let timedOut = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-KEPT_OUTPUT);
    });
  }
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, deadlineMs);
  const code = await new Promise<number | undefined>((resolve) => {
    child.once('error', (error) => {
      output += error.message;
      resolve(undefined);
    });
    child.once('close', (status) => resolve(status ?? undefined));
  });
  clearTimeout(timer);
  return { code, timedOut, output };
}

/** Runs `work` on every item, at most `width` at a time, in order of the list. */
export async function pooled<T>(items: readonly T[], width: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
