import type { Situation } from '../api/reasons.ts';
import { valueOf, wasAsked } from './fact.ts';
import type { Holder } from './holder.ts';
import { findHolder } from './holder.ts';
import { gtidsOf, seqIn } from './gtid.ts';
import type { GtidState } from './gtid.ts';
import type { Memory } from './memory.ts';
import { binlogStateOf, sameIncarnation, standbyLinkOf } from './memory.ts';
import type { Observation } from './observation.ts';
import { isDrained, linkOf } from './observation.ts';

/** What is going on with the pair, as a DBA would say it aloud. */
export interface Diagnosis {
  readonly situation: Situation;
  readonly message: string;
  /** The holder, where one is proven. */
  readonly holder: Holder | null;
  /** Whether the first complete look is still missing: nothing is touched before it. */
  readonly complete: boolean;
}

/** What the passes before have seen of the pair; kept in memory, not in the status. */
export interface PairMemory {
  readonly holder: string | null;
  /** Monotonic ms since when this holder has been seen without another in between. */
  readonly holderSince: number;
  /** Per member that does not hold the VIP: its own transactions at its first look that began after `holderSince`. */
  readonly ownAtHolderSince: ReadonlyMap<string, bigint>;
  /** Monotonic ms of changes of the holder that no silence explained. */
  readonly unexplainedChanges: readonly number[];
  /** Whether the look before found nobody: a change of the holder after a silence is an ordinary move. */
  readonly silent: boolean;
  readonly situation: Situation;
}

export const NEW_PAIR: PairMemory = {
  holder: null,
  holderSince: 0,
  ownAtHolderSince: new Map(),
  unexplainedChanges: [],
  silent: true,
  situation: 'VipSilent',
};

interface Input {
  readonly observation: Observation;
  readonly memory: Memory;
  readonly pair: PairMemory;
  readonly channel: string;
}

type Check = (input: Input, holder: Holder | null) => Omit<Diagnosis, 'complete'> | null;

/** First match wins. Order: what makes asking impossible, then who answers, then what state that server is in. */
const CHECKS: readonly Check[] = [
  silence,
  noneOfTheMembers,
  splitBrain,
  holderRestarted,
  holderReadOnly,
  holderStillApplying,
  vipMoved,
  stable,
];

export function diagnosePair(input: Input): Diagnosis {
  const found = findHolder(input.observation, input.memory);
  const holder = found.kind === 'Found' ? found.holder : null;
  const complete = isComplete(input.observation);
  for (const check of CHECKS) {
    const match = check(input, holder);
    if (match !== null) return { ...match, complete };
  }
  return { situation: 'HolderUnknown', message: 'no check matched', holder: null, complete };
}

function isComplete(observation: Observation): boolean {
  const facts = [observation.vip.look, ...observation.members.map((member) => member.look)];
  return [...facts, ...observation.replicas.map((replica) => replica.look)].every(wasAsked);
}

/** Silence = two failed probes on fresh connections, or one while a replica's IO thread is not Yes. */
function silence({ observation, memory, pair, channel }: Input): ReturnType<Check> {
  const vip = observation.vip;
  if (vip.look.known) return null;
  const ioStopped = observation.replicas.some((replica) => {
    const look = valueOf(replica.look);
    const link = look === undefined ? undefined : linkOf(look, channel);
    return link !== undefined && link.io !== 'Yes' && memory.replicas.get(replica.pod)?.baseline != null;
  });
  if (vip.failures < 2 && !ioStopped && pair.situation === 'Stable') {
    return { situation: 'Stable', message: 'one probe of the VIP failed; asking again', holder: null };
  }
  if (observation.members.every((member) => !member.look.known)) {
    return { situation: 'AllDown', message: `neither the VIP nor any member answers: ${vip.look.why}`, holder: null };
  }
  if (vip.look.code === 'ConnectionRefused') {
    const message = `the host that holds the VIP answers, but its database takes no connection: ${vip.look.why}`;
    return { situation: 'DatabaseDown', message, holder: null };
  }
  return { situation: 'VipSilent', message: `the VIP does not answer: ${vip.look.why}`, holder: null };
}

function noneOfTheMembers({ observation, memory }: Input, holder: Holder | null): ReturnType<Check> {
  if (holder !== null) return null;
  const found = findHolder(observation, memory);
  if (found.kind !== 'NoneOfTheMembers') return null;
  const { hostname, serverId } = found.identity;
  const message = `the VIP answers as ${hostname || 'a server without a hostname'} (server_id ${serverId}): ${found.why}`;
  return { situation: 'HolderUnknown', message, holder: null };
}

