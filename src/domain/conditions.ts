import type { AcceptedReason, ConditionType, Reason, Situation, Verdict } from '../api/reasons.ts';
import { VERDICTS } from '../api/reasons.ts';
import type { Condition } from '../api/status.ts';
import type { AuditFinding } from './audit.ts';
import type { Diagnosis } from './situation.ts';
import type { Decision } from './verdict.ts';
import { isReady } from './verdict.ts';

/** Whether the resource can be acted upon; `null`: not known yet. */
export interface Acceptance {
  readonly accepted: boolean | null;
  readonly reason: AcceptedReason | 'NotLookedYet';
  readonly message: string;
}

export interface NextCondition {
  readonly type: ConditionType;
  readonly status: Condition['status'];
  readonly reason: Reason;
  readonly message: string;
  readonly observedGeneration: number;
}

export interface ConditionsInput {
  readonly before: readonly Condition[];
  readonly generation: number;
  /** Wall clock ms. */
  readonly wallNow: number;
  readonly accepted: Acceptance;
  /** Null: nothing could be looked at (a Secret is missing, the resource cannot be read). */
  readonly diagnosis: Diagnosis | null;
  readonly decisions: readonly Decision[];
  readonly findings: readonly AuditFinding[];
  /** Seconds; 0: no limit. */
  readonly maxStalenessSeconds: number;
}

/** The rules of apimachinery's SetStatusCondition: the transition time changes with the status, and only then. */
export function setCondition(conditions: readonly Condition[], next: NextCondition, wallNow: number): Condition[] {
  const old = conditions.find((condition) => condition.type === next.type);
  const lastTransitionTime =
    old !== undefined && old.status === next.status ? old.lastTransitionTime : new Date(wallNow).toISOString();
  const condition: Condition = { ...next, lastTransitionTime };
  if (old === undefined) return [...conditions, condition];
  return conditions.map((one) => (one === old ? condition : one));
}

/** The six conditions. All "True is good"; Unknown before the first complete look. */
export function conditionsOf(input: ConditionsInput): Condition[] {
  const next = [acceptedOf(input.accepted), ...lookedAt(input)];
  return next.reduce<Condition[]>(
    (conditions, judged) =>
      setCondition(conditions, { ...judged, observedGeneration: input.generation }, input.wallNow),
    [...input.before],
  );
}

type Judged = Omit<NextCondition, 'observedGeneration'>;

function lookedAt(input: ConditionsInput): Judged[] {
  if (input.diagnosis !== null && input.diagnosis.complete) {
    const { diagnosis, decisions } = input;
    return [
      readyOf(decisions, input.maxStalenessSeconds),
      availableOf(diagnosis),
      unambiguousOf(diagnosis),
      intactOf(decisions),
      failoverReadyOf(input.findings),
    ];
  }
  // A restarted operator, or a pod that has just appeared: what was said stands until everything has answered once. A
  // resource that nothing is done for is not looked at, so there nothing may stand.
  const mayStand = input.accepted.accepted !== false || input.diagnosis !== null;
  return UNTIL_LOOKED_AT.filter((type) => !mayStand || !input.before.some((one) => one.type === type)).map((type) => ({
    type,
    status: 'Unknown',
    reason: 'NotLookedYet',
    message: mayStand
      ? 'not everything has answered once'
      : `nothing is looked at while Accepted is False: ${input.accepted.message}`,
  }));
}

const UNTIL_LOOKED_AT = [
  'Ready',
  'SourceAvailable',
  'SourceUnambiguous',
  'ReplicasIntact',
  'FailoverReady',
] as const satisfies readonly ConditionType[];

function acceptedOf({ accepted, reason, message }: Acceptance): Judged {
  const status = accepted === null ? 'Unknown' : accepted ? 'True' : 'False';
  return { type: 'Accepted', status, reason, message };
}

/** Worst first, in the contract's order. */
function worstFirst(decisions: readonly Decision[]): Decision[] {
  return decisions.toSorted((a, b) => VERDICTS.indexOf(a.verdict) - VERDICTS.indexOf(b.verdict));
}

