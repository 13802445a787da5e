import { sameServer } from './memory.ts';
import type { MemberObservation, Observation } from './observation.ts';
import { comparable } from './published.ts';
import { isOfAnother } from './told-by-publisher.ts';

/** In a move the one host has the address for a moment after the other one took it. */
const CLAIM_MS = 1_000;

/**
 * Members whose publishers say that their own host has the VIP while that of the holder says it of its host, too, all of
 * them writable. A publisher can lie: that only ever makes the replicas wait.
 */
export function claimingHosts(observation: Observation, holder: MemberObservation): readonly string[] {
  const first = claimOf(observation, holder);
  if (first === null) return [];
  return observation.members.flatMap((member) => {
    const claim = member.name === holder.name ? null : claimOf(observation, member);
    if (claim === null) return [];
    const bothFor = Math.min(first.until, claim.until) - Math.max(first.since, claim.since);
    return bothFor >= CLAIM_MS ? [member.name] : [];
  });
}

/** Monotonic ms: since when its publisher says so, and the last moment at which that was true of a writable server. */
interface Claim {
  readonly since: number;
  readonly until: number;
}

function claimOf({ members }: Observation, member: MemberObservation): Claim | null {
  const { publisher, look } = member;
  if (publisher?.known !== true || !look.known || look.value.readOnly || isOfAnother(member, members)) return null;
  const { vipHeld, vipHeldSince, databaseAnswers, identity } = publisher.value;
  if (vipHeld !== true || !databaseAnswers || identity === null) return null;
  const own = look.value.identity;
  if (!sameServer(comparable(identity, own), own)) return null;
  return { since: vipHeldSince, until: Math.min(publisher.at, look.at) };
}
