import { monotonicMs } from '../support/monotonic.ts';

/** What a run does, one after the other. */
export const PHASES = ['bench', 'adoption', 'storm', 'calm', 'rest', 'judge', 'down'] as const;
export type Phase = (typeof PHASES)[number];
export type Seconds = Readonly<Record<Phase, number>>;

export const NO_TIME: Seconds = { bench: 0, adoption: 0, storm: 0, calm: 0, rest: 0, judge: 0, down: 0 };

/** Where the time of a run goes. */
export class Waterfall {
  readonly #spentMs: Record<Phase, number> = { ...NO_TIME };
  #phase: Phase = 'bench';
  #since = monotonicMs();

  enter(phase: Phase): void {
    const now = monotonicMs();
    this.#spentMs[this.#phase] += now - this.#since;
    this.#phase = phase;
    this.#since = now;
  }

  seconds(): Seconds {
    this.enter(this.#phase);
    return Object.fromEntries(PHASES.map((phase) => [phase, toSeconds(this.#spentMs[phase])])) as Seconds;
  }
}

export function phasesText(seconds: Seconds): string {
  return PHASES.map((phase) => `${phase} ${seconds[phase].toFixed(1)}`).join(', ');
}

/** Of many runs. */
export function meanOf(many: readonly Seconds[]): Seconds {
  const mean = (phase: Phase): number => many.reduce((sum, one) => sum + one[phase], 0) / Math.max(1, many.length);
  return Object.fromEntries(PHASES.map((phase) => [phase, mean(phase)])) as Seconds;
}

function toSeconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}
