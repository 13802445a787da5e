import { ofChannel } from './channels.ts';
import { memberIds } from './context.ts';
import type { GtidPosition } from './gtid.ts';
import { mergeStates, samePosition, stateOfPosition } from './gtid.ts';
import { findHolder } from './holder.ts';
import type { Baseline, Memory, MemberMemory, ReplicaMemory } from './memory.ts';
import { containedByFollowing, followedBefore, NEW_REPLICA, START_TIME_TOLERANCE_MS } from './memory.ts';
import type { Coordinates, Link, Observation, ServerLook } from './observation.ts';
import { compareCoordinates, linkOf } from './observation.ts';
import type { Fill } from './plan.ts';
import { sameDial } from './plan.ts';

/** What an open handover wanted of one replica: proven, and stored before the first statement (handover.md, Steps). */
export interface Intended {
  readonly member: string;
  readonly lineage: string;
  /** Wall clock ms: the life of the member that the proof was made for. */
  readonly startedAt: number;
  readonly gtid: GtidPosition;
  readonly at: Coordinates | null;
  /** Wall clock ms: the life of the replica in which it was planned; its link did not run there on its own. */
  readonly replicaStartedAt: number | null;
  /** Not the move itself but what comes before it: the replica is filled from this donor. */
  readonly fill?: Fill;
}

interface Input {
  readonly observation: Observation;
  readonly memory: Memory;
  readonly intended: ReadonlyMap<string, Intended>;
  readonly policy: { readonly channel: string; readonly positioning: 'GTID' | 'FilePosition' };
  readonly busy: ReadonlyMap<string, unknown>;
}

/**
 * Whoever carried out the CHANGE of an intent may have died, or failed, before anybody could note it. Where the replica's
 * link shows that it was done, the replica stands on the intent's lineage now: what was known of the place before is over.
 */
export function settleIntents(input: Input): Memory {
  const replicas = new Map(input.memory.replicas);
  for (const observed of input.observation.replicas) {
    const intent = input.intended.get(observed.pod);
    if (intent === undefined || !observed.look.known || input.busy.has(observed.pod)) continue;
    const known = replicas.get(observed.pod) ?? { pod: observed.pod, ...NEW_REPLICA };
    const { channel } = input.policy;
    const look = ofChannel(observed.look.value, channel, memberIds(input.memory));
    const link = linkOf(look, channel);
    const before =
      link === undefined
        ? known
        : { ...startedByIntent(known, look, intent, link), haltedSince: haltedBy(input, known, link) };
    replicas.set(observed.pod, before);
    // A fill brings it nowhere: it stays on the history that it was proven on.
    if (intent.fill !== undefined || link === undefined || !wasCarriedOut(input, before, intent, { look, link }))
      continue;
    // An adoption stops where the replica had got to by then: at the place of the intent, or beyond it.
    const fits = before.baseline === null ? hasReached(look, intent) : isAsIntended(input, look, intent, link);
    if (!fits) continue;
    const clearedFor = clearedBy(input, intent) ?? before.clearedFor;
    const baseline = baselineOf(input, before, intent);
    const followed = followedBefore(before, baseline.lineage, baseline.contains);
    replicas.set(observed.pod, { ...before, captured: null, baseline, clearedFor, followed });
  }
  return { ...input.memory, replicas };
}

/**
 * Both threads stopped under an open intent, or about to stop at the end that a fill gave them: that stays ours when the
 * intent is closed, else it would look done by hand.
 */
function haltedBy({ observation }: Input, { haltedSince }: ReplicaMemory, { io, sql, until }: Link): number | null {
  const stops = (io === 'No' && sql === 'No') || until !== undefined;
  return stops ? (haltedSince ?? observation.wallNow) : haltedSince;
}

/** What runs in the life in which it was planned was started by that plan: nobody may have lived to remember it. */
function startedByIntent(memory: ReplicaMemory, look: ServerLook, intent: Intended, { io, sql }: Link): ReplicaMemory {
  const { startedAt } = look.identity;
  const life = intent.replicaStartedAt;
  if (life === null || (io === 'No' && sql === 'No')) return memory;
  return Math.abs(life - startedAt) <= START_TIME_TOLERANCE_MS ? { ...memory, startedAt } : memory;
}

/** Somebody else may have pointed it there, at another place or in another way: that is not what was proven. */
function isAsIntended({ policy }: Input, look: ServerLook, intent: Intended, link: Link): boolean {
  if ((link.usingGtid === 'No') === (policy.positioning === 'GTID')) return false;
  if (isNotConnected(link)) return samePosition(look.gtidSlavePos, intent.gtid);
  if (link.usingGtid === 'No' && (intent.at === null || !(compareCoordinates(link.exec, intent.at) >= 0))) return false;
  return hasReached(look, intent);
}

