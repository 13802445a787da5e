import { setTimeout as delay } from 'node:timers/promises';

export interface UntilOptions {
  /** How long the condition may take; default 30 s. */
  readonly deadlineMs?: number;
  /** Pause between two tries; default 50 ms. */
  readonly intervalMs?: number;
}

/**
 * Repeats `check` until it returns something other than `false` and `undefined`, and returns that. When the deadline
 * passes, the error says what did not happen and what the last try threw. `check` must bound itself.
 */
export async function until<T>(
  description: string,
  check: () => T | Promise<T>,
  options: UntilOptions = {},
): Promise<Exclude<T, false | undefined | void>> {
  const { deadlineMs = 30_000, intervalMs = 50 } = options;
  const start = performance.now();
  let failure: unknown;
  for (;;) {
    try {
      const value = await check();
      if (value !== false && value !== undefined) return value as Exclude<T, false | undefined | void>;
      failure = undefined;
    } catch (error) {
      failure = error;
    }
    if (performance.now() - start >= deadlineMs) {
      const last = failure instanceof Error ? `: ${failure.message}` : '';
      throw new Error(`did not happen within ${deadlineMs} ms: ${description}${last}`, { cause: failure });
    }
    await delay(intervalMs);
  }
}
