import type { Evidence, Question, Run, TransactionQuestion, WalkQuestion } from './evidence.ts';
import { answerTo } from './evidence.ts';
import { valueOf } from './fact.ts';
import type { Gtid, GtidState } from './gtid.ts';
import { formatGtid, gtidsOf, isWithin, mergeStates, ofServer, seqIn, stateHas, stateOf } from './gtid.ts';
import type { Anchor, Errant, MemberMemory, Mixed } from './memory.ts';
import { binlogStateOf } from './memory.ts';
import type { Coordinates, Link, MemberObservation, ServerLook } from './observation.ts';
import { compareCoordinates, hasFile } from './observation.ts';
import { shortHash } from './plan.ts';
import type { Asking, ProofInput, Refused } from './proof.ts';
import { asking, incarnationKey, refused } from './proof.ts';
import { leavesOut } from './skipped.ts';

/*
 * Of each GTID domain and server MariaDB shows the highest number only. What a member wrote by itself while another one held
 * the VIP is hidden from everybody who got a later number of it through that one: for good, at Yes/Yes. So it is noticed
 * when it happens: the member's own binlog says in which order it logged, and its peers say what they have of it.
 */

const MAX_RUNS = 16;
const MAX_DOMAINS = 64;

interface SeenNow {
  readonly held: boolean;
  /** Nobody looked for long before. */
  readonly late: boolean;
  /** Another member takes in what it writes, and has all that a look at it showed: the newest such look; null: none does. */
  readonly fed: Anchor | null;
  /** Every other member follows it by GTID: none is attached at a place in its binlog that somebody chose. */
  readonly byGtid: boolean;
}

/** How the other members follow one. */
export function followedNow(
  others: readonly MemberObservation[],
  memory: MemberMemory,
  look: ServerLook,
): Pick<SeenNow, 'fed' | 'byGtid'> {
  const byGtid = others.every((other) => linkTo(other, look)?.usingGtid === 'Slave_Pos');
  return { fed: takenInBy(others, memory, look), byGtid };
}

function linkTo({ look }: MemberObservation, { identity }: ServerLook): Link | undefined {
  return valueOf(look)?.links.find(({ sourceServerId }) => sourceServerId === identity.serverId);
}

/** The newest look at a member of which another one that follows it has all that this wrote itself. */
function takenInBy(others: readonly MemberObservation[], { anchors }: MemberMemory, look: ServerLook): Anchor | null {
  const { serverId } = look.identity;
  const has = others.flatMap((other) => {
    const link = linkTo(other, look);
    const there = valueOf(other.look);
    return link?.io === 'Yes' && link.sql === 'Yes' && there !== undefined ? [binlogStateOf(there)] : [];
  });
  const own = ({ binlogState }: Anchor) => stateOf(ofServer(gtidsOf(binlogState), serverId));
  return anchors.findLast((anchor) => has.some((state) => isWithin(own(anchor), state))) ?? null;
}

/** What one new look at a member adds to what is to be read: `last` is the look before it, of the same history. Pure. */
export function noticeMixed(memory: MemberMemory, last: Anchor | undefined, now: SeenNow): MemberMemory {
  const { lastLook: look, seen = null } = memory;
  const noticed = { ...memory, seen: { held: now.held, fed: now.fed } };
  if (look === undefined || last === undefined || look.end === null) return noticed;
  // What another one takes in all the time, as two primaries do, is missing nowhere.
  if (seen !== null && seen.fed !== null && now.fed !== null) return noticed;
  // A link over which nothing comes any more shows no error for a while.
  const before = seen?.fed ?? last;
  const order = mayBeMixed(look, before.binlogState);
  // It may have taken the VIP a moment ago, and that is when it began to write.
  const wroteAsHolder = seen !== null && !now.late && now.held;
  const isElsewhere = now.byGtid && look.logSlaveUpdates;
  const first = !wroteAsHolder && !isElsewhere && !isWithin(stateOf(ownOf(look)), before.binlogState);
  if (!order && !first) return noticed;
  const othersToo = !isWithin(binlogStateOf(look), mergeStates(before.binlogState, stateOf(ownOf(look))));
  return { ...noticed, mixed: extended(memory.mixed, before, look.end, { first, order: order || othersToo }) };
}

