import { claimingHosts } from './claiming-hosts.ts';
import { valueOf } from './fact.ts';
import type { Gtid, GtidState } from './gtid.ts';
import { beyond, formatGtid, gtidsOf, ofServer, stateHas, stateOf } from './gtid.ts';
import type { Holder } from './holder.ts';
import { binlogStateOf, stateOfServer } from './memory.ts';
import type { MemberObservation, Observation, ServerLook } from './observation.ts';
import { shortHash } from './plan.ts';
import type { Stalled } from './taken-in.ts';
import { stalled, takenIn } from './taken-in.ts';

/** A split that is not resolved yet. It lives in the status, so that it outlasts the process that saw it. */
export interface Split {
  readonly id: string;
  /** Wall clock ms. */
  readonly since: number;
  /** Wall clock ms since when one member alone holds the VIP and what the other one wrote waits for a person. */
  readonly endedAt: number | null;
  /** Per member: what it had logged when the split began. */
  readonly sides: ReadonlyMap<string, GtidState>;
}

/** What the passes before have seen that tells a split. */
export interface SplitMemory {
  readonly holder: string | null;
  /** Per member: what it had logged at its first look since this holder holds, or when it was last caught writing. */
  readonly marks: ReadonlyMap<string, GtidState>;
  /** Members seen writing without the VIP, until that is said aloud: a look at the VIP that began later must say so too. */
  readonly suspects: ReadonlyMap<string, Suspect>;
  /** Members of which a running link of the holder lacks something, and since when nothing has come over it. */
  readonly stalled: ReadonlyMap<string, Stalled>;
  /** Monotonic ms of the last changes of the holder that no silence explained. */
  readonly unexplainedChanges: readonly number[];
  /** Per member: what it had logged when the first of these changes was seen. */
  readonly beforeChanges: ReadonlyMap<string, GtidState>;
  readonly split: Split | null;
  /** Monotonic ms at which the last sign of the split was seen. */
  readonly splitSeenAt: number;
}

/** Monotonic ms: when the first look that saw it began, and the next one, before which the first had ended. */
export interface Suspect {
  readonly firstAt: number;
  readonly nextAt: number | null;
}

export interface SplitInput {
  readonly observation: Observation;
  readonly pair: SplitMemory;
  readonly onSplitBrain: 'Confirm' | 'Resume';
  /** Ids that a person has approved. */
  readonly approved: ReadonlySet<string>;
}

export interface SplitNow {
  readonly split: Split;
  readonly message: string;
}

/** Nobody else may have been seen at the VIP or writing for so long before one member is said to hold it alone. */
const SETTLED_MS = 10_000;

/** Of the address, without a silence: once there and back is a flap of a healthy pair, of which nobody may be read-only. */
const CHANGES_OF_TWO = 3;

/** So many moves by VRRP take longer than this. */
const RAPID_MS = 3_000;

/** A demoted server is read-only within this. */
const DEMOTION_MS = 2_000;

/** The split as it is now; null where there is none, or where it has ended: by proof, by policy, or by a person. */
export function splitNow(input: SplitInput, holder: Holder): SplitNow | null {
  const { observation, pair } = input;
  const sign = signOf(input, holder);
  if (sign !== null) return { split: { ...(pair.split ?? beginning(input, holder)), endedAt: null }, message: sign };
  if (pair.split === null) return null;
  const split = pair.split;
  if (observation.now - pair.splitSeenAt < SETTLED_MS) {
    const message = `the pair was split; waiting until ${holder.member.name} has held the VIP alone for ${SETTLED_MS / 1000} s`;
    return { split, message };
  }
  const doubt = doubtOf(split, input, holder);
  if (doubt === null || input.onSplitBrain === 'Resume') return null;
  const id = approvalId(split, holder, doubt);
  if (input.approved.has(id)) return null;
  const message = `the pair was split and ${holder.member.name} holds the VIP alone now: ${doubt}${holderWrote(split, holder)}. Decide which data counts, then let the replicas follow ${holder.member.name} where that is proven: kubectl annotate mxr/<name> mxr.dev/approve=${id}`;
  return { split: { ...split, endedAt: split.endedAt ?? observation.wallNow }, message };
}

/**
 * It changes with the holder and with what others wrote, so nobody approves something else than what was shown; not with what
 * the holder writes, which goes on all the time.
 */
