import type { Clock } from '../clock.ts';
import type { Health } from './web.ts';

/** Whether the loop makes progress: it beats, and who asks learns whether the last beat is recent enough. */
export interface Progress {
  beat(): void;
  health(): Health;
}

/** Alive from its making on, so that a slow start counts from there. */
export function createProgress(clock: Clock, limitMs: number): Progress {
  let lastMs = clock.monotonicMs();
  return {
    beat: () => {
      lastMs = clock.monotonicMs();
    },
    health: () => {
      const silentMs = Math.round(clock.monotonicMs() - lastMs);
      if (silentMs <= limitMs) return { ok: true, detail: `the loop made progress ${silentMs} ms ago` };
      return { ok: false, detail: `the loop made no progress for ${silentMs} ms; ${limitMs} ms are allowed` };
    },
  };
}
