import { readFileSync, readdirSync } from 'node:fs';

const TICKS_PER_SECOND = 100;
/** After the name, which may hold anything: utime, stime, cutime and cstime, see proc(5). */
const TIMES = [11, 12, 13, 14] as const;

/**
 * What every process of this sandbox has used so far, those that have ended among them: their parents keep their time. On
 * a busy machine it says what the wall clock does not.
 */
export function cpuSeconds(): number {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.reduce((sum, pid) => sum + ticksOf(pid), 0) / TICKS_PER_SECOND;
}

function ticksOf(pid: string): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return TIMES.reduce((sum, index) => sum + Number(fields[index]), 0);
  } catch {
    // It has ended meanwhile.
    return 0;
  }
}
