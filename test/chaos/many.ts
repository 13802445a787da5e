import { join } from 'node:path';
import { finish, pooled } from '../support/runner/command.ts';
import { spawnInSandbox } from '../support/sandbox.ts';
import type { Sandboxed } from '../support/sandbox.ts';
import { configurationText, drawPlan, faultText } from './plan.ts';
import type { RunResult } from './run-plan.ts';

export const RESULT_MARK = 'CHAOS-RESULT ';
const ONE = join(import.meta.dirname, 'one.ts');
/** A run that takes longer is ended, and is a failure of the run itself. */
const RUN_DEADLINE_MS = 360_000;
const SHOWN_OUTPUT = 2_000;

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

/** Runs every seed in namespaces of its own, which end with it; aborting ends them all at once. */
export async function runMany(many: Many, signal: AbortSignal): Promise<void> {
  const { seeds, width, notAfterMs, directory, keepsAll = false, onResult } = many;
  const begun = performance.now();
  const open = new Set<Sandboxed>();
  signal.addEventListener('abort', () => {
    for (const sandboxed of open) sandboxed.kill();
  });
  await pooled(seeds, width, async (seed) => {
    if (signal.aborted || performance.now() - begun > notAfterMs) return;
    const keepIn = join(directory, `seed-${seed}`);
    const sandboxed = spawnInSandbox(process.execPath, [ONE, String(seed), keepIn, keepsAll ? 'always' : 'failed'], {
      stdio: 'pipe',
    });
    open.add(sandboxed);
    const done = await finish(sandboxed.process, RUN_DEADLINE_MS, () => sandboxed.kill());
    open.delete(sandboxed);
    sandboxed.kill();
    if (!signal.aborted) onResult(resultOf(seed, done.output, done.timedOut));
  });
}

function resultOf(seed: number, output: string, timedOut: boolean): RunResult {
  const line = output.split('\n').findLast((one) => one.startsWith(RESULT_MARK));
  if (line !== undefined) return JSON.parse(line.slice(RESULT_MARK.length)) as RunResult;
  const plan = drawPlan(seed);
  const how = timedOut ? `did not end within ${RUN_DEADLINE_MS / 1000} s` : 'ended without a result';
  return {
    seed,
    configuration: configurationText(plan.configuration),
    faults: plan.faults.map(faultText),
    seconds: timedOut ? RUN_DEADLINE_MS / 1000 : 0,
    legal: false,
    unplanned: [],
    changes: 0,
    ended: [],
    void: '',
    broken: `${how}: ${output.slice(-SHOWN_OUTPUT)}`,
    kept: '',
  };
}