function hasReached({ gtidSlavePos }: ServerLook, { gtid }: Intended): boolean {
  return [...gtid.values()].every(({ domain, seq }) => (gtidSlavePos.get(domain)?.seq ?? -1n) >= seq);
}

/** After CHANGE by GTID it names no file until it has connected: no reconnect makes a link look so. */
function isNotConnected({ usingGtid, io, exec }: Link): boolean {
  return usingGtid !== 'No' && io !== 'Yes' && exec.file === '';
}

function isNotStarted(link: Link): boolean {
  return isNotConnected(link) && link.io === 'No' && link.sql === 'No';
}

interface Shown {
  readonly look: ServerLook;
  readonly link: Link;
}

function isLifeOfReplica({ identity }: ServerLook, { replicaStartedAt }: Intended): boolean {
  return replicaStartedAt !== null && Math.abs(replicaStartedAt - identity.startedAt) <= START_TIME_TOLERANCE_MS;
}

function wasCarriedOut(input: Input, known: ReplicaMemory, intent: Intended, { look, link }: Shown): boolean {
  const { observation } = input;
  const { baseline } = known;
  if (baseline?.member === intent.member && baseline.lineage === intent.lineage) return false;
  if (baseline === null) return wasAdopting(input, known, intent, { look, link });
  const target = observation.members.find((member) => member.name === intent.member);
  if (target === undefined || baseline.member === intent.member) return false;
  if (sameDial(link, target)) return true;
  // Through the VIP a link that runs may have reconnected by itself, before or beyond the intended place: that is proven
  // anew like any other. Only what no reconnect can make is taken for ours.
  const dialsMember = observation.members.some((member) => sameDial(member, link));
  return !dialsMember && isNotStarted(link);
}

/**
 * An adoption that began: after CHANGE, or where its server does not hold the VIP any more, what it had proven of the
 * place still holds, and an ordinary handover follows. Else the link goes on as it was (`restore`) and is looked at anew.
 */
function wasAdopting(input: Input, known: ReplicaMemory, intent: Intended, { look, link }: Shown): boolean {
  const { observation, memory } = input;
  // Other data since, or another life of its server: nobody adopts what a person is loading there.
  if (known.forgotten !== null || !isLifeOfReplica(look, intent)) return false;
  if (dialsAnother(observation, intent, link)) return false;
  const target = observation.members.find((member) => member.name === intent.member);
  const dialsTarget = link.host === target?.host && link.port === target.port;
  // It was changed and started, and cannot reach the member from there: through the VIP it may.
  if (dialsTarget && isNotConnected(link)) return true;
  if (link.ioErrno !== 0) return false;
  if (isNotStarted(link)) return true;
  const found = findHolder(observation, memory);
  const isThere = found.kind === 'Found' && found.holder.member.name === intent.member && isLifeOf(memory, intent);
  const isUnsure = found.kind === 'Silent' && observation.vip.failures < 2;
  if (isThere || isUnsure) return false;
  return link.io === 'No' || dialsTarget;
}

/** Whether the intent's member still is the server, in the very life, that it was proven on. */
export function isLifeOf({ members }: Memory, { member, lineage, startedAt }: Intended): boolean {
  const target = members.get(member);
  if (target?.lineage !== lineage || target.inQuestion) return false;
  return Math.abs(target.identity.startedAt - startedAt) <= START_TIME_TOLERANCE_MS;
}

function dialsAnother({ members }: Observation, { member }: Intended, { host, port }: Link): boolean {
  return members.some((other) => other.name !== member && other.host === host && other.port === port);
}

/** The restarts before the life that the intent was proven for are behind it. */
function clearedBy({ memory }: Input, { member, startedAt }: Intended): string | null {
  const target = memory.members.get(member);
  const same = target !== undefined && Math.abs(target.identity.startedAt - startedAt) <= START_TIME_TOLERANCE_MS;
  return same ? (target.restart?.file ?? null) : null;
}

function baselineOf(input: Input, { baseline }: ReplicaMemory, intent: Intended): Baseline {
  const { member, lineage, gtid, at } = intent;
  const reached = stateOfPosition(gtid);
  const source = input.memory.members.get(baseline?.member ?? member);
  const contains = baseline === null ? reached : containsAt(baseline, gtid, source);
  const by = baseline === null ? 'Adopted' : 'Handover';
  const wallNow = input.observation.wallNow;
  return { by, member, lineage, coordinates: at, gtid, contains: mergeStates(contains, reached), at: wallNow };
}

function containsAt(baseline: Baseline, gtid: GtidPosition, source: MemberMemory | undefined) {
  if (source === undefined || source.lineage !== baseline.lineage) return baseline.contains;
  return containedByFollowing(baseline, gtid, source);
}