function extended(
  mixed: Mixed | null,
  before: Anchor,
  end: Coordinates,
  { first, order }: Pick<Mixed, 'first' | 'order'>,
): Mixed {
  if (mixed !== null) return { ...mixed, until: end, first: mixed.first || first, order: mixed.order || order };
  return { from: before.end, before: before.binlogState, through: end, until: end, first, order };
}

function ownOf(look: ServerLook): Gtid[] {
  return ofServer(gtidsOf(binlogStateOf(look)), look.identity.serverId);
}

/** Whether it may have logged a transaction of another server behind one of its own with the same or a higher number. */
function mayBeMixed(look: ServerLook, before: GtidState): boolean {
  const state = binlogStateOf(look);
  return ownOf(look).some(({ domain, serverId, seq }) =>
    [...(state.get(domain) ?? [])].some(([other, upTo]) => {
      const had = seqIn(before, { domain, serverId: other }) ?? 0n;
      return other !== serverId && upTo > had && had < seq;
    }),
  );
}

interface Around {
  readonly observed: MemberObservation;
  readonly look: ServerLook;
  readonly others: readonly MemberObservation[];
  readonly evidence: Evidence;
}

interface Read {
  readonly memory: MemberMemory;
  readonly questions: readonly Question[];
}

/** Reads what is still to be read, then asks the other members for what was found. Pure. */
export function readMixed(memory: MemberMemory, around: Around): Read {
  const { mixed } = memory;
  if (memory.inQuestion) return { memory, questions: [] };
  if (mixed === null) return withoutKept(memory, around);
  // What was purged before anybody read it nobody can read.
  if (!hasFile(around.look, mixed.from.file)) return { memory: { ...memory, mixed: null }, questions: [] };
  const question = questionOf(mixed, around.observed);
  const walk = answerTo(around.evidence, question);
  if (!walk.known) return { memory, questions: [question] };
  const { transactions, truncated } = walk.value;
  const all = transactions.map(({ gtid }) => gtid);
  const gtids = truncated === null ? all : all.slice(0, -1);
  const rest = truncated === null ? restOf(mixed, gtids) : cutAt(mixed, gtids, transactions.at(-1)?.at);
  // One transaction is too long to be read: what it wrote itself then is not known, so all of it counts.
  const found = rest === 'Stuck' ? runsOf(around.look, mixed.before) : errantIn(around.look, mixed, gtids);
  const errant = bounded([...memory.errant, ...found]);
  return { memory: { ...memory, errant, mixed: rest === 'Stuck' ? null : rest }, questions: [] };
}

function questionOf({ from, through, order }: Mixed, observed: MemberObservation): WalkQuestion {
  const incarnation = incarnationKey(observed);
  return { kind: 'Walk', member: observed.name, incarnation, from, through, firstOnly: !order };
}

/** Null: nothing is left to be read. */
function restOf(mixed: Mixed, read: readonly Gtid[]): Mixed | null {
  const { through, until, order } = mixed;
  if (!order || !(compareCoordinates(until, through) > 0)) return null;
  return { ...mixed, before: mergeStates(mixed.before, stateOf(read)), from: through, through: until };
}

/** A walk that was cut goes on at the last transaction that was read. */
function cutAt(mixed: Mixed, read: readonly Gtid[], at: Coordinates | undefined): Mixed | 'Stuck' {
  if (at === undefined || !(compareCoordinates(at, mixed.from) > 0)) return 'Stuck';
  return { ...mixed, before: mergeStates(mixed.before, stateOf(read)), from: at };
}

function runsOf(look: ServerLook, before: GtidState): Run[] {
  const own = ownOf(look).filter((gtid) => !stateHas(before, gtid));
  return own.map(({ domain, serverId, seq }) => ({ domain, serverId, first: seq, last: seq }));
}

/**
 * A server counts on from the highest number of the domain in its binlog. Behind transactions of its own, one of another
 * server with a number that is not higher was written at the same time: who stands at that one never gets its own. And who
 * was attached by file and position at a later place never gets the first.
 */
