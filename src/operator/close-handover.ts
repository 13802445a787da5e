import type { Outcome, Verdict } from '../api/reasons.ts';
import type { HandoverRecord, HandoverReplica } from '../api/v1alpha1.ts';
import { formatPosition } from '../domain/gtid.ts';
import type { Memory } from '../domain/memory.ts';
import { shortHash } from '../domain/plan.ts';
import type { Decision } from '../domain/verdict.ts';
import { isReady } from '../domain/verdict.ts';
import type { OpenHandover } from './handover.ts';
import { bounded, MAX_MESSAGE } from './status-parts.ts';

export interface Closing {
  readonly decisions: readonly Decision[];
  /** Pods on which a plan is being carried out. */
  readonly busy: ReadonlySet<string>;
  readonly memory: Memory;
  readonly wallNow: number;
  /** The resource goes away: nobody waits for the source, or for a replica, any more. */
  readonly leaving: boolean;
  /** Pods whose link stands without an error. */
  readonly standing: ReadonlySet<string>;
}

/**
 * Ends a handover once nobody is on the way any more; null while somebody is. Whoever was refused is in the record with
 * the verdict. One that was only prepared, and then not needed, leaves no record.
 */
export function closeHandover(open: OpenHandover, closing: Closing): { readonly record: HandoverRecord | null } | null {
  const { decisions, memory, wallNow } = closing;
  const concerned = decisions.filter((decision) => open.intents.has(decision.pod));
  if (concerned.some((decision) => isUnderWay(open, closing, decision))) return null;
  const before = concerned.filter((decision) => arrivedBefore(open, closing, decision));
  const begun = [...open.replicas.values(), ...before.map(({ pod }) => inheritedEntry(open, pod))];
  if (begun.length === 0 && !(concerned.length > 0 && concerned.every(isRefused))) return { record: null };
  const replicas = withRefusals(begun, decisions.filter(isRefused), memory);
  return { record: recordOf({ ...open, outcome: outcomeOf(replicas, concerned, closing), replicas }, wallNow) };
}

interface Refusing extends Pick<Closing, 'decisions' | 'memory' | 'wallNow'> {
  readonly holder: string;
  /** Wall clock ms. */
  readonly vipAnsweredAt: number | null;
  readonly handovers: readonly HandoverRecord[];
}

/**
 * The record of a handover that never began, for no replica could be proven on the holder; null where that is not so, or
 * was told since the replicas were proven last.
 */
export function refusedHandover(refusing: Refusing): HandoverRecord | null {
  const { decisions, memory, holder, handovers, ...times } = refusing;
  const target = memory.members.get(holder);
  const known = decisions.flatMap((decision) => {
    const baseline = memory.replicas.get(decision.pod)?.baseline;
    return baseline == null ? [] : [{ decision, baseline }];
  });
  const [first] = known;
  if (target === undefined || first === undefined) return null;
  const all = known.every(({ decision, baseline }) => {
    return isRefused(decision) && decision.plan === null && baseline.lineage !== target.lineage;
  });
  const provenAt = Math.max(...known.map(({ baseline }) => baseline.at));
  const told = handovers.some(
    ({ to, outcome, finishedAt }) => to === holder && outcome === 'Refused' && Date.parse(finishedAt) >= provenAt,
  );
  if (!all || told) return null;
  const names = known.map(({ decision, baseline }) => `${decision.pod}@${baseline.at}`).sort();
  return recordOf(
    {
      id: `${holder}-${shortHash([holder, target.lineage, ...names].join('|'))}`,
      from: first.baseline.member,
      to: holder,
      trigger: first.baseline.member === holder ? 'HolderRestarted' : 'VipMoved',
      startedAt: times.vipAnsweredAt ?? times.wallNow,
      vipAnsweredAt: times.vipAnsweredAt,
      outcome: 'Refused',
      replicas: known.map(({ decision }) => refusedEntry(decision, memory)),
    },
    times.wallNow,
  );
}

/** The VIP went elsewhere before everybody had arrived: what was done is recorded all the same. */
export function supersededHandover(open: OpenHandover, wallNow: number): HandoverRecord | null {
  const replicas = [...open.replicas.values()];
  if (replicas.length === 0) return null;
  const arrived = replicas.filter(hasArrived).length;
  const outcome = arrived === 0 ? 'Abandoned' : arrived === open.intents.size ? 'Completed' : 'Partial';
  return recordOf({ ...open, outcome, replicas }, wallNow);
}

type Ended = Omit<HandoverRecord, 'startedAt' | 'vipAnsweredAt' | 'finishedAt' | 'durationMs'> &
  Pick<OpenHandover, 'startedAt' | 'vipAnsweredAt'>;

