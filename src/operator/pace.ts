import type { Verdict } from '../api/reasons.ts';
import type { Picture } from '../domain/judge.ts';
import type { Question } from '../domain/evidence.ts';
import type { Decision } from '../domain/verdict.ts';
import type { Pace } from '../observe/watched.ts';
import type { Urgent } from '../observe/watcher.ts';

/** What every look counts for, and since when (monotonic ms) it has been like this. */
export interface Hurry {
  readonly about: string;
  readonly since: number;
}

/**
 * Something that has not changed for so long does not end within the next ten milliseconds either: a holder that somebody
 * keeps read-only, a VIP that nobody takes, a replica that applies for hours. What changes then is seen at the next probe.
 */
const HURRY_MS = 60_000;

/** Not null while something is under way: then each look may be the one that lets it go on. */
export function hurryOf(
  before: Hurry | null,
  { diagnosis, decisions }: Pick<Picture, 'diagnosis' | 'decisions'>,
  jobs: readonly string[],
  now: number,
): Hurry | null {
  // Nothing is decided before everything has answered once, and a process that begins has enough to do.
  if (!diagnosis.complete) return null;
  const underWay = jobs.length > 0 || decisions.some(({ verdict }) => verdict === 'HandingOver');
  if (!underWay && diagnosis.situation === 'Stable') return null;
  const verdicts = decisions.map(({ pod, verdict, reason }) => `${pod} ${verdict} ${reason}`);
  const about = [diagnosis.situation, ...verdicts, ...jobs].join('; ');
  return before?.about === about ? before : { about, since: now };
}

/**
 * Whose next look may be the one that lets it go on: the holder, as long as a replica waits for it, and the replicas that are
 * proven or were just acted upon, and do not wait for an answer from elsewhere. An execution looks at its replica by itself,
 * and what it is to see of the holder, that the replica is attached there, can wait. Each look costs the servers something,
 * and on a small machine they need it for the promotion itself.
 */
export function urgentOf(
  { diagnosis, decisions }: Pick<Picture, 'diagnosis' | 'decisions'>,
  jobs: ReadonlyMap<string, unknown>,
): Urgent {
  const { holder } = diagnosis;
  const isLeft = decisions.length === 0 || decisions.some(({ pod }) => !jobs.has(pod));
  const waits = ({ pod, questions }: Decision): boolean => jobs.has(pod) || questions.some(isElsewhere);
  const pods = decisions.filter((one) => UNDER_WAY.includes(one.verdict) && !waits(one));
  return {
    members: new Set(holder === null || !isLeft ? [] : [holder.member.name]),
    pods: new Set(pods.map(({ pod }) => pod)),
  };
}

/** What waits in a relay log is asked again and again while the replica applies it: the next look may be the one. */
function isElsewhere({ kind }: Question): boolean {
  return kind !== 'RelayRest';
}

const UNDER_WAY: readonly Verdict[] = ['HandingOver', 'Filling'];

/** In calm, and in what lasts, the servers are left in peace. */
export function paceOf(hurry: Hurry | null, now: number): Pace {
  return hurry !== null && now - hurry.since < HURRY_MS ? 'fast' : 'calm';
}