function errantIn(
  { identity: { serverId } }: ServerLook,
  { before, first: isFirst }: Mixed,
  gtids: readonly Gtid[],
): Run[] {
  const isReadAgain = (own: Gtid) =>
    gtids.some((gtid) => gtid.domain === own.domain && gtid.serverId === serverId && gtid.seq <= own.seq);
  // A look reads the end first and the state after it: what is read again lies behind the end.
  const known = ofServer(gtidsOf(before), serverId).filter((own) => !isReadAgain(own));
  const own = new Map(known.map(({ domain, seq }) => [domain, [seq]]));
  const begun = new Set<number>();
  const runs: Run[] = [];
  for (const { domain, serverId: writer, seq } of gtids) {
    const seqs = own.get(domain) ?? [];
    if (writer === serverId) {
      if (isFirst && !begun.has(domain)) runs.push({ domain, serverId, first: seq, last: seq });
      begun.add(domain);
      own.set(domain, seqs);
      seqs.push(seq);
    } else {
      const first = seqs[firstAtLeast(seqs, seq)];
      const last = seqs.at(-1);
      if (first !== undefined && last !== undefined) runs.push({ domain, serverId, first, last });
    }
  }
  return runs;
}

/** In ascending numbers; their count where all are smaller. */
function firstAtLeast(seqs: readonly bigint[], seq: bigint): number {
  let [low, high] = [0, seqs.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((seqs[middle] ?? seq) < seq) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Both ends of each are asked for, so they are kept apart; of too many the last of a domain are taken together. */
function bounded(runs: readonly Errant[]): readonly Errant[] {
  const byEnd = new Map<string, Errant>();
  for (const run of runs) {
    const key = `${run.domain}-${run.serverId}-${run.last}`;
    const same = byEnd.get(key);
    if (same === undefined || run.first < same.first) byEnd.set(key, run);
  }
  const kept = [...byEnd.values()].toSorted((a, b) => a.domain - b.domain || (a.last < b.last ? -1 : 1));
  while (kept.length > MAX_RUNS) {
    const index = kept.findLastIndex((run, at) => run.domain === kept[at - 1]?.domain);
    const [before, last] = [kept[index - 1], kept[index]];
    if (before === undefined || last === undefined) break;
    kept.splice(index - 1, 2, { ...last, first: before.first < last.first ? before.first : last.first });
  }
  return kept.slice(0, MAX_DOMAINS);
}

/** What every other member has, or leaves out on purpose, is missing nowhere. */
function withoutKept(memory: MemberMemory, { others, evidence, look }: Around): Read {
  const questions: Question[] = [];
  const errant = memory.errant.flatMap((run) => {
    const answers = others.map((other) => ({ name: other.name, says: keptBy(other, run, look, evidence) }));
    questions.push(...answers.flatMap(({ says }) => (typeof says === 'string' ? [] : says)));
    if (answers.every(({ says }) => says === 'Kept')) return [];
    const lackedBy = answers.find(({ says }) => says === 'Lacks')?.name;
    return [lackedBy === undefined || lackedBy === run.lackedBy ? run : { ...run, lackedBy }];
  });
  const isSame = errant.length === memory.errant.length && errant.every((run, index) => run === memory.errant[index]);
  return { memory: isSame ? memory : { ...memory, errant }, questions };
}

function keptBy(
  { name, incarnation, look: seen }: MemberObservation,
  run: Run,
  { identity }: ServerLook,
  evidence: Evidence,
): 'Kept' | 'Lacks' | 'Unknown' | readonly Question[] {
  const look = valueOf(seen);
  if (look === undefined || look.identity.serverId === identity.serverId) return 'Unknown';
  if (leavesOut(look)) return 'Kept';
  const ends = endsOf(run);
  if (!ends.every((gtid) => stateHas(binlogStateOf(look), gtid))) return 'Unknown';
  const { open, lacking } = ask({ member: name }, { incarnation, gtids: ends, evidence });
  if (open.length > 0) return open;
  if (lacking.length === 0) return 'Kept';
  // Its binlog may begin after that: it was purged, or made of a copy.
  const [oldest] = look.files;
  const key = incarnationKey({ incarnation });
  const question = { kind: 'FileHeader', member: name, incarnation: key, file: oldest?.name ?? '' } as const;
  const header = valueOf(answerTo(evidence, question));
  if (oldest !== undefined && header === undefined) return [question];
  return lacking.some((gtid) => header === undefined || stateHas(header.gtidList, gtid)) ? 'Unknown' : 'Lacks';
}

function endsOf({ domain, serverId, first, last }: Run): readonly Gtid[] {
  return (first === last ? [first] : [first, last]).map((seq) => ({ domain, serverId, seq }));
}

interface Wanted {
  readonly incarnation: number;
  readonly gtids: readonly Gtid[];
  readonly evidence: Evidence;
}

/** Which of these a server's binlog does not have, and what has to be asked before that can be said. */
function ask(server: TransactionQuestion['server'], { incarnation, gtids, evidence }: Wanted) {
  const asked = gtids.map((gtid) => {
    const key = incarnationKey({ incarnation });
    const question: TransactionQuestion = { kind: 'Transaction', server, incarnation: key, gtid: formatGtid(gtid) };
    return { gtid, question, found: valueOf(answerTo(evidence, question))?.found };
  });
  return {
    open: asked.flatMap(({ question, found }) => (found === undefined ? [question] : [])),
    lacking: asked.flatMap(({ gtid, found }) => (found === null ? [gtid] : [])),
  };
}

/**
 * What the target wrote by itself, and its peers are not known to have, must be shown of who seems to have it: by its own
 * binlog, or without one by that of the server from which it got the later ones. Null: it is, or the replica has none of it.
 */
export function passedErrant(input: ProofInput): Refused | Asking | null {
  const { replica, holder, targetMemory, evidence } = input;
  const unread = notReadYet(input);
  if (unread !== null) return unread;
  const gtids = targetMemory.errant
    .filter((run) => !hasFollowed(input, run))
    .flatMap((run) => endsOf(run).filter((gtid) => stateHas(replica.contains, gtid)));
  if (gtids.length === 0) return null;
  const witness = witnessOf(input);
  if (witness === null) return notShown(input, gtids);
  const { open, lacking } = ask(witness.server, { ...witness, gtids, evidence });
  const what = `finding out whether ${replica.pod} has what ${holder.member.name} wrote by itself`;
  if (open.length > 0) return asking(what, ...open);
  return lacking.length === 0 ? null : notShown(input, lacking);
}

/** Only what the replica has of the target's own, and may be among what was not read yet, is worth waiting for. */
function notReadYet({ replica, holder, target, targetMemory }: ProofInput): Asking | null {
  const { mixed } = targetMemory;
  if (mixed === null || !hasFile(target, mixed.from.file)) return null;
  const own = ofServer(gtidsOf(replica.contains), target.identity.serverId);
  const isConcerned = own.some(({ domain, serverId, seq }) => {
    const others = [...(mixed.before.get(domain) ?? [])].filter(([id]) => id !== serverId);
    return !stateHas(mixed.before, { domain, serverId, seq }) || others.every(([, upTo]) => upTo < seq);
  });
  if (!isConcerned) return null;
  const question = questionOf(mixed, holder.member);
  return asking(`reading in which order ${holder.member.name} logged what it and others wrote`, question);
}

/** On the target itself it got everything that this had logged. */
function hasFollowed({ replica, baseline, targetMemory: { lineage } }: ProofInput, run: Run): boolean {
  const { domain, serverId, last: seq } = run;
  const { followed } = replica.memory;
  const then =
    baseline.lineage === lineage ? baseline.contains : followed?.lineage === lineage ? followed.contains : null;
  return then !== null && stateHas(then, { domain, serverId, seq });
}

interface Witness {
  readonly server: TransactionQuestion['server'];
  readonly incarnation: number;
}

function witnessOf({ replica, baseline, holder, source, sourceObserved }: ProofInput): Witness | null {
  const { pod, look, observed } = replica;
  if (look.logSlaveUpdates) return { server: { pod }, incarnation: observed.incarnation };
  const there = sourceObserved === undefined ? undefined : valueOf(sourceObserved.look);
  if (source === undefined || sourceObserved === undefined || there?.logSlaveUpdates !== true) return null;
  if (source.name === holder.member.name || source.inQuestion || source.lineage !== baseline.lineage) return null;
  return { server: { member: source.name }, incarnation: sourceObserved.incarnation };
}

/** Null: a person found it there. */
function notShown({ replica, holder, approved }: ProofInput, lacking: readonly Gtid[]): Refused | null {
  const gtids = lacking.map(formatGtid);
  const [{ pod }, { name }] = [replica, holder.member];
  const id = `errant-${shortHash([pod, name, ...gtids].join('|'))}`;
  if (approved.has(id)) return null;
  const message = `${name} wrote ${gtids.slice(0, 10).join(', ')} by itself while another server wrote, and nothing shows that ${pod} has it, although it has later ones of ${name}: it got those from another server. Compare its data with ${name}. Where it has that: kubectl annotate mxr/<name> mxr.dev/approve=${id}; else reseed ${pod} from ${name}`;
  return refused('Unproven', 'NotPrefix', message, { count: null, gtids });
}
