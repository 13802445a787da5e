import type { Verdict } from '../api/reasons.ts';
import type { Decision } from './verdict.ts';

/** What a verdict says of a pod's place in the read Service: `keep` leaves it as it is. */
const SERVING: Readonly<Record<Verdict, 'in' | 'out' | 'keep'>> = {
  Following: 'in',
  CatchingUp: 'in',
  // The rows may not be the source's: nobody reads them until that is proven.
  Diverged: 'out',
  Ahead: 'out',
  LocalConflict: 'out',
  Unproven: 'out',
  Unseeded: 'out',
  Reseeding: 'out',
  // The rows are the source's, of an earlier moment: an unreachable source alone empties nothing.
  ApplierFailed: 'keep',
  Purged: 'keep',
  Behind: 'keep',
  Frozen: 'keep',
  LinkBroken: 'keep',
  Unreachable: 'keep',
  StoppedByHand: 'keep',
  Waiting: 'keep',
  AwaitingApproval: 'keep',
  Filling: 'keep',
  HandingOver: 'keep',
  Suspended: 'keep',
};

/**
 * Whether a pod is to carry the label `mxr.dev/serving`. By its own verdict only (invariant 11), and by its age where the
 * user set a limit; `stalenessSeconds` is the time since it last had everything, null while unknown.
 */
export function mayServe(
  decision: Decision,
  now: { readonly serving: boolean; readonly stalenessSeconds: number | null },
  maxStalenessSeconds: number,
): boolean {
  const rule = SERVING[decision.verdict];
  if (rule === 'out') return false;
  const tooOld =
    maxStalenessSeconds > 0 && (now.stalenessSeconds === null || now.stalenessSeconds > maxStalenessSeconds);
  if (tooOld) return false;
  return rule === 'in' || now.serving;
}