/** Over the limit that the user set; with a limit, an age that nobody knows is not within it. */
function isStale({ lagSeconds }: Decision, maxStalenessSeconds: number): boolean {
  return maxStalenessSeconds > 0 && (lagSeconds === null || lagSeconds > maxStalenessSeconds);
}

function readyOf(decisions: readonly Decision[], maxStalenessSeconds: number): Judged {
  const type = 'Ready';
  const [worst, ...rest] = worstFirst(decisions);
  if (worst === undefined) {
    const message = 'no replica is selected, so none follows: label the pods as replicas.selector says';
    return { type, status: 'False', reason: 'NoReplicaSelected', message };
  }
  const count = decisions.filter((decision) => isReady(decision.verdict)).length;
  const following = `${count} of ${decisions.length} follow`;
  if (!isReady(worst.verdict)) {
    return { type, status: 'False', reason: worst.verdict, message: `${following}; ${describe(worst)}` };
  }
  const stale = [worst, ...rest].find((decision) => isStale(decision, maxStalenessSeconds));
  if (stale !== undefined) {
    const age = stale.lagSeconds === null ? 'late by an unknown time' : `${Math.round(stale.lagSeconds)} s behind`;
    const message = `${stale.pod} is ${age}, serving.maxStalenessSeconds is ${maxStalenessSeconds}: it serves no reads until it has caught up`;
    return { type, status: 'False', reason: 'Stale', message };
  }
  const late = worst.verdict === 'Following' ? '' : `; ${describe(worst)}`;
  return { type, status: 'True', reason: worst.verdict, message: `${following}${late}` };
}

function describe(decision: Decision): string {
  const reason = decision.reason === decision.verdict ? decision.verdict : `${decision.verdict}/${decision.reason}`;
  return `${decision.pod} is ${reason}: ${decision.message}`;
}

const UNAVAILABLE: readonly Situation[] = ['VipSilent', 'DatabaseDown', 'AllDown', 'HolderUnknown'];

function availableOf({ situation, message }: Diagnosis): Judged {
  const status = UNAVAILABLE.includes(situation) ? 'False' : 'True';
  return { type: 'SourceAvailable', status, reason: situation, message };
}

function unambiguousOf({ situation, message }: Diagnosis): Judged {
  const status = situation === 'SplitBrain' ? 'False' : 'True';
  return { type: 'SourceUnambiguous', status, reason: situation, message };
}

const NOT_INTACT: readonly Verdict[] = ['Diverged', 'Ahead', 'LocalConflict', 'Purged', 'Behind', 'Unproven'];

function intactOf(decisions: readonly Decision[]): Judged {
  const type = 'ReplicasIntact';
  const worst = worstFirst(decisions);
  const hurt = worst.filter((decision) => NOT_INTACT.includes(decision.verdict));
  const [first] = hurt;
  if (first !== undefined) {
    const more = hurt.length === 1 ? '' : `; and ${hurt.length - 1} more`;
    return { type, status: 'False', reason: first.verdict, message: `${describe(first)}${more}` };
  }
  const reason = worst[0]?.verdict ?? 'NoReplicaSelected';
  return { type, status: 'True', reason, message: 'no replica is known to differ from the source or to miss anything' };
}

function failoverReadyOf(findings: readonly AuditFinding[]): Judged {
  const type = 'FailoverReady';
  const errors = findings.filter((finding) => finding.severity === 'error');
  const [first] = errors;
  if (first === undefined) {
    const warnings = findings.length === 0 ? '' : `; ${findings.length} warnings in status.findings`;
    return { type, status: 'True', reason: 'NoFinding', message: `the standby could take over now${warnings}` };
  }
  const more = errors.length === 1 ? '' : `; and ${errors.length - 1} more in status.findings`;
  return { type, status: 'False', reason: first.finding, message: `${first.message}${more}` };
}
