import type { Policy } from './context.ts';
import type { Question } from './evidence.ts';
import { isRefusal, wasAsked } from './fact.ts';
import { newLineage } from './lineage.ts';
import type { Alive, MemberMemory, Memory } from './memory.ts';
import { sameIncarnation } from './memory.ts';
import type { MemberObservation, Observation, ServerLook } from './observation.ts';

/**
 * Shared storage: one data directory, mounted by whoever is active. A member that is seen alive where another one was is
 * then that very server, started again on another host. Two hosts are one only if never both were seen alive.
 */
export interface SharedInput {
  readonly observation: Observation;
  readonly members: ReadonlyMap<string, MemberMemory>;
  readonly alive: ReadonlyMap<string, Alive>;
  readonly topology: Policy['topology'];
}

export interface SeenMember {
  readonly observed: MemberObservation;
  readonly look: ServerLook;
  /** Monotonic ms when it began. */
  readonly lookAt: number;
}

export type Standing =
  /** A server with a history of its own, or the one that had the storage last. */
  | { readonly kind: 'Own' }
  /** Whether it goes on with the history of another member cannot be told before that one was asked again. */
  | { readonly kind: 'Later'; readonly questions: readonly Question[] }
  /** It is judged by what was remembered of another member. */
  | { readonly kind: 'Heir'; readonly memory: MemberMemory }
  /** It lives beside another member: two servers, whatever they looked like before. */
  | { readonly kind: 'Beside'; readonly other: MemberMemory };

const OWN: Standing = { kind: 'Own' };

export function standingOf(input: SharedInput, { observed, look }: SeenMember): Standing {
  const { name } = observed;
  const before = input.members.get(name);
  const partners = partnersOf(input, name, look);
  const [newest] = partners.toSorted((one, other) => (isNewer(one, other) ? -1 : 1));
  if (newest === undefined) return OWN;
  const beside = partners.find((partner) => livedTogether(input.alive, name, partner.name));
  if (beside !== undefined) return { kind: 'Beside', other: beside };
  const own = before === undefined || before.storage?.from != null ? undefined : before;
  if (own !== undefined && !own.inQuestion && sameIncarnation(own.identity, look.identity)) {
    // It lived on all the while that another one had the storage.
    return tenureOf(newest) > tenureOf(own) ? { kind: 'Beside', other: newest } : OWN;
  }
  if (own !== undefined && isNewer(own, newest)) return OWN;
  if (newest.storage === null) {
    const refuses = input.observation.members.some((one) => one.name === newest.name && isRefusal(one.look));
    if (refuses) return OWN;
    if (mayLive(input.observation, newest.name)) return { kind: 'Later', questions: [askAgain(newest, observed)] };
  }
  const storage = { tenure: tenureOf(newest) + 1, from: newest.name };
  return { kind: 'Heir', memory: { ...newest, name, inQuestion: true, unread: null, mixed: null, storage } };
}

/** A member that takes the storage over while the one that had it may still live: that one is asked first. */
export function stillAnswering(input: SharedInput, { observed }: SeenMember): Question[] {
  const memory = input.members.get(observed.name);
  const others = [...input.members.values()].filter((other) => {
    const isPartner = other.lineage === memory?.lineage || (other.storage !== null && memory?.storage != null);
    return other.name !== observed.name && isPartner && mayLive(input.observation, other.name);
  });
  return others.map((other) => askAgain(other, observed));
}

function askAgain({ name }: MemberMemory, { incarnationSince }: MemberObservation): Question {
  return { kind: 'LiveLook', target: { member: name }, after: incarnationSince };
}

/** Other members whose data directory may be this one's. What is remembered of one that only inherited is not its own. */
function partnersOf({ members, topology }: SharedInput, name: string, look: ServerLook): MemberMemory[] {
  const before = members.get(name);
  const isNew = before === undefined || before.storage?.from != null;
  return [...members.values()].filter((other) => {
    if (other.name === name || other.storage?.from != null) return false;
    if (topology === 'SharedStorage') return other.besideAt === null && before?.besideAt == null;
    if (topology !== 'Auto') return false;
    return (other.storage !== null && before?.storage != null) || (isNew && looksAlike(look, other));
  });
}

/** As two hosts of one data directory look: nothing but the host differs, and it replicates from nobody. */
function looksAlike(look: ServerLook, other: MemberMemory): boolean {
  const { serverId, datadir } = look.identity;
  if (serverId !== other.identity.serverId || datadir !== other.identity.datadir || !look.logBin) return false;
  if (look.links.length > 0) return false;
  const names = [binlogName(look.logBinBasename), binlogName(other.logBinBasename)];
  return names[0] === names[1] || (followsHost(look) && followsHost(other));
}

/** `mysql-bin` of `/var/lib/mysql/mysql-bin`. */
export function binlogName(basename: string): string {
  return basename.slice(basename.lastIndexOf('/') + 1);
}

