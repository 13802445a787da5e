import type { Proof, Reason, Verdict } from '../api/reasons.ts';
import type { Evidence, FileHeader, Question, TransactionContent } from './evidence.ts';
import { answerTo } from './evidence.ts';
import type { Gtid, GtidPosition, GtidState } from './gtid.ts';
import { formatGtid } from './gtid.ts';
import type { Holder } from './holder.ts';
import { endWithAllOf } from './lineage.ts';
import type { Baseline, MemberMemory } from './memory.ts';
import type { Coordinates, MemberObservation, ServerLook } from './observation.ts';
import type { ReplicaFacts } from './replica.ts';
import type { Unique } from './unique-transactions.ts';
import { beyondOf } from './unique-transactions.ts';

/** The result of asking "may this replica go on from here on that server?" */
export type ProofResult = Proven | Refused | Undecided | Asking;

export interface Proven {
  readonly kind: 'Proven';
  readonly proof: Proof;
  /** Where the replica stands: what it will ask for. */
  readonly gtid: GtidPosition;
  /** The same place in the target's own binlog; null where it is not needed and not known. */
  readonly at: Coordinates | null;
  /** Everything that the replica is proven to contain at that place. */
  readonly contains: GtidState;
  /** How it was proven, for the record. */
  readonly because: string;
}

/** A verdict: what is missing and what would cure it. */
export interface Refused {
  readonly kind: 'Refused';
  readonly verdict: Verdict;
  readonly reason: Reason;
  readonly message: string;
  readonly transactions: Transactions | null;
  /** What would say more to a person; the refusal stands without. */
  readonly questions: readonly Question[];
  /** Of `Behind`: the place up to which another server could fill the gap. */
  readonly fillTo?: GtidPosition;
}

/** Nothing is wrong; something has to happen first. */
export interface Undecided {
  readonly kind: 'Undecided';
  readonly reason: Reason;
  readonly message: string;
}

export interface Asking {
  readonly kind: 'Asking';
  readonly questions: readonly Question[];
  readonly message: string;
}

export interface Transactions {
  /** Null when they cannot be counted (holes, several servers). */
  readonly count: number | null;
  /** The first and the last ten. */
  readonly gtids: readonly string[];
  /** Wall clock ms of the first and the last, where they were read. */
  readonly firstAt?: number;
  readonly lastAt?: number;
  /** Where they can be read; absent: nobody needs to. */
  readonly unique?: Unique;
}

/** Everything that a proof against one target may look at. */
export interface ProofInput {
  readonly replica: ReplicaFacts;
  readonly baseline: Baseline;
  readonly holder: Holder;
  readonly target: ServerLook;
  /** No other member has the target's server id. */
  readonly hasOwnId: boolean;
  readonly targetMemory: MemberMemory;
  /** The member that the replica followed last. */
  readonly source: MemberMemory | undefined;
  readonly sourceObserved: MemberObservation | undefined;
  /** The source answers directly, is the incarnation that the replica followed, and the replica still receives from it. */
  readonly stillReceiving: boolean;
  /** Its link dials the VIP: MariaDB's own reconnect may end on any member. */
  readonly viaVip: boolean;
  /** It may have been fed by another server meanwhile (`mayHaveStrayed`). */
  readonly strayed: boolean;
  readonly positioning: 'GTID' | 'FilePosition';
  readonly evidence: Evidence;
  /** Ids that a person has approved. */
  readonly approved: ReadonlySet<string>;
}

/** Whether the target and the member that the replica followed last number their transactions under one server id. */
export function haveEqualIds({ source, target, targetMemory }: ProofInput): boolean {
  return (
    source !== undefined && source.name !== targetMemory.name && source.identity.serverId === target.identity.serverId
  );
}

/** What comparing the content of both sides needs. */
export type ContentInput = Pick<ProofInput, 'replica' | 'evidence'> & {
  readonly holder: Pick<Holder, 'member' | 'look'>;
};

