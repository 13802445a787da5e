import { valueOf } from './fact.ts';
import { sameIncarnation } from './memory.ts';
import type { Identity, MemberObservation, Observation } from './observation.ts';
import { comparable, databaseSeenAt } from './published.ts';

/** What the publishers say of who holds the VIP. */
export interface Testimony {
  /** The member that is told; null: none. */
  readonly member: MemberObservation | null;
  /** Why nobody may be taken for the holder, by `match` either; null: nothing speaks against it. */
  readonly doubt: string | null;
}

/** The server that answers behind the VIP. */
export interface Answering {
  readonly identity: Identity;
  /** Members that were this very server in a life before, or may have been; all of them where none was. */
  readonly mayBe: readonly string[];
}

const SILENT: Testimony = { member: null, doubt: null };

/**
 * Among members that no lock tells: the one whose publisher says that its host has the VIP, and whose server is the very
 * one that answers there. A publisher can lie, lag, or run beside another server, so it only ever names a member that
 * nothing contradicts: no other publisher, and no `match`.
 */
export function toldByPublisher(
  { vip, members }: Observation,
  candidates: readonly MemberObservation[],
  answering: Answering,
  matched: readonly MemberObservation[],
): Testimony {
  const since = vip.answersSince;
  const claiming = since === null ? [] : candidates.filter((member) => claimsVip(member, since));
  const [claimant] = claiming;
  if (claimant === undefined || since === null) return SILENT;
  if (claiming.length > 1) {
    const names = claiming.map(({ name }) => name).join(' and ');
    return doubt(`the publishers of ${names} each say that their own host has the VIP; find out which of them has it`);
  }
  const contradicted = contradictedByMatch(claimant, matched);
  if (contradicted !== null) return doubt(contradicted);
  const flaw = flawOf(claimant, members, answering, since);
  if (flaw === null) return { member: claimant, doubt: null };
  // What names it without the publisher stands.
  if (matched.includes(claimant)) return SILENT;
  return doubt(`the publisher of ${claimant.name} says that its host has the VIP, but ${flaw}`);
}

function doubt(why: string): Testimony {
  return { member: null, doubt: why };
}

/** An answer to a question from before the VIP answered as it does now is about somebody else's time. */
function claimsVip({ publisher }: MemberObservation, answersSince: number): boolean {
  return publisher?.known === true && publisher.value.vipHeld === true && publisher.at >= answersSince;
}

function contradictedByMatch(claimant: MemberObservation, matched: readonly MemberObservation[]): string | null {
  const [other] = matched;
  const says = `the publisher of ${claimant.name} says that its host has the VIP`;
  const cure = 'correct members[].match, or members[].publisher.url';
  if (other !== undefined && !matched.includes(claimant)) return `${says}, and match names ${other.name}: ${cure}`;
  const { match } = claimant;
  const isSet = match !== null && (match.hostname !== '' || match.serverId !== 0);
  if (!isSet || matched.includes(claimant)) return null;
  return `${says}, and the server that answers is not what match says of ${claimant.name}: ${cure}`;
}

/** Why what it says does not prove that this member answers behind the VIP; null: it does. */
function flawOf(
  claimant: MemberObservation,
  members: readonly MemberObservation[],
  { identity, mayBe }: Answering,
  answersSince: number,
): string | null {
  const fact = claimant.publisher;
  const said = valueOf(fact);
  if (fact?.known !== true || said === undefined) return 'it no longer answers';
  const { name } = claimant;
  if (isOfAnother(claimant, members)) {
    return `it runs beside ${said.member}: correct members[].publisher.url of ${name}`;
  }
  // A direct look says more than it does, and says something else.
  if (claimant.look.known) return `${name} itself answers, and not as the server behind the VIP`;
  if (said.identity === null || databaseSeenAt(fact) < answersSince) {
    return 'its database has not answered it since the VIP answers as it does now';
  }
  if (sameIncarnation(comparable(said.identity, identity), identity)) {
    return mayBe.includes(name)
      ? null
      : `the server that answers there was ${mayBe[0]} before, and is only started anew`;
  }
  const { hostname, serverId, startedAt } = said.identity;
  const what = `${hostname || 'a server without a hostname'} (server_id ${serverId}, started ${new Date(startedAt).toISOString()})`;
  return `it speaks of another server than the one that answers there: ${what}`;
}

/** Its publisher says that it runs beside another member. A name that is nobody's is only a name. */
export function isOfAnother({ name, publisher }: MemberObservation, members: readonly MemberObservation[]): boolean {
  const told = valueOf(publisher)?.member;
  return told !== undefined && told !== name && members.some((member) => member.name === told);
}