function recordOf({ id, from, to, trigger, outcome, replicas, ...times }: Ended, wallNow: number): HandoverRecord {
  const { startedAt, vipAnsweredAt } = times;
  return {
    id,
    from,
    to,
    trigger,
    startedAt: new Date(startedAt).toISOString(),
    ...(vipAnsweredAt === null ? {} : { vipAnsweredAt: new Date(vipAnsweredAt).toISOString() }),
    finishedAt: new Date(wallNow).toISOString(),
    durationMs: Math.max(0, Math.round(wallNow - (vipAnsweredAt ?? startedAt))),
    outcome,
    replicas,
  };
}

/**
 * A pod that was not seen since its intent was stored, or that waits for the source, may stand anywhere in it: it goes on
 * afterwards. A refusal ends it, also half way: what stopped the replica is remembered of it (`haltedSince`).
 */
function isUnderWay(open: OpenHandover, closing: Closing, { pod, verdict, reason, plan, prepared }: Decision): boolean {
  if (closing.busy.has(pod)) return true;
  if (closing.leaving) return false;
  if (
    plan !== null ||
    prepared !== null ||
    verdict === 'HandingOver' ||
    verdict === 'Filling' ||
    reason === 'NotLookedYet'
  )
    return true;
  const entry = open.replicas.get(pod);
  if (isReady(verdict) || (entry !== undefined && hasArrived(entry))) return false;
  // What an adoption stopped goes on by its intent only, once the source is there.
  return NOT_OVER.includes(verdict) || (reason === 'NotAdopted' && closing.standing.has(pod));
}

/** The source is to blame, or nobody could look: what was begun goes on afterwards. */
const NOT_OVER: readonly Verdict[] = ['Unreachable', 'Waiting', 'Frozen'];

function hasArrived({ to }: HandoverReplica): boolean {
  return to.gtid !== undefined;
}

const REFUSALS: readonly Verdict[] = [
  'Diverged',
  'Ahead',
  'LocalConflict',
  'ApplierFailed',
  'Purged',
  'Behind',
  'Unproven',
];

function isRefused({ verdict, reason }: Decision): boolean {
  return REFUSALS.includes(verdict) && reason !== 'NotAdopted';
}

function withRefusals(
  begun: readonly HandoverReplica[],
  refused: readonly Decision[],
  memory: Memory,
): HandoverReplica[] {
  const told = begun.map((entry) => {
    const refusal = refused.find(({ pod }) => pod === entry.pod);
    return refusal === undefined ? entry : { ...entry, message: refusalOf(refusal) };
  });
  const others = refused.filter(({ pod }) => !begun.some((entry) => entry.pod === pod));
  return [...told, ...others.map((decision) => refusedEntry(decision, memory))];
}

function refusalOf({ verdict, reason, message }: Decision): string {
  return bounded(`${verdict === reason ? verdict : `${verdict}/${reason}`}: ${message}`, MAX_MESSAGE);
}

/** It stands where it was proven last. */
function refusedEntry(decision: Decision, memory: Memory): HandoverReplica {
  const baseline = memory.replicas.get(decision.pod)?.baseline ?? null;
  const from = baseline === null ? {} : { ...baseline.coordinates, gtid: formatPosition(baseline.gtid) };
  return { pod: decision.pod, from, to: {}, durationMs: 0, message: refusalOf(decision), steps: [] };
}

/** A process before this one brought it there, and died before it could say so. */
function arrivedBefore(open: OpenHandover, { memory }: Closing, { pod, verdict }: Decision): boolean {
  if (!open.inherited.has(pod) || open.replicas.has(pod) || !isReady(verdict)) return false;
  return memory.replicas.get(pod)?.baseline?.member === open.to;
}

function inheritedEntry({ intents }: OpenHandover, pod: string): HandoverReplica {
  const intent = intents.get(pod);
  const { gtid = '', file, position, proof, filledFrom = gtid } = intent ?? {};
  const place = { ...(file === undefined || position === undefined ? {} : { file, position }), gtid };
  return {
    pod,
    ...(proof === undefined ? {} : { proof }),
    from: { gtid: filledFrom },
    to: place,
    durationMs: 0,
    message: '',
    steps: [],
  };
}

/** A replica that follows without having arrived has followed another member all along. */
function outcomeOf(
  replicas: readonly HandoverReplica[],
  concerned: readonly Decision[],
  { decisions, leaving }: Closing,
): Outcome {
  const arrived = new Set(replicas.filter(hasArrived).map(({ pod }) => pod));
  // Silence after the arrival takes nothing back.
  const isDone = ({ pod, verdict }: Decision): boolean =>
    isReady(verdict) || (verdict === 'Waiting' && arrived.has(pod));
  if (concerned.length === 0 || (leaving && arrived.size === 0)) return 'Abandoned';
  if (!concerned.some(isDone)) return 'Refused';
  if (arrived.size === 0) return 'Abandoned';
  return decisions.every(isDone) ? 'Completed' : 'Partial';
}
