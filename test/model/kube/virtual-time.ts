import { setImmediate as turn } from 'node:timers/promises';
import type { Clock } from '../../../src/clock.ts';
import type { Timers } from '../../../src/kube/timers.ts';

interface Due {
  readonly atMs: number;
  readonly order: number;
  readonly run: () => void;
}

/** True time of a simulated world: moves only when told to, and only after everything that was due has happened. */
export class VirtualTime {
  #nowMs = 0;
  #order = 0;
  readonly #due = new Set<Due>();

  get nowMs(): number {
    return this.#nowMs;
  }

  readonly timers: Timers = {
    after: (ms, run) => {
      const due = { atMs: this.#nowMs + Math.max(ms, 0), order: this.#order, run };
      this.#order += 1;
      this.#due.add(due);
      return () => this.#due.delete(due);
    },
  };

  readonly clock: Clock = { monotonicMs: () => this.#nowMs, wallMs: () => 1_700_000_000_000 + this.#nowMs };

  /** Lets promises settle, then runs what is due, one at a time, until `untilMs`. */
  async runUntil(untilMs: number, afterEach: () => void = () => undefined): Promise<void> {
    for (;;) {
      await turn();
      const next = this.#next();
      if (next === undefined || next.atMs > untilMs) break;
      this.#due.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
      await turn();
      afterEach();
    }
    this.#nowMs = untilMs;
    afterEach();
  }

  #next(): Due | undefined {
    let first: Due | undefined;
    for (const due of this.#due) {
      if (first === undefined || due.atMs < first.atMs || (due.atMs === first.atMs && due.order < first.order))
        first = due;
    }
    return first;
  }
}

/** A process of the simulated world: its clock has a rate of its own, and it can be frozen (its clock goes on). */
export class VirtualProcess {
  readonly #time: VirtualTime;
  readonly #rate: number;
  #frozenUntilMs = 0;
  #dead = false;

  constructor(time: VirtualTime, rate: number) {
    this.#time = time;
    this.#rate = rate;
  }

  freeze(ms: number): void {
    this.#frozenUntilMs = Math.max(this.#frozenUntilMs, this.#time.nowMs + ms);
  }

  kill(): void {
    this.#dead = true;
  }

  get frozen(): boolean {
    return this.#time.nowMs < this.#frozenUntilMs;
  }

  readonly clock: Clock = {
    monotonicMs: () => this.#time.nowMs * this.#rate,
    wallMs: () => 1_700_000_000_000 + this.#time.nowMs,
  };

  readonly timers: Timers = { after: (ms, run) => this.#time.timers.after(ms / this.#rate, () => this.whenAwake(run)) };

  /** Everything that reaches a frozen process waits until it wakes; a dead one hears nothing. */
  whenAwake(run: () => void): void {
    if (this.#dead) return;
    if (this.frozen) this.#time.timers.after(this.#frozenUntilMs - this.#time.nowMs, () => this.whenAwake(run));
    else run();
  }
}
