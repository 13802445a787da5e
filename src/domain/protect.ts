import type { Context } from './context.ts';
import { baselineMember, dialsVip, memberOf } from './context.ts';
import type { Plan } from './plan.ts';
import { planStopReceiving } from './plan.ts';

export const WAITING = [
  'VipSilent',
  'AllDown',
  'DatabaseDown',
  'HolderRestarted',
  'HolderReadOnly',
  'HolderStillApplying',
];

/**
 * Before MariaDB's own reconnect can end elsewhere, or on another lineage of the same server. On a Member link receiving
 * goes on while the old holder's server lives and is the incarnation that the replica follows: it is the fill.
 */
export function mustStopReceiving(context: Context): boolean {
  const { replica, policy, diagnosis } = context;
  if (replica.link.io === 'No') return false;
  if (dialsVip(replica, policy) || replica.link.io !== 'Yes') return true;
  const source = memberOf(context, baselineMember(replica));
  if (source === undefined || !source.look.known) return true;
  const restarted = diagnosis.situation === 'HolderRestarted' && diagnosis.holder?.member.name === source.name;
  return restarted || context.memory.members.get(source.name)?.inQuestion === true;
}

/** Its applier failed, and still it does not go on receiving from whoever answers next; once it applies, it is resumed. */
export function protect(context: Context): Plan | null {
  const { replica, diagnosis, policy } = context;
  const { situation, holder } = diagnosis;
  const source = baselineMember(replica);
  if (source === null || replica.link.io === 'No') return null;
  const isCalm = situation === 'HolderReadOnly' && holder?.member.name === source;
  const isSplit = situation === 'SplitBrain' || (situation === 'HolderUnknown' && dialsVip(replica, policy));
  const stop = isSplit || (WAITING.includes(situation) && !isCalm && mustStopReceiving(context));
  return stop ? planStopReceiving(replica.pod, source) : null;
}