/** Names one incarnation of a target for questions, as this process counts them: an answer of another life never fits. */
export function incarnationKey(observed: { readonly incarnation: number }): string {
  return String(observed.incarnation);
}

export function refused(
  verdict: Verdict,
  reason: Reason,
  message: string,
  transactions: Transactions | null = null,
): Refused {
  return { kind: 'Refused', verdict, reason, message, transactions, questions: [] };
}

export function asking(message: string, ...questions: Question[]): Asking {
  return { kind: 'Asking', questions, message };
}

/**
 * The side that must be the larger is read last: asks for a look at the target that began since the replica was seen to
 * stand where it does. Null: there is one.
 */
export function lookAgain({ replica, holder }: Pick<ProofInput, 'replica' | 'holder'>, why: string): Asking | null {
  const { name } = holder.member;
  const after = replica.standing.since;
  if (holder.lookAt >= after) return null;
  return asking(`looking at ${name} again ${why}`, { kind: 'LiveLook', target: { member: name }, after });
}

/** Up to where the target's binlog is read for what the replica has. */
export function readUpTo({ holder, targetMemory }: ProofInput, has: GtidState, end: Coordinates): Coordinates | Asking {
  const { name } = holder.member;
  const after = holder.lookAt + 1;
  const question = { kind: 'LiveLook', target: { member: name }, after } as const;
  return endWithAllOf(targetMemory, has, end) ?? asking(`looking at ${name} again for where its binlog ends`, question);
}

/** What the target says of a place in its own binlog (BINLOG_GTID_POS); null: it is none. */
export function holderSays(
  { holder, evidence }: Pick<ProofInput, 'holder' | 'evidence'>,
  at: Coordinates,
): { readonly there: GtidPosition | null } | Asking {
  const { name } = holder.member;
  const question = { kind: 'GtidAt', member: name, incarnation: incarnationKey(holder.member), at } as const;
  const answer = answerTo(evidence, question);
  return answer.known
    ? { there: answer.value }
    : asking(`asking ${name} for the GTID at ${at.file}:${at.position}`, question);
}

/** What stands at the head of one of the target's binlog files. */
export function headOf(
  { holder, evidence }: Pick<ProofInput, 'holder' | 'evidence'>,
  file: string,
): { readonly head: FileHeader } | Asking {
  const { name } = holder.member;
  const question = { kind: 'FileHeader', member: name, incarnation: incarnationKey(holder.member), file } as const;
  const answer = answerTo(evidence, question);
  return answer.known ? { head: answer.value } : asking(`reading the head of ${file} on ${name}`, question);
}

/** The transactions between what one side has and the other lacks, as far as numbers alone tell. */
export function lacking(gtids: readonly Gtid[], than: GtidState, form: 'State' | 'Position' = 'State'): Transactions {
  const counts = gtids.map((gtid) => {
    const has = than.get(gtid.domain)?.get(gtid.serverId);
    return has === undefined ? null : Number(gtid.seq - has);
  });
  const count = counts.every((one) => one !== null) ? counts.reduce((sum: number, one) => sum + (one ?? 0), 0) : null;
  const listed = gtids.flatMap((gtid) => numbersUpTo(gtid, than)).map(formatGtid);
  return { count, gtids: listed, unique: beyondOf(gtids, than, form) };
}

const ENDS = 10n;

/** One server counts without holes within a domain that nobody else writes; else some of these numbers do not exist. */
function numbersUpTo(gtid: Gtid, than: GtidState): Gtid[] {
  const has = than.get(gtid.domain)?.get(gtid.serverId);
  if (has === undefined) return [gtid];
  const numbers: Gtid[] = [];
  for (let seq = has + 1n; seq <= gtid.seq; seq += 1n) {
    if (seq === has + 1n + ENDS && gtid.seq - ENDS >= seq) seq = gtid.seq - ENDS + 1n;
    numbers.push({ ...gtid, seq });
  }
  return numbers;
}

