import type { RunResult } from './run-plan.ts';
import { Worker } from './worker.ts';

export interface Many {
  readonly seeds: readonly number[];
  /** Benches side by side. */
  readonly width: number;
  /** Runs that have not begun then do not begin. */
  readonly notAfterMs: number;
  /** Folder in which each failing run keeps what explains it. */
  readonly directory: string;
  /** The others do, too. */
  readonly keepsAll?: boolean;
  readonly onResult: (result: RunResult) => void;
}

/** Runs every seed in namespaces that end with this process; aborting ends all at once. */
export async function runMany(many: Many, signal: AbortSignal): Promise<void> {
  const { seeds, width, notAfterMs, directory, keepsAll = false, onResult } = many;
  const begun = performance.now();
  const queue = seeds.values();
  const open = new Set<Worker>();
  signal.addEventListener('abort', () => {
    for (const worker of open) worker.end();
  });
  const work = async (): Promise<void> => {
    let worker: Worker | null = null;
    for (const seed of queue) {
      if (signal.aborted || performance.now() - begun > notAfterMs) break;
      if (worker?.usable !== true) {
        worker = new Worker(directory, keepsAll);
        open.add(worker);
      }
      const result = await worker.run(seed);
      if (!worker.usable) open.delete(worker);
      if (!signal.aborted) onResult(result);
    }
    worker?.end();
  };
  await Promise.all(Array.from({ length: width }, work));
}