function approvalId(split: Split, holder: Holder, doubt: string): string {
  return `${split.id}-${shortHash(`${holder.member.name}|${doubt}`)}`;
}

function beginning({ observation, pair }: SplitInput, holder: Holder): Split {
  const since = observation.wallNow;
  const id = `split-${Math.floor(since / 1000).toString(36)}`;
  if (claimedByTwo(pair, observation, holder)) return { id, since, endedAt: null, sides: pair.beforeChanges };
  const sides = new Map(pair.marks);
  if (holder.look !== null) sides.set(holder.member.name, binlogStateOf(holder.look));
  return { id, since, endedAt: null, sides };
}

/**
 * No VRRP moves an address as fast as looks alternate between two hosts that both answer for it. Slower changes are a
 * flap as long as each loser is demoted, for which its scripts need a moment.
 */
function claimedByTwo(pair: SplitMemory, observation: Observation, holder: Holder): boolean {
  const changes = recentChanges(pair, observation);
  if (changes.filter((at) => observation.now - at < RAPID_MS).length >= CHANGES_OF_TWO) return true;
  const demotedAt = (changes.at(-1) ?? 0) + DEMOTION_MS;
  return (
    changes.length >= CHANGES_OF_TWO &&
    others(observation, holder).some(({ look }) => look.at >= demotedAt && valueOf(look)?.readOnly !== true)
  );
}

function others({ members }: Observation, holder: Holder): MemberObservation[] {
  return members.filter((member) => member.name !== holder.member.name);
}

function recentChanges({ unexplainedChanges }: SplitMemory, { now }: Observation): readonly number[] {
  return unexplainedChanges.filter((at) => now - at < SETTLED_MS);
}

function signOf({ observation, pair }: Pick<SplitInput, 'observation' | 'pair'>, holder: Holder): string | null {
  if (claimedByTwo(pair, observation, holder)) {
    return 'fresh connections to the VIP end on different members in turn: two hosts claim it';
  }
  const [claimant] = claimingHosts(observation, holder.member);
  if (claimant !== undefined) {
    return `the publishers of ${holder.member.name} and ${claimant} each say that their own host has the VIP, and both servers are writable: two hosts claim it`;
  }
  const [wrote] = accused(observation, pair, holder);
  if (wrote === undefined) return null;
  return `${wrote.name} does not hold the VIP and logs transactions of its own while ${holder.member.name} holds it: ${listed(wrote.gtids)}`;
}

/**
 * The VIP was asked again after the write was seen, and still belongs to another: without that, a member that has just
 * taken the VIP over from a dead one would look like the other side of a split for a moment.
 */
function accused(observation: Observation, pair: SplitMemory, holder: Holder): Writing[] {
  const vip = observation.vip.look;
  return writing(observation, pair, holder).filter(({ name, onItsWay }) => {
    if (onItsWay) return false;
    const nextAt = pair.suspects.get(name)?.nextAt ?? null;
    return nextAt !== null && vip.known && vip.at >= nextAt;
  });
}

interface Writing {
  readonly name: string;
  readonly lookAt: number;
  readonly gtids: readonly Gtid[];
  /** The holder has not taken it in yet, but may be about to. */
  readonly onItsWay: boolean;
}

/** Members without the VIP that log transactions of their own. */
function writers({ members }: Observation, pair: SplitMemory, holder: Holder) {
  // What a member wrote until it lost the VIP is its right.
  if (pair.holder !== holder.member.name) return [];
  return members.flatMap(({ name, look }) => {
    const before = pair.marks.get(name);
    if (name === holder.member.name || before === undefined || !look.known) return [];
    const own = ownBeyond(look.value, before);
    return own.length === 0 ? [] : [{ name, lookAt: look.at, look: look.value, own }];
  });
}

/** Those whose transactions the holder does not take in. */
function writing(observation: Observation, pair: SplitMemory, holder: Holder): Writing[] {
  return writers(observation, pair, holder).flatMap(({ name, lookAt, ...written }) => {
    const taken = takenIn(holder, written, pair.stalled.get(name));
    return taken === 'Yes' ? [] : [{ name, lookAt, gtids: written.own, onItsWay: taken === 'OnItsWay' }];
  });
}

/** What a server has logged itself since it had logged `before`. */
function ownBeyond(look: ServerLook, before: GtidState): Gtid[] {
  const own = ofServer(gtidsOf(binlogStateOf(look)), look.identity.serverId);
  return beyond(stateOf(own), before);
}

