import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Sandboxed } from '../support/sandbox.ts';
import { spawnInSandbox } from '../support/sandbox.ts';
import { NO_TIME } from './phases.ts';
import { configurationText } from './configuration.ts';
import { drawPlan, faultText } from './plan.ts';
import type { RunResult } from './run-plan.ts';
import { isSpoiled } from './run-plan.ts';

export const RESULT_MARK = 'CHAOS-RESULT ';
const ONE = join(import.meta.dirname, 'one.ts');
/** A run that takes longer is ended, and is a failure of the run itself. */
const RUN_DEADLINE_MS = 360_000;
const KEPT_LINES = 40;

/** A sandbox in which one run after another is made, until one of them goes wrong. */
export class Worker {
  readonly #sandboxed: Sandboxed;
  readonly #lines: string[] = [];
  #usable = true;
  #answer: (result: RunResult | null) => void = () => undefined;

  constructor(directory: string, keepsAll: boolean) {
    this.#sandboxed = spawnInSandbox(process.execPath, [ONE, directory, keepsAll ? 'always' : 'failed'], {
      stdio: 'pipe',
      hasInput: true,
    });
    const { stdin, stdout, stderr } = this.#sandboxed.process;
    // The end of the process says why nobody reads.
    stdin?.on('error', () => undefined);
    if (stdout !== null) createInterface({ input: stdout }).on('line', (line) => this.#take(line));
    if (stderr !== null) createInterface({ input: stderr }).on('line', (line) => this.#keep(line));
    this.#sandboxed.process.once('error', (error) => this.#keep(error.message));
    this.#sandboxed.process.once('close', () => {
      this.#usable = false;
      this.#answer(null);
    });
  }

  /** Whether another run can be made here. */
  get usable(): boolean {
    return this.#usable;
  }

  /** Does not reject: a run that does not end is a result, too. */
  async run(seed: number): Promise<RunResult> {
    if (!this.#usable) return noResult(seed, 0, this.#lines.join('\n'));
    const timer = setTimeout(() => this.end(), RUN_DEADLINE_MS);
    const begun = performance.now();
    const result = await new Promise<RunResult | null>((resolve) => {
      this.#answer = resolve;
      this.#sandboxed.process.stdin?.write(`${seed}\n`);
    });
    clearTimeout(timer);
    const ended = result ?? noResult(seed, (performance.now() - begun) / 1000, this.#lines.join('\n'));
    if (isSpoiled(ended)) this.end();
    return ended;
  }

  end(): void {
    this.#usable = false;
    this.#sandboxed.kill();
  }

  #take(line: string): void {
    if (line.startsWith(RESULT_MARK)) this.#answer(JSON.parse(line.slice(RESULT_MARK.length)) as RunResult);
    else this.#keep(line);
  }

  #keep(line: string): void {
    if (line.trim() !== '') this.#lines.push(line);
    this.#lines.splice(0, this.#lines.length - KEPT_LINES);
  }
}

function noResult(seed: number, seconds: number, output: string): RunResult {
  const plan = drawPlan(seed);
  const how = seconds * 1000 < RUN_DEADLINE_MS ? 'ended without a result' : `did not end within ${RUN_DEADLINE_MS} ms`;
  return {
    seed,
    configuration: configurationText(plan.configuration),
    faults: plan.faults.map(faultText),
    made: [],
    seconds: Math.round(seconds),
    phases: NO_TIME,
    cpuSeconds: 0,
    legal: false,
    unplanned: [],
    ended: [],
    void: '',
    broken: `${how}: ${output}`,
    kept: '',
  };
}
