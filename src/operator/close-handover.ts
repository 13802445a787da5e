import type { Outcome, Verdict } from '../api/reasons.ts';
import type { HandoverRecord, HandoverReplica } from '../api/v1alpha1.ts';
import type { Memory } from '../domain/memory.ts';
import type { Decision } from '../domain/verdict.ts';
import { isReady } from '../domain/verdict.ts';
import type { OpenHandover } from './handover.ts';

export interface Closing {
  readonly decisions: readonly Decision[];
  /** Pods on which a plan is being carried out. */
  readonly busy: ReadonlySet<string>;
  readonly memory: Memory;
  readonly wallNow: number;
}

/**
 * Ends a handover once nobody is on the way any more; null while somebody is. One that was only prepared, and then not
 * needed, leaves no record.
 */
export function closeHandover(open: OpenHandover, closing: Closing): { readonly record: HandoverRecord | null } | null {
  const { decisions, wallNow } = closing;
  const concerned = decisions.filter((decision) => open.intents.has(decision.pod));
  if (concerned.some((decision) => isUnderWay(open, closing, decision))) return null;
  const before = concerned.filter((decision) => arrivedBefore(open, closing, decision));
  const replicas = [...open.replicas.values(), ...before.map(({ pod }) => inheritedEntry(open, pod))];
  if (replicas.length === 0) return { record: null };
  return { record: recordOf({ ...open, outcome: outcomeOf(replicas, concerned, decisions), replicas }, wallNow) };
}

/** The VIP went elsewhere before everybody had arrived: what was done is recorded all the same. */
export function supersededHandover(open: OpenHandover, wallNow: number): HandoverRecord | null {
  const replicas = [...open.replicas.values()];
  if (replicas.length === 0) return null;
  const arrived = replicas.filter(hasArrived).length;
  const outcome = arrived === 0 ? 'Abandoned' : arrived === open.intents.size ? 'Completed' : 'Partial';
  return recordOf({ ...open, outcome, replicas }, wallNow);
}

type Ended = Omit<OpenHandover, 'replicas'> & Pick<HandoverRecord, 'outcome' | 'replicas'>;

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
 * A pod that was not seen since its intent was stored, or was left between Stop and Start, may stand anywhere in it:
 * forgetting the intent would strand it. One that has not arrived goes on when the source is there again.
 */
function isUnderWay(open: OpenHandover, { busy }: Closing, { pod, verdict, reason, plan }: Decision): boolean {
  if (busy.has(pod) || plan !== null || verdict === 'HandingOver' || reason === 'NotLookedYet') return true;
  const entry = open.replicas.get(pod);
  if (isReady(verdict) || (entry !== undefined && hasArrived(entry))) return false;
  return NOT_OVER.includes(verdict) || isHalfWay(entry);
}

/** The source is to blame, or nobody could look: what was begun goes on afterwards. */
const NOT_OVER: readonly Verdict[] = ['Unreachable', 'Waiting', 'Frozen'];

function hasArrived({ to }: HandoverReplica): boolean {
  return to.gtid !== undefined;
}

function isHalfWay(entry: HandoverReplica | undefined): boolean {
  const done = new Set(entry?.steps.filter(({ outcome }) => outcome === 'ok').map(({ step }) => step));
  return done.has('Stop') && !done.has('Start');
}

/** A process before this one brought it there, and died before it could say so. */
function arrivedBefore(open: OpenHandover, { memory }: Closing, { pod, verdict }: Decision): boolean {
  if (!open.inherited.has(pod) || open.replicas.has(pod) || !isReady(verdict)) return false;
  return memory.replicas.get(pod)?.baseline?.member === open.to;
}

function inheritedEntry({ intents }: OpenHandover, pod: string): HandoverReplica {
  const intent = intents.get(pod);
  const { gtid = '', file, position, proof } = intent ?? {};
  const place = { ...(file === undefined || position === undefined ? {} : { file, position }), gtid };
  return {
    pod,
    ...(proof === undefined ? {} : { proof }),
    from: { gtid },
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
  all: readonly Decision[],
): Outcome {
  const arrived = new Set(replicas.filter(hasArrived).map(({ pod }) => pod));
  // Silence after the arrival takes nothing back.
  const isDone = ({ pod, verdict }: Decision): boolean =>
    isReady(verdict) || (verdict === 'Waiting' && arrived.has(pod));
  if (concerned.length === 0) return 'Abandoned';
  if (!concerned.some(isDone)) return 'Refused';
  if (arrived.size === 0) return 'Abandoned';
  return all.every(isDone) ? 'Completed' : 'Partial';
}
