import type { Context } from './context.ts';
import type { Gtid, GtidState } from './gtid.ts';
import {
  beyond,
  formatGtid,
  gtidsOf,
  mergeStates,
  ofServer,
  sameGtid,
  stateHas,
  stateOf,
  stateOfPosition,
} from './gtid.ts';
import type { Holder } from './holder.ts';
import { binlogStateOf } from './memory.ts';
import type { MemberMemory, Memory } from './memory.ts';
import type { ServerLook } from './observation.ts';
import type { ProofInput, Refused, Undecided } from './proof.ts';
import { refused } from './proof.ts';
import type { ReplicaFacts } from './replica.ts';

/** What a server that logs what it applies has applied and not logged: the end of its binlog was lost, its rows were not. */
export function unloggedByTarget({ replica, holder, target }: ProofInput): Refused | Undecided | null {
  const shown = mergeStates(replica.contains, binlogStateOf(target));
  const unlogged = beyond(stateOfPosition(target.gtidSlavePos), shown);
  if (unlogged.length === 0) return null;
  const gtids = unlogged.map(formatGtid);
  const what = `${holder.member.name} has applied ${gtids.join(', ')}, which its own binlog does not show`;
  // While it applies, its position may be read a moment after its binlog.
  if (target.links.some((link) => link.sql === 'Yes'))
    return { kind: 'Undecided', reason: 'HandingOver', message: what };
  const message = `${what}: it lost the end of its binlog, and ${replica.pod} would never get it. Reseed ${replica.pod}; set sync_binlog=1 on the members`;
  return refused('Unproven', 'LostTail', message, { count: null, gtids });
}

/** An lsu=0 server that applies writes of its peer hides them from everybody who follows its binlog. */
export function hiddenWrites(input: Pick<ProofInput, 'replica' | 'holder' | 'target' | 'hasOwnId'>): Refused | null {
  const { replica, holder, target, hasOwnId } = input;
  if (target.logSlaveUpdates) return null;
  const shown = hasOwnId ? mergeStates(replica.contains, writtenBy(target)) : replica.contains;
  const hidden = beyond(stateOfPosition(target.gtidSlavePos), shown);
  if (hidden.length === 0) return null;
  const gtids = hidden.map(formatGtid);
  const message = `${holder.member.name} applied ${gtids.join(', ')} from another server and does not log what it applies: ${replica.pod} can never get it from there. Set log_slave_updates=1 on the members, stop the writes on the other side, and reseed the replica`;
  return refused('Unproven', 'HolderHidesPeerWrites', message, { count: null, gtids });
}

/** A peer that logs what it applies sends them back: they are noted, not applied, and the server's own binlog has them. */
function writtenBy(target: ServerLook): GtidState {
  return stateOf(ofServer(gtidsOf(binlogStateOf(target)), target.identity.serverId));
}

/** Whether a transaction under the holder's server id is surely its own: every other member was seen, with another id. */
export function hasOwnId({ observation, memory }: Pick<Context, 'observation' | 'memory'>, holder: Holder): boolean {
  const others = observation.members.filter(({ name }) => name !== holder.member.name);
  return others.every(({ name }) => {
    const seen = memory.members.get(name);
    return seen !== undefined && seen.identity.serverId !== holder.look?.identity.serverId;
  });
}

/**
 * What the holder of a replica took in since that was proven last, and never gives it: noted before, or shown by a look
 * that was remembered. The look may be all that an earlier process left: it died before it had a verdict.
 */
export function seenHidden(replica: ReplicaFacts, { member, look }: Holder, { members }: Memory): readonly Gtid[] {
  const { baseline, lacks } = replica.memory;
  const remembered = members.get(member.name);
  if (look === null || look.logSlaveUpdates || remembered === undefined) return [];
  const has = mergeStates(replica.contains, binlogStateOf(look));
  if (baseline === null)
    return takenInSinceFirstSight(replica, look, remembered).filter((gtid) => !stateHas(has, gtid));
  if (baseline.member !== member.name) return [];
  const { lineage, anchors } = remembered;
  const looks = lineage === baseline.lineage ? anchors.filter(({ at }) => at >= baseline.at) : [];
  const applied = looks.map(({ slavePos }) => stateOfPosition(slavePos));
  return beyond(mergeStates(stateOf(lacks), ...applied), has);
}

