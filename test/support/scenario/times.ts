/** Wall clock ms at which every scenario begins. */
export const START = Date.parse('2026-03-01T12:00:00.000Z');
const DAY_MS = 86_400_000;

/** Wall clock ms at which a server's life began. */
export function startOf(life: number): number {
  return START - DAY_MS + life * 60_000;
}
