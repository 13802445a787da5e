export interface Slots {
  /** Resolves with the function that gives the slot back; rejects when `signal` aborts first. First come, first served. */
  take(signal: AbortSignal): Promise<() => void>;
}

export function createSlots(count: number): Slots {
  let free = count;
  const waiting = new Set<() => void>();

  function give(): void {
    free += 1;
    const [next] = waiting;
    if (next === undefined) return;
    waiting.delete(next);
    next();
  }

  function take(signal: AbortSignal): Promise<() => void> {
    return new Promise((resolve, reject) => {
      function start(): void {
        signal.removeEventListener('abort', giveUp);
        free -= 1;
        resolve(give);
      }
      function giveUp(): void {
        waiting.delete(start);
        reject(new Error('aborted', { cause: signal.reason }));
      }
      if (signal.aborted) return giveUp();
      if (free > 0) return start();
      signal.addEventListener('abort', giveUp, { once: true });
      waiting.add(start);
    });
  }
  return { take };
}
