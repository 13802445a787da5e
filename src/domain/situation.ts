import type { Situation } from '../api/reasons.ts';
import type { Policy } from './context.ts';
import { isRefusal, valueOf, wasAsked } from './fact.ts';
import { stateHas } from './gtid.ts';
import { hasOwnId } from './hidden.ts';
import type { Holder } from './holder.ts';
import { findHolder } from './holder.ts';
import type { Memory } from './memory.ts';
import { sameIncarnation, standbyLinkOf, stateOfServer } from './memory.ts';
import type { Link, Observation, ServerLook } from './observation.ts';
import { isDrained, linkOf } from './observation.ts';
import type { Split, SplitMemory, SplitNow } from './split.ts';
import { rememberSplit, splitNow } from './split.ts';

/** What is going on with the pair, as a DBA would say it aloud. */
export interface Diagnosis {
  readonly situation: Situation;
  readonly message: string;
  /** The holder, where one is proven. */
  readonly holder: Holder | null;
  /** Whether the first complete look is still missing: nothing is touched before it. */
  readonly complete: boolean;
  /** A split that is not resolved, also while the VIP is silent. */
  readonly split: Split | null;
  /** What the holder still applies, where it has taken over: nobody moves meanwhile. Null: nothing. */
  readonly applying: string | null;
}

/** Whether anybody may be adopted, moved or resumed. */
export function isClear({ situation, applying }: Pick<Diagnosis, 'situation' | 'applying'>): boolean {
  return (situation === 'Stable' || situation === 'VipMoved') && applying === null;
}

/** What the passes before have seen of the pair; kept in memory, but for the split. */
export interface PairMemory extends SplitMemory {
  /** Monotonic ms since when this holder has been seen without another in between. */
  readonly holderSince: number;
  /** Whether the look before found nobody: a change of the holder after a silence is an ordinary move. */
  readonly silent: boolean;
  readonly situation: Situation;
  /** Monotonic ms since when. */
  readonly situationSince: number;
}

export const NEW_PAIR: PairMemory = {
  holder: null,
  holderSince: 0,
  silent: true,
  situation: 'VipSilent',
  situationSince: Number.NEGATIVE_INFINITY,
  marks: new Map(),
  suspects: new Map(),
  unexplainedChanges: [],
  beforeChanges: new Map(),
  stalled: new Map(),
  split: null,
  splitSeenAt: Number.NEGATIVE_INFINITY,
};

interface Input {
  readonly observation: Observation;
  readonly memory: Memory;
  readonly pair: PairMemory;
  readonly policy: Pick<Policy, 'channel' | 'onSplitBrain'>;
  readonly approved: ReadonlySet<string>;
}

interface Diagnosing extends Input {
  readonly splitNow: SplitNow | null;
}

type Match = Pick<Diagnosis, 'situation' | 'message' | 'holder'> & Partial<Pick<Diagnosis, 'applying'>>;

type Check = (input: Diagnosing, holder: Holder | null) => Match | null;

/** First match wins. Order: what makes asking impossible, then who answers, then what state that server is in. */
const CHECKS: readonly Check[] = [
  refused,
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
  const now = holder === null ? null : splitNow({ ...input, onSplitBrain: input.policy.onSplitBrain }, holder);
  // While nobody is known to hold the VIP, nothing says that a split has ended.
  const split = holder === null ? input.pair.split : (now?.split ?? null);
  for (const check of CHECKS) {
    const match = check({ ...input, splitNow: now }, holder);
    if (match !== null) return { applying: null, ...match, complete, split };
  }
  return { situation: 'HolderUnknown', message: 'no check matched', holder: null, complete, split, applying: null };
}

/** A pod without an address yet (pending, creating) cannot be asked, perhaps for hours: it holds nobody up. */
function isComplete({ vip, members, replicas }: Observation): boolean {
  const there = replicas.filter((replica) => replica.ip !== null || replica.look.known);
  return [vip.look, ...members.map((member) => member.look), ...there.map((replica) => replica.look)].every(wasAsked);
}

function refused({ observation }: Input): ReturnType<Check> {
  const { look } = observation.vip;
  if (!isRefusal(look)) return null;
  const message = `somebody answers behind the VIP and refuses mxr, so nobody can tell which member it is: ${look.why}`;
  return { situation: 'HolderUnknown', message, holder: null };
}