/** As MariaDB names its binlog where log_bin is set without a name. */
export function followsHost({ identity, logBinBasename }: Pick<MemberMemory, 'identity' | 'logBinBasename'>): boolean {
  const name = binlogName(logBinBasename);
  return name === `${identity.hostname}-bin` || name === `${identity.hostname.replace(/\..*/, '')}-bin`;
}

function tenureOf({ storage }: MemberMemory): number {
  return storage?.tenure ?? 0;
}

function lastSeen({ anchors }: MemberMemory): number {
  return anchors.at(-1)?.at ?? Number.NEGATIVE_INFINITY;
}

function isNewer(one: MemberMemory, other: MemberMemory): boolean {
  if (tenureOf(one) !== tenureOf(other)) return tenureOf(one) > tenureOf(other);
  return lastSeen(one) > lastSeen(other);
}

/** Only a failure to reach it says that it does not run: one that refuses mxr answers. */
function mayLive({ members }: Observation, name: string): boolean {
  const member = members.find((one) => one.name === name);
  return member !== undefined && (member.look.known || !wasAsked(member.look) || isRefusal(member.look));
}

/** What this pass adds to it. A look that answered has ended by now. */
export function stillAlive(
  before: ReadonlyMap<string, Alive>,
  { members, now }: Observation,
): ReadonlyMap<string, Alive> {
  const alive = new Map(before);
  for (const { name, look, incarnation } of members) {
    const seen = before.get(name);
    if (!look.known) continue;
    alive.set(name, { incarnation, from: seen?.incarnation === incarnation ? seen.from : now, to: look.at });
  }
  return alive;
}

function livedTogether(alive: ReadonlyMap<string, Alive>, name: string, other: string): boolean {
  const [one, two] = [alive.get(name), alive.get(other)];
  if (one === undefined || two === undefined) return false;
  return Math.max(one.from, two.from) <= Math.min(one.to, two.to);
}

/** Both were seen alive: from now on each has a history of its own, and the one that had it last keeps it. */
export function parted(
  { observation, members, topology }: SharedInput,
  { observed, look }: SeenMember,
  other: MemberMemory,
): Map<string, MemberMemory> {
  const { wallNow } = observation;
  const marks = { storage: null, besideAt: topology === 'SharedStorage' ? wallNow : null };
  const before = members.get(observed.name);
  const isHeir = before === undefined || before.storage?.from != null;
  const loses = isHeir || (before.lineage === other.lineage && tenureOf(before) < tenureOf(other));
  const now = new Map(members);
  now.set(observed.name, { ...(loses ? newLineage(observed.name, look, wallNow) : before), ...marks });
  const otherLoses = !loses && before.lineage === other.lineage;
  const there = observation.members.find(({ name }) => name === other.name)?.look;
  if (!otherLoses) now.set(other.name, { ...other, ...marks });
  else if (there?.known === true) now.set(other.name, { ...newLineage(other.name, there.value, wallNow), ...marks });
  else now.delete(other.name);
  return now;
}

/** What the resource declares is taken for granted until both members are seen alive. */
export function declared(memory: MemberMemory, topology: Policy['topology']): MemberMemory {
  if (topology !== 'SharedStorage' || memory.storage !== null || memory.besideAt !== null) return memory;
  return { ...memory, storage: { tenure: 0, from: null } };
}

/** Whether two members are one server, which one or the other host runs. */
export function areOneServer({ members }: Pick<Memory, 'members'>, one: string, other: string): boolean {
  return one === other || (members.get(one)?.storage != null && members.get(other)?.storage != null);
}

export interface Twice {
  /** Wall clock ms. */
  readonly at: number;
  /** Whether they still are, as far as is known. */
  readonly now: boolean;
  readonly names: readonly string[];
}

/** Members of what is declared to be one shared storage that were seen alive at the same time. */
export function usedTwice(
  topology: Policy['topology'],
  { members }: Pick<Memory, 'members'>,
  observation: Observation,
): Twice | null {
  const beside = [...members.values()].filter(({ besideAt }) => besideAt !== null);
  if (topology !== 'SharedStorage' || beside.length === 0) return null;
  const at = Math.max(...beside.map(({ besideAt }) => besideAt ?? 0));
  const names = beside.map(({ name }) => name);
  const living = observation.members.filter(({ name, look }) => names.includes(name) && look.known);
  return { at, now: living.length > 1, names };
}

export function twiceMessage({ names, at, now }: Twice): string {
  const when = now ? 'run at the same time' : `ran at the same time (${new Date(at).toISOString()})`;
  const then = now ? 'Stop all but one at once' : 'Check the data directory';
  return `${names.join(' and ')} ${when}, and topology is SharedStorage: two servers on one data directory destroy it. ${then}, compare the data and reseed the replicas; if each has a data directory of its own, set source.topology to PrimaryStandby or DualPrimary`;
}
