import { valueOf } from './fact.ts';
import { sameIncarnation, sameServer } from './memory.ts';
import type { Memory } from './memory.ts';
import type { Identity, MemberObservation, Observation, ServerLook, VipLook } from './observation.ts';
import { toldByPublisher } from './told-by-publisher.ts';

/** The member that answers behind the VIP, and how that is known. */
export interface Holder {
  readonly member: MemberObservation;
  /** `Lock`: the same process, exactly. The others compare what servers say of themselves. */
  readonly knownBy: 'Lock' | 'Identity' | 'Publisher' | 'Match';
  /** What is known of the holder as a server: its direct look, else the VIP session's. Null: only its identity. */
  readonly look: ServerLook | null;
  /** Monotonic ms when that look began. */
  readonly lookAt: number;
  readonly readOnly: boolean;
}

export type HolderFinding =
  | { readonly kind: 'Found'; readonly holder: Holder }
  | { readonly kind: 'NoneOfTheMembers'; readonly identity: Identity; readonly why: string }
  | { readonly kind: 'Silent' };

/**
 * Who holds the VIP, from the newest fresh VIP connection. A lock answer is exact in both directions: the member whose
 * lock the answering server sees *is* it, and one whose live lock it does not see is not (equal hostnames, server ids
 * and uids of clones cannot confuse it). Only members that could not be asked directly are told by their identity, else by
 * what their publishers say, else by `match`.
 */
export function findHolder(observation: Observation, memory: Memory): HolderFinding {
  const vip = observation.vip.look;
  if (!vip.known) return { kind: 'Silent' };
  const byLock = observation.members.find((member) => lockVerdict(member, vip.value, vip.at) === 'same');
  if (byLock !== undefined) return { kind: 'Found', holder: holder(byLock, 'Lock', vip.value, vip.at) };

  const candidates = observation.members.filter((member) => lockVerdict(member, vip.value, vip.at) === 'unknown');
  const byIdentity = candidates.filter((member) => identityFits(member, memory, vip.value.identity));
  const [only] = byIdentity;
  if (byIdentity.length === 1 && only !== undefined) {
    return { kind: 'Found', holder: holder(behindVip(only, memory, vip.value), 'Identity', vip.value, vip.at) };
  }
  const { identity } = vip.value;
  const byMatch = candidates.filter((member) => matchFits(member, identity));
  const answering = { identity, mayBe: mayBe(observation, memory, identity) };
  const told = toldByPublisher(observation, byIdentity.length > 1 ? byIdentity : candidates, answering, byMatch);
  if (told.member !== null) {
    return { kind: 'Found', holder: holder(behindVip(told.member, memory, vip.value), 'Publisher', vip.value, vip.at) };
  }
  const [matched] = byMatch;
  if (told.doubt === null && byMatch.length === 1 && matched !== undefined) {
    return { kind: 'Found', holder: holder(behindVip(matched, memory, vip.value), 'Match', vip.value, vip.at) };
  }
  return { kind: 'NoneOfTheMembers', identity, why: told.doubt ?? whyNone(byIdentity.length + byMatch.length) };
}

/** Members that are remembered as this server, restarted or not, or of which nothing is remembered that says another one. */
function mayBe({ members }: Observation, memory: Memory, identity: Identity): readonly string[] {
  const known = members.map(({ name }) => ({ name, was: memory.members.get(name)?.identity }));
  const isOne = known.some(({ was }) => was !== undefined && sameServer(was, identity));
  return known.flatMap(({ name, was }) => (!isOne || was === undefined || sameServer(was, identity) ? [name] : []));
}

function whyNone(fits: number): string {
  return fits > 1
    ? 'more than one member fits what the answering server says of itself; make them reachable directly, or set members[].match or members[].publisher'
    : 'the answering server is none of the members: check spec.source.members, or set members[].match or members[].publisher where only the VIP is routed';
}

/** `same` and `other` need a live lock of ours that was taken before the VIP was asked. */
function lockVerdict(member: MemberObservation, vip: VipLook, vipAt: number): 'same' | 'other' | 'unknown' {
  if (member.lockHeldBy === null || !member.look.known) return 'unknown';
  if (vip.lockOwners[member.name] === member.lockHeldBy) return 'same';
  return member.look.at < vipAt ? 'other' : 'unknown';
}

function identityFits(member: MemberObservation, memory: Memory, identity: Identity): boolean {
  const direct = valueOf(member.look)?.identity;
  const remembered = memory.members.get(member.name)?.identity;
  return [direct, remembered].some((known) => known !== undefined && sameIncarnation(known, identity));
}

function matchFits(member: MemberObservation, identity: Identity): boolean {
  const match = member.match;
  if (match === null || (match.hostname === '' && match.serverId === 0)) return false;
  return (
    (match.hostname === '' || match.hostname === identity.hostname) &&
    (match.serverId === 0 || match.serverId === identity.serverId)
  );
}

/** Nobody counts the lives of a server that is seen behind the VIP only: its start time names them. */
function behindVip(member: MemberObservation, memory: Memory, { identity }: VipLook): MemberObservation {
  if (member.look.known || member.incarnation !== 0) return member;
  const remembered = memory.members.get(member.name)?.identity;
  const same = remembered !== undefined && sameIncarnation(remembered, identity);
  return { ...member, incarnation: (same ? remembered : identity).startedAt };
}

function holder(member: MemberObservation, knownBy: Holder['knownBy'], vip: VipLook, vipAt: number): Holder {
  const direct = member.look;
  if (direct.known && (vip.look === null || direct.at >= vipAt)) {
    return { member, knownBy, look: direct.value, lookAt: direct.at, readOnly: direct.value.readOnly };
  }
  if (vip.look !== null) return { member, knownBy, look: vip.look, lookAt: vipAt, readOnly: vip.readOnly };
  if (direct.known) return { member, knownBy, look: direct.value, lookAt: direct.at, readOnly: vip.readOnly };
  return { member, knownBy, look: null, lookAt: vipAt, readOnly: vip.readOnly };
}
