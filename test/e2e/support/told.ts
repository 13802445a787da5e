import { setTimeout as delay } from 'node:timers/promises';
import type { Stage } from './stage.ts';

const INTERVAL_MS = 50;

/** Notes every verdict that the resource shows of each replica, from now until `end`. */
export function noteVerdicts(stage: Stage): { end(): Promise<ReadonlyMap<string, ReadonlySet<string>>> } {
  const told = new Map<string, Set<string>>();
  let ended = false;
  const noting = note();
  return {
    async end() {
      ended = true;
      await noting;
      return told;
    },
  };

  async function note(): Promise<void> {
    while (!ended) {
      const status = await stage.status().catch(() => null);
      for (const { pod, verdict, reason } of status?.replicas ?? []) {
        const verdicts = told.get(pod) ?? new Set();
        told.set(pod, verdicts.add(`${verdict}/${reason}`));
      }
      await delay(INTERVAL_MS, undefined, { ref: false });
    }
  }
}
