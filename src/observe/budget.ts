import type { Clock } from '../clock.ts';

/** Of the whole process. A hedge costs about a third of a ms: a thousand silent VIPs must not eat the processor. */
export const HEDGES_PER_SECOND = 200;
/**
 * Looks beyond one per probe interval, of the whole process: one handover takes some four hundred a second. When a hundred
 * pairs fail at once, all of them go on at their probe interval, and share what there is.
 */
export const HURRIED_LOOKS_PER_SECOND = 1_000;

/** Shared by all watchers of a process: true as long as another one may be begun now. */
export function createBudget(clock: Clock, perSecond: number): () => boolean {
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