/** Silence = two failed probes on fresh connections, or one while a replica's IO thread is not Yes. */
function silence({ observation, memory, pair, policy }: Input): ReturnType<Check> {
  const vip = observation.vip;
  if (vip.look.known) return null;
  const ioStopped = observation.replicas.some((replica) => {
    const look = valueOf(replica.look);
    const link = look === undefined ? undefined : linkOf(look, policy.channel);
    return link !== undefined && link.io !== 'Yes' && memory.replicas.get(replica.pod)?.baseline != null;
  });
  if (vip.failures < 2 && !ioStopped && pair.situation === 'Stable') {
    return { situation: 'Stable', message: 'one probe of the VIP failed; asking again', holder: null };
  }
  // On shared storage the other host runs no database either: that the VIP refuses says more.
  if (vip.look.code === 'ConnectionRefused') {
    const message = `the host that holds the VIP answers, but its database takes no connection: ${vip.look.why}`;
    return { situation: 'DatabaseDown', message, holder: null };
  }
  if (observation.members.every((member) => !member.look.known)) {
    return { situation: 'AllDown', message: `neither the VIP nor any member answers: ${vip.look.why}`, holder: null };
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

function splitBrain({ splitNow: now }: Diagnosing, holder: Holder | null): ReturnType<Check> {
  return now === null || holder === null ? null : { situation: 'SplitBrain', message: now.message, holder };
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
  const from = remembered.storage?.from ?? null;
  if (from !== null) {
    const message = `${holder.member.name} holds the VIP and was started where ${from} was active; that it goes on with the same history is being proven`;
    return { situation: 'HolderRestarted', message, holder };
  }
  const message = `${holder.member.name} holds the VIP and restarted at ${new Date(holder.look.identity.startedAt).toISOString()}; its history is being proven`;
  return { situation: 'HolderRestarted', message, holder };
}

function holderReadOnly(_: Input, holder: Holder | null): ReturnType<Check> {
  if (holder === null || !holder.readOnly) return null;
  const message = `${holder.member.name} answers behind the VIP and is read-only: its promotion is not finished`;
  return { situation: 'HolderReadOnly', message, holder };
}

/** Once it had caught up, what it applies is what a second primary goes on writing: now there is something, now there is not. */
function holderStillApplying(input: Input, holder: Holder | null): ReturnType<Check> {
  const { pair } = input;
  if (holder === null || !isMoved(input, holder)) return null;
  const hadCaughtUp = pair.situation === 'VipMoved' && pair.holder === holder.member.name;
  const applying = whatItApplies(input, holder);
  if (applying === null || hadCaughtUp) return null;
  return { situation: 'HolderStillApplying', message: applying, holder, applying };
}

function whatItApplies(input: Input, holder: Holder): string | null {
  const { look, member } = holder;
  const link = look === null ? undefined : standbyLinkOf(look);
  if (look === null || link === undefined || link.sql !== 'Yes') return null;
  if (isDrained(look, link) || hasAll(look, link, hasOwnId(input, holder))) return null;
  return `${member.name} still applies what it received from ${link.host}: ${link.sqlState}`;
}

/**
 * In a ring its peer hands its own transactions back to it: they wait in the relay log, and are nothing to apply. A look reads
 * the binlog before the link, so they may be newer than what it shows as logged; and where it still applies others' of that
 * domain, those come first.
 */
function hasAll(look: ServerLook, { usingGtid, gtidIoPos }: Link, ownId: boolean): boolean {
  if (usingGtid === 'No' || gtidIoPos.size === 0) return false;
  const { serverId } = look.identity;
  const has = stateOfServer(look);
  return [...gtidIoPos.values()].every((gtid) => {
    if (!ownId || gtid.serverId !== serverId) return stateHas(has, gtid);
    return look.gtidSlavePos.get(gtid.domain)?.serverId === serverId;
  });
}

function vipMoved(input: Input, holder: Holder | null): ReturnType<Check> {
  if (holder === null || !isMoved(input, holder)) return null;
  const message = `the VIP is on ${holder.member.name}`;
  return { situation: 'VipMoved', message, holder, applying: whatItApplies(input, holder) };
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
  const { holder, situation, split } = diagnosis;
  const situationSince = situation === before.situation ? before.situationSince : observation.now;
  // One failed probe is no silence yet.
  if (holder === null && situation === 'Stable') return { ...before, split };
  if (holder === null) return { ...before, situation, situationSince, split, unexplainedChanges: [], silent: true };
  const changed = before.holder !== holder.member.name;
  const holderSince = changed ? observation.now : before.holderSince;
  const seen = { holder, holderSince, changed, afterSilence: before.silent };
  return {
    ...rememberSplit(before, seen, { observation, split }),
    holder: holder.member.name,
    holderSince,
    silent: false,
    situation,
    situationSince,
  };
}
