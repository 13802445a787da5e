import type { Context } from './context.ts';
import { linkTarget } from './context.ts';
import { formatPosition } from './gtid.ts';
import type { Holder } from './holder.ts';
import { linkOf } from './observation.ts';
import type { ReplicaObservation } from './observation.ts';
import { planRelink } from './plan.ts';
import type { Proven } from './proof.ts';
import type { Decision } from './verdict.ts';
import { decide } from './verdict.ts';

export const ER_ACCESS_DENIED = 1045;

/**
 * A link that logs in with an account that was changed lives until its next reconnect. It is written anew before that, at
 * the place where it is: in calm and one replica at a time, so that an account which does not work from there costs one.
 */
export function relinked(context: Context, holder: Holder, decision: Decision): Decision {
  const { replica, relink, busy, diagnosis, observation } = context;
  if (!relink.has(replica.pod) || decision.verdict !== 'Following' || diagnosis.situation !== 'Stable') return decision;
  if (busy.size > 0 || observation.replicas.some((one) => isLockedOut(context, one))) return decision;
  const proven: Proven = {
    kind: 'Proven',
    proof: 'SameServer',
    gtid: replica.position,
    at: replica.link.exec,
    contains: replica.contains,
    because: `attached to ${holder.member.name} at ${formatPosition(replica.position)}: its link gets the account that the Secret has now`,
  };
  const parts = {
    pod: replica.pod,
    from: holder.member.name,
    trigger: 'Resume',
    proven,
    target: linkTarget(context, replica, holder),
    positioning: context.policy.positioning,
    received: replica.received,
  } as const;
  return decide(replica.pod, 'HandingOver', 'HandingOver', proven.because, { plan: planRelink(parts, replica.link) });
}

function isLockedOut({ policy }: Context, { look }: ReplicaObservation): boolean {
  return look.known && linkOf(look.value, policy.channel)?.ioErrno === ER_ACCESS_DENIED;
}

/** The account that it has is refused, and another one is there: that cures it. */
export function isCuredByRelink({ relink, replica }: Context): boolean {
  return relink.has(replica.pod) && replica.link.ioErrno === ER_ACCESS_DENIED;
}
