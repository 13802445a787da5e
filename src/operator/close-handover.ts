import type { Outcome } from '../api/reasons.ts';
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
  const record: HandoverRecord = {
    id: open.id,
    from: open.from,
    to: open.to,
    trigger: open.trigger,
    startedAt: new Date(open.startedAt).toISOString(),
    ...(open.vipAnsweredAt === null ? {} : { vipAnsweredAt: new Date(open.vipAnsweredAt).toISOString() }),
    finishedAt: new Date(wallNow).toISOString(),
    durationMs: Math.max(0, Math.round(wallNow - (open.vipAnsweredAt ?? open.startedAt))),
    outcome: outcomeOf(replicas, concerned, decisions),
    replicas,
  };
  return { record };
}

/** A pod that was not seen since its intent was stored may stand anywhere in it: forgetting the intent would strand it. */
function isUnderWay(open: OpenHandover, { busy }: Closing, { pod, verdict, reason, plan }: Decision): boolean {
  if (busy.has(pod) || plan !== null || verdict === 'HandingOver' || reason === 'NotLookedYet') return true;
  return !open.replicas.has(pod) && (verdict === 'Unreachable' || verdict === 'Waiting');
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
  if (concerned.length === 0) return 'Abandoned';
  if (!concerned.some((decision) => isReady(decision.verdict))) return 'Refused';
  if (!replicas.some(({ to }) => to.gtid !== undefined)) return 'Abandoned';
  return all.every((decision) => isReady(decision.verdict)) ? 'Completed' : 'Partial';
}
