import type { Clock } from '../clock.ts';

/** Of the whole process. A hedge costs about a third of a ms: a thousand silent VIPs must not eat the processor. */
const HEDGES_PER_SECOND = 400;

/** Shared by all watchers of a process: true as long as another hedge may be begun now. */
export function createHedgeBudget(clock: Clock, perSecond = HEDGES_PER_SECOND): () => boolean {
  const burst = perSecond / 4;
  let left = burst;
  let at = clock.monotonicMs();
  return () => {
    const now = clock.monotonicMs();
    left = Math.min(burst, left + ((now - at) * perSecond) / 1_000);
    at = now;
    if (left < 1) return false;
    left -= 1;
    return true;
  };
}