/** What this side has logged itself since the split began. */
export function ownSince(split: Split, { name, look }: MemberObservation): readonly Gtid[] {
  const base = split.sides.get(name);
  return base === undefined || !look.known ? [] : ownBeyond(look.value, base);
}

/** Why the split cannot be said to have left one history: "could not ask" is never "wrote nothing". */
function doubtOf(split: Split, { observation }: SplitInput, holder: Holder): string | null {
  const doubts = others(observation, holder).flatMap((member) => doubtAbout(split, member, holder) ?? []);
  return doubts.length === 0 ? null : doubts.join('; ');
}

function holderWrote(split: Split, { member }: Holder): string {
  const own = ownSince(split, member);
  return own.length === 0 ? '' : `; ${member.name} itself wrote ${listed(own)}`;
}

function doubtAbout(split: Split, member: MemberObservation, holder: Holder): string | null {
  const { name } = member;
  const look = valueOf(member.look);
  const base = split.sides.get(name);
  if (look === undefined) return `${name} does not answer, so nobody knows what it wrote meanwhile`;
  if (base === undefined)
    return `what ${name} had before the split is not known, so neither is what it wrote meanwhile`;
  const dirty = ownBeyond(look, base).filter((gtid) => !holderHas(holder, look, gtid));
  return dirty.length === 0 ? null : `${name} wrote ${listed(dirty)}, which ${holder.member.name} lacks`;
}

/** Numbers under one server id on both sides prove nothing. */
function holderHas(holder: Holder, other: ServerLook, gtid: Gtid): boolean {
  if (holder.look === null || holder.look.identity.serverId === other.identity.serverId) return false;
  return stateHas(stateOfServer(holder.look), gtid);
}

function listed(gtids: readonly Gtid[]): string {
  return gtids.map((gtid) => `up to ${formatGtid(gtid)}`).join(', ');
}

/** What the next pass has to know. Pure. */
export function rememberSplit(
  before: SplitMemory,
  seen: {
    readonly holder: Holder;
    readonly holderSince: number;
    readonly changed: boolean;
    readonly afterSilence: boolean;
  },
  now: { readonly observation: Observation; readonly split: Split | null },
): Omit<SplitMemory, 'holder'> {
  const { observation } = now;
  const recent = recentChanges(before, observation);
  const unexplained = seen.changed && !seen.afterSilence;
  const caught = accused(observation, before, seen.holder).map(({ name }) => name);
  const sign = signOf({ observation, pair: before }, seen.holder) !== null;
  return {
    marks: marksOf(seen.changed ? new Map() : before.marks, seen.holderSince, { observation, caught }),
    suspects: suspectsOf(before, writing(observation, before, seen.holder), caught),
    stalled: stalledNow(before, seen.holder, observation),
    unexplainedChanges: unexplained ? [...recent, observation.now] : recent,
    beforeChanges: recent.length === 0 ? before.marks : before.beforeChanges,
    split: now.split,
    splitSeenAt: sign ? observation.now : before.splitSeenAt,
  };
}

function stalledNow(before: SplitMemory, holder: Holder, observation: Observation): ReadonlyMap<string, Stalled> {
  const entries = writers(observation, before, holder).flatMap(({ name, ...written }) => {
    const found = stalled(holder, written, before.stalled.get(name), observation.now);
    return found === null ? [] : [[name, found] as const];
  });
  return new Map(entries);
}

function suspectsOf(
  before: SplitMemory,
  writers: readonly Writing[],
  caught: readonly string[],
): ReadonlyMap<string, Suspect> {
  const open = writers.filter(({ name }) => !caught.includes(name));
  return new Map(
    open.map(({ name, lookAt }) => {
      const suspect = before.suspects.get(name) ?? { firstAt: lookAt, nextAt: null };
      const nextAt = suspect.nextAt ?? (lookAt > suspect.firstAt ? lookAt : null);
      return [name, { ...suspect, nextAt }];
    }),
  );
}

function marksOf(
  before: ReadonlyMap<string, GtidState>,
  since: number,
  { observation, caught }: { observation: Observation; caught: readonly string[] },
): ReadonlyMap<string, GtidState> {
  const marks = new Map(before);
  for (const { name, look } of observation.members) {
    if (!look.known || look.at <= since || (marks.has(name) && !caught.includes(name))) continue;
    marks.set(name, binlogStateOf(look.value));
  }
  return marks;
}