/**
 * Content proof (handover.md): transactions that the replica has (by default its last of each domain), read from the
 * target and from the replica's own binlog. Null: equal, the histories are common.
 */
export function proveContent(
  input: ContentInput,
  gtids: readonly Gtid[] = [...input.replica.position.values()],
): Refused | Asking | null {
  const { replica, holder } = input;
  if (gtids.length > 0 && !replica.look.logSlaveUpdates) {
    return refused(
      'Unproven',
      'NotComparable',
      `the last transactions of ${replica.pod} cannot be compared with ${holder.member.name}: the replica has no binlog of what it applied; set log_slave_updates=1 on it, and reseed it`,
    );
  }
  const questions: Question[] = [];
  for (const gtid of gtids) {
    const text = formatGtid(gtid);
    const there = {
      kind: 'Transaction',
      server: { member: holder.member.name },
      incarnation: incarnationKey(holder.member),
      gtid: text,
    } as const;
    const here = {
      kind: 'Transaction',
      server: { pod: replica.pod },
      incarnation: incarnationKey(replica.observed),
      gtid: text,
    } as const;
    const [onTarget, onReplica] = [answerTo(input.evidence, there), answerTo(input.evidence, here)];
    if (!onTarget.known) questions.push(there);
    if (!onReplica.known) questions.push(here);
    if (!onTarget.known || !onReplica.known) continue;
    const result = compareContent(gtid, onTarget.value.found, onReplica.value.found, input);
    if (result !== null) return result;
  }
  return questions.length === 0 ? null : asking('the last transactions of both sides are being compared', ...questions);
}

type Content = TransactionContent['found'];

function compareContent(id: Gtid, there: Content, here: Content, input: ContentInput): Refused | null {
  const [pod, member, gtid] = [input.replica.pod, input.holder.member.name, formatGtid(id)];
  if (there === null || here === null) {
    const where = there === null ? member : pod;
    return refused(
      'Unproven',
      'NotComparable',
      `${gtid} is not in the binlog of ${where}, so its content cannot be compared`,
    );
  }
  if (there.kind !== here.kind) {
    return refused(
      'Unproven',
      'NotComparable',
      `${gtid} is logged as ${there.kind} on ${member} and as ${here.kind} on ${pod}; use one binlog_format and row image on all`,
    );
  }
  if (there.digest === here.digest && there.timestamp === here.timestamp) return null;
  const table = retyped(there.tables, here.tables);
  if (table !== undefined) {
    const message = `${gtid} changes rows of ${table}, whose columns have other types on ${member} than on ${pod}`;
    return refused('Unproven', 'NotComparable', message);
  }
  const message = `${gtid} is not the same transaction on both sides. On ${member}: ${there.summary} (${iso(there.timestamp)}). On ${pod}: ${here.summary} (${iso(here.timestamp)})`;
  const at = { firstAt: here.timestamp, lastAt: here.timestamp };
  const unique = { kind: 'Differing', member, gtid: id } as const;
  return refused('Diverged', 'Diverged', message, { count: null, gtids: [gtid], ...at, unique });
}

type Tables = NonNullable<Content>['tables'];

/** Rows of other column types look different although they may be the same. */
function retyped(there: Tables, here: Tables): string | undefined {
  return there.find(({ name, types }) => here.some((one) => one.name === name && one.types !== types))?.name;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

/** How many transactions lie between; null where another server wrote them, so that numbers do not say. */
export function missingCount(there: GtidPosition, here: GtidPosition): number | null {
  let sum = 0n;
  for (const gtid of there.values()) {
    const own = here.get(gtid.domain);
    if (own === undefined || own.serverId !== gtid.serverId) return null;
    sum += gtid.seq > own.seq ? gtid.seq - own.seq : 0n;
  }
  return Number(sum);
}