/** What it had applied before the replica was seen first is from the time before that was seeded; what came later is not. */
function takenInSinceFirstSight(
  { link, memory: { knownSince, lacks } }: ReplicaFacts,
  { identity }: ServerLook,
  { anchors }: MemberMemory,
): readonly Gtid[] {
  if (knownSince === null || link.sourceServerId !== identity.serverId) return lacks;
  const first = anchors.findLast(({ since }) => since <= knownSince) ?? anchors[0];
  const later = anchors.filter(({ since }) => since > knownSince).map(({ slavePos }) => stateOfPosition(slavePos));
  const before = first === undefined ? stateOf([]) : stateOfPosition(first.slavePos);
  return gtidsOf(mergeStates(stateOf(lacks), stateOf(beyond(mergeStates(...later), before))));
}

/**
 * A holder's position passes what it took in, at its own demotion at the latest, and then shows nothing of it. What a replica
 * on it was seen to lack it lacks until it gets it, or other data. Null: nothing.
 */
export function hiddenBefore(replica: ReplicaFacts, holder: Holder, memory: Memory): Refused | null {
  const { name } = holder.member;
  const gtids = seenHidden(replica, holder, memory).map(formatGtid);
  if (gtids.length === 0) return null;
  const message = `${name} has applied ${gtids.join(', ')} from another server, or may have while nobody watched, and does not log what it applies: ${replica.pod} never got it. Compare the data, then reseed ${replica.pod}, or RESET SLAVE ALL and configure its link again; set log_slave_updates=1 on the members`;
  return refused('Unproven', 'HolderHidesPeerWrites', message, { count: null, gtids });
}

/**
 * While nobody watched, another member wrote: it may have held the VIP. Its peer has that now, or not; without
 * log_slave_updates nothing shows it for certain, and a replica that followed the peer never got it.
 */
export function hiddenUnwatched(replica: ReplicaFacts, holder: Holder, memory: Memory): Refused | null {
  const { member, look } = holder;
  const baseline = replica.memory.baseline;
  if (look === null || look.logSlaveUpdates || baseline?.member !== member.name) return null;
  const took = memory.members.get(member.name)?.tookIn ?? null;
  if (took !== null && took.at >= baseline.at) return tookInBetween(replica, member.name, took.between);
  const wrote = [...memory.members.values()].flatMap(({ name, unwatched }) => {
    if (name === member.name || unwatched === null || unwatched.at < baseline.at) return [];
    const gtids = beyond(unwatched.own, replica.contains).map(formatGtid);
    return gtids.length === 0 ? [] : [{ name, gtids }];
  });
  const [first] = wrote;
  if (first === undefined) return null;
  const message = `${first.name} wrote ${first.gtids.join(', ')} while nobody watched; ${member.name} does not log what it applies, so whether it took that in cannot be seen, and ${replica.pod} never got it. Compare the data, then reseed ${replica.pod}; set log_slave_updates=1 on the members`;
  return refused('Unproven', 'HolderHidesPeerWrites', message, { count: null, gtids: first.gtids });
}

/**
 * The same of a replica that is to go to that holder: it would get what that wrote after it had taken something in, which it
 * hides. The numbers that its binlog lacks there are others'; a replica that has them got them elsewhere.
 */
export function hiddenInBetween({ replica, holder, targetMemory }: ProofInput): Refused | null {
  const [before, next] = targetMemory.tookIn?.between ?? [];
  if (before === undefined || next === undefined || stateHas(replica.contains, next)) return null;
  const has = [...(replica.contains.get(next.domain)?.values() ?? [])];
  if (has.some((seq) => seq + 1n >= next.seq)) return null;
  return tookInBetween(replica, holder.member.name, [before, next]);
}

/** Of another server its own binlog has the numbers before the second of these: it got them elsewhere. */
export function loggedBetween({ look, logged }: ReplicaFacts, [, next]: readonly Gtid[]): boolean {
  if (next === undefined || !look.logSlaveUpdates) return false;
  return [...(logged.get(next.domain) ?? [])].some(([id, seq]) => id !== next.serverId && seq + 1n >= next.seq);
}

export function tookInBetween({ pod }: ReplicaFacts, name: string, between: readonly Gtid[]): Refused {
  const gtids = between.map(formatGtid);
  const message = `the binlog of ${name} lacks the numbers between ${gtids.join(' and ')}: while nobody watched, it applied transactions of another server and does not log what it applies; ${pod} never got them. Compare the data, then reseed ${pod}, or RESET SLAVE ALL and configure its link again; set log_slave_updates=1 on the members`;
  return refused('Unproven', 'HolderHidesPeerWrites', message, { count: null, gtids });
}

/** Without log_slave_updates the server's own position may be something it applied: that is not in its binlog. */
export function appliedThere(target: ServerLook, gtid: Gtid): boolean {
  return !target.logSlaveUpdates && sameGtid(target.gtidSlavePos.get(gtid.domain), gtid);
}
