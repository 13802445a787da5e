import type { Holder } from './holder.ts';
import type { Refusal } from './memory.ts';
import type { ReplicaFacts } from './replica.ts';
import type { Decision } from './verdict.ts';

const REFUSALS: readonly string[] = ['Ahead', 'Behind', 'Purged', 'Diverged', 'Unproven'];

/**
 * A holder that writes has always logged something more that nobody has read yet. What was refused of a replica that did
 * not move, on that same server, is told until the new answer is there; it can only make mxr refuse.
 */
export function refusedAlready({ memory, standing }: ReplicaFacts, holder: Holder): Refusal | null {
  return memory.refusal?.about === about(standing.position, holder) ? memory.refusal : null;
}

export function refusalOf(decision: Decision, { standing }: ReplicaFacts, holder: Holder | null): Refusal | null {
  if (holder === null || !REFUSALS.includes(decision.verdict)) return null;
  const { verdict, reason, message, transactions } = decision;
  return { about: about(standing.position, holder), verdict, reason, message, transactions };
}

function about(position: string, { member }: Holder): string {
  return `${member.name} ${member.incarnation} ${position}`;
}
