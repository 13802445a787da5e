import { join } from 'node:path';

const CLOCK = join(import.meta.dirname, 'clock-shift.ts');
const HOUR_MS = 3_600_000;

/** What a process of Node.js is started with so that its wall clock is off. */
export interface Shifted {
  /** Before its program. */
  readonly flags: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

export function shifted(hours: number): Shifted {
  if (hours === 0) return { flags: [], env: {} };
  return { flags: ['--import', CLOCK], env: { CLOCK_SHIFT_MS: String(hours * HOUR_MS) } };
}