function splitBrain({ observation, pair }: Input, holder: Holder | null): ReturnType<Check> {
  if (holder === null) return null;
  if (pair.unexplainedChanges.length >= 2) {
    const message = 'fresh connections to the VIP end on different members in turn: two hosts claim it';
    return { situation: 'SplitBrain', message, holder };
  }
  for (const member of observation.members) {
    const before = pair.ownAtHolderSince.get(member.name);
    const look = valueOf(member.look);
    if (member.name === holder.member.name || before === undefined || look === undefined) continue;
    const own = ownTransactions(binlogStateOf(look), look.identity.serverId);
    if (own <= before || applies(holder, look.identity.serverId)) continue;
    const message = `${member.name} does not hold the VIP and logged ${own - before} transactions of its own since ${holder.member.name} holds it`;
    return { situation: 'SplitBrain', message, holder };
  }
  return null;
}

/** An lsu=1 holder that replicates from the other side takes its writes in: no split. */
function applies(holder: Holder, serverId: number): boolean {
  const look = holder.look;
  return (
    look !== null &&
    look.logSlaveUpdates &&
    look.links.some((link) => link.sql === 'Yes' && link.io === 'Yes' && link.sourceServerId === serverId)
  );
}

/** The sum of what a state counts for one server id: grows with each transaction that the server itself logs. */
export function ownTransactions(state: GtidState, serverId: number): bigint {
  return gtidsOf(state)
    .filter((gtid) => gtid.serverId === serverId)
    .reduce((sum, gtid) => sum + (seqIn(state, gtid) ?? 0n), 0n);
}

function holderRestarted({ memory }: Input, holder: Holder | null): ReturnType<Check> {
  if (holder === null) return null;
  const remembered = memory.members.get(holder.member.name);
  if (remembered === undefined) return null;
  if (holder.look === null) {
    const message = `the session to ${holder.member.name} was lost; it holds the VIP and is asked again`;
    return { situation: 'HolderRestarted', message, holder };
  }
  if (!remembered.inQuestion && sameIncarnation(remembered.identity, holder.look.identity)) return null;
  const message = `${holder.member.name} holds the VIP and restarted at ${new Date(holder.look.identity.startedAt).toISOString()}; its history is being proven`;
  return { situation: 'HolderRestarted', message, holder };
}

function holderReadOnly(_: Input, holder: Holder | null): ReturnType<Check> {
  if (holder === null || !holder.readOnly) return null;
  const message = `${holder.member.name} answers behind the VIP and is read-only: its promotion is not finished`;
  return { situation: 'HolderReadOnly', message, holder };
}

function holderStillApplying(input: Input, holder: Holder | null): ReturnType<Check> {
  if (holder === null || holder.look === null || !isMoved(input, holder)) return null;
  const link = standbyLinkOf(holder.look);
  if (link === undefined || link.sql !== 'Yes' || isDrained(holder.look, link)) return null;
  const message = `${holder.member.name} still applies what it received from ${link.host}: ${link.sqlState}`;
  return { situation: 'HolderStillApplying', message, holder };
}

function vipMoved(input: Input, holder: Holder | null): ReturnType<Check> {
  if (holder === null || !isMoved(input, holder)) return null;
  return { situation: 'VipMoved', message: `the VIP is on ${holder.member.name}`, holder };
}

function isMoved({ memory, observation }: Input, holder: Holder): boolean {
  return observation.replicas.some((replica) => {
    const baseline = memory.replicas.get(replica.pod)?.baseline;
    return baseline != null && baseline.member !== holder.member.name;
  });
}

function stable(_: Input, holder: Holder | null): ReturnType<Check> {
  if (holder === null) return null;
  return { situation: 'Stable', message: `${holder.member.name} holds the VIP`, holder };
}

/** What the next pass has to know of this one. Pure. */
export function rememberPair(before: PairMemory, diagnosis: Diagnosis, observation: Observation): PairMemory {
  const { holder, situation } = diagnosis;
  if (holder === null) return { ...before, situation, unexplainedChanges: [], silent: true };
  const changed = before.holder !== holder.member.name;
  const holderSince = changed ? observation.now : before.holderSince;
  const changes = [...before.unexplainedChanges, ...(changed && !before.silent ? [observation.now] : [])];
  return {
    holder: holder.member.name,
    holderSince,
    ownAtHolderSince: ownSince(changed ? new Map() : before.ownAtHolderSince, holder, holderSince, observation),
    unexplainedChanges: changes.filter((at) => observation.now - at < SPLIT_MEMORY_MS),
    silent: false,
    situation,
  };
}

const SPLIT_MEMORY_MS = 10_000;

function ownSince(
  before: ReadonlyMap<string, bigint>,
  holder: Holder,
  since: number,
  observation: Observation,
): ReadonlyMap<string, bigint> {
  const own = new Map(before);
  for (const member of observation.members) {
    if (member.name === holder.member.name || own.has(member.name)) continue;
    if (!member.look.known || member.look.at <= since) continue;
    own.set(member.name, ownTransactions(binlogStateOf(member.look.value), member.look.value.identity.serverId));
  }
  return own;
}
