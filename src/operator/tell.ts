import { API_VERSION, APPROVE_ANNOTATION, KIND } from '../api/names.ts';
import type { Outcome, Step, StepOutcome, Verdict } from '../api/reasons.ts';
import { VERDICTS } from '../api/reasons.ts';
import type { Status } from '../api/v1alpha1.ts';
import type { ErrorCode } from '../errors.ts';
import type { EventEmitter } from '../kube/events.ts';
import type { Metrics } from '../ops/metrics.ts';
import { pictureOf } from '../ops/metrics.ts';
import type { EventReason } from './event-table.ts';

/** What a resource tells the outside world beside its status: metrics and events. */
export interface Tell {
  statement(step: Step, outcome: StepOutcome): void;
  error(code: ErrorCode): void;
  handover(key: string, outcome: Outcome, seconds: number): void;
  /** The newest picture of a resource, for metrics: also what moves all the time, like lag. */
  shows(subject: TellSubject, status: Status): void;
  /** Events on transitions from the status that was told before. */
  changed(subject: TellSubject, before: Status | null, after: Status): void;
  gone(key: string): void;
}

export interface TellSubject {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

/** Events of one change of a resource's status: transitions only, with the same reason constants as the status. */
export function eventsOf(before: Status | null, after: Status): Told {
  return [
    ...acceptedEvents(before, after),
    ...situationEvents(before, after),
    ...verdictEvents(before, after),
    ...salvageEvents(before, after),
    ...handoverEvents(before, after),
    ...readinessEvents(before, after),
  ];
}

/** `pod`: the replica that it tells of. */
type Told = { reason: EventReason; message: string; pod?: string }[];

function conditionOf(status: Status | null, type: string) {
  return status?.conditions.find((one) => one.type === type);
}

function acceptedEvents(before: Status | null, after: Status): Told {
  const [was, is] = [conditionOf(before, 'Accepted'), conditionOf(after, 'Accepted')];
  if (is === undefined || (was?.status === is.status && was.reason === is.reason)) return [];
  const reason = is.status === 'False' ? 'NotAccepted' : 'Accepted';
  return is.status === 'Unknown' ? [] : [{ reason, message: `${is.reason}: ${is.message}` }];
}

const TROUBLE = ['SplitBrain', 'DatabaseDown', 'AllDown', 'HolderUnknown', 'VipSilent'];

function situationEvents(before: Status | null, after: Status): Told {
  const { situation, message } = after.source;
  if (situation === undefined || before?.source.situation === situation) return [];
  return [
    { reason: TROUBLE.includes(situation) ? 'SourceTrouble' : 'SituationChanged', message: `${situation}: ${message}` },
  ];
}

function verdictEvents(before: Status | null, after: Status): Told {
  return after.replicas.flatMap(({ pod, verdict, reason, message }): Told => {
    const was = before?.replicas.find((one) => one.pod === pod);
    if (was === undefined) return [];
    const text = `${pod} is ${verdict} (${reason}): ${message}`;
    const asked = idToApprove(message);
    if (asked !== null && asked !== idToApprove(was.message)) return [{ reason: 'ApprovalNeeded', message: text, pod }];
    if (was.verdict === verdict || [was.verdict, verdict].every((one) => UNDER_WAY.includes(one))) return [];
    const worse = VERDICTS.indexOf(verdict) < VERDICTS.indexOf('Waiting');
    return [{ reason: worse ? 'VerdictWorse' : 'VerdictBetter', message: text, pod }];
  });
}

/** What a replica is in turn while it is moved: the situation and the record of the handover tell that. */
const UNDER_WAY: readonly Verdict[] = ['Waiting', 'HandingOver'];

/** It can come with several verdicts, and later than they do. */
function idToApprove(message: string): string | null {
  return message.split(`${APPROVE_ANNOTATION}=`)[1]?.match(/^[\w-]+/)?.[0] ?? null;
}

function salvageEvents(before: Status | null, after: Status): Told {
  return after.replicas.flatMap(({ pod, salvage }): Told => {
    const was = before?.replicas.find((one) => one.pod === pod)?.salvage;
    if (salvage === undefined || was?.sha256 === salvage.sha256) return [];
    const message = `${salvage.count} transactions that only ${pod} has were saved as ${salvage.file} (sha256 ${salvage.sha256})`;
    return [{ reason: 'Salvaged', message }];
  });
}

function handoverEvents(before: Status | null, after: Status): Told {
  const [last] = after.handovers;
  if (last === undefined || before?.handovers.some((one) => one.id === last.id) === true) return [];
  const message = `${last.id}: ${last.trigger} from ${last.from || 'nowhere'} to ${last.to}, ${last.outcome} in ${last.durationMs} ms`;
  return [{ reason: last.outcome === 'Completed' ? 'HandoverCompleted' : 'HandoverNotCompleted', message }];
}

function readinessEvents(before: Status | null, after: Status): Told {
  const [was, is] = [conditionOf(before, 'FailoverReady'), conditionOf(after, 'FailoverReady')];
  if (is === undefined || is.status === 'Unknown' || was?.status === is.status) return [];
  return [
    { reason: is.status === 'True' ? 'FailoverReady' : 'FailoverNotReady', message: `${is.reason}: ${is.message}` },
  ];
}

export function createTell(metrics: Metrics, events: EventEmitter<EventReason>): Tell {
  return {
    statement: (step, outcome) => metrics.countStatement(step, outcome),
    error: (code) => metrics.countPassError(code),
    handover(key, outcome, seconds) {
      const handle = metrics.resource(refOf(key));
      handle.countHandover(outcome);
      if (outcome === 'Completed') handle.observeHandover(seconds);
    },
    shows: (subject, status) => metrics.resource(subject).show(pictureOf(status)),
    changed(subject, before, after) {
      for (const { reason, message, pod } of eventsOf(before, after)) {
        void events.emit({ ...subject, apiVersion: API_VERSION, kind: KIND }, reason, message, pod);
      }
    },
    gone: (key) => metrics.resource(refOf(key)).remove(),
  };
}

function refOf(key: string): { namespace: string; name: string } {
  const [namespace = '', name = ''] = key.split('/');
  return { namespace, name };
}
