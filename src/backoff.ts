export interface BackoffOptions {
  /** Delay after the first failure; doubles with each further one. */
  readonly baseMs: number;
  readonly maxMs: number;
}

/** Exponential with "equal jitter": between half and all of the step, so that retries spread but never come at once. */
export function backoffMs(failures: number, options: BackoffOptions, random: () => number): number {
  // 2 ** 30 keeps the product finite; maxMs cuts it anyway.
  const step = Math.min(options.maxMs, options.baseMs * 2 ** Math.min(Math.max(failures - 1, 0), 30));
  return step / 2 + (step / 2) * random();
}
