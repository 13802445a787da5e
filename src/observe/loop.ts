import { sleep } from '../clock.ts';

export interface LoopOptions {
  /** One look; never rejects. */
  readonly look: () => Promise<void>;
  /** Pause between the end of a look and the begin of the next, read anew each time. */
  readonly pauseMs: () => number;
}

/** Nobody reads it; without a reason each abort makes an error with a stack. */
const WAKE = 'wake';

/** Looks again and again, never two at a time. */
export interface Loop {
  /** Resolves when a look that begins after this call has ended, or when the deadline has passed. */
  lookNow(deadlineMs: number): Promise<void>;
  /** Ends the pause at once. */
  wake(): void;
  stop(): void;
}

export function startLoop(options: LoopOptions): Loop {
  const stopping = new AbortController();
  const waiters = new Set<{ readonly turn: number; readonly resolve: () => void }>();
  let pause = new AbortController();
  let begun = 0;
  void run();
  return { lookNow, wake: () => pause.abort(WAKE), stop };

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      begun += 1;
      pause = new AbortController();
      await options.look();
      release(begun);
      await sleep(options.pauseMs(), pause.signal);
    }
    release(Number.POSITIVE_INFINITY);
  }

  function release(turn: number): void {
    for (const waiter of waiters) {
      if (waiter.turn > turn) continue;
      waiters.delete(waiter);
      waiter.resolve();
    }
  }

  async function lookNow(deadlineMs: number): Promise<void> {
    if (stopping.signal.aborted) return;
    const answered = new AbortController();
    const waiter = { turn: begun + 1, resolve: () => answered.abort(WAKE) };
    waiters.add(waiter);
    pause.abort(WAKE);
    await sleep(deadlineMs, answered.signal);
    waiters.delete(waiter);
  }

  function stop(): void {
    stopping.abort(WAKE);
    pause.abort(WAKE);
  }
}
