import type { ExternalReplica } from '../api/v1alpha1.ts';
import type { MemberStatus } from '../api/status-member.ts';
import type { Identity } from '../api/status-parts.ts';
import type {
  Approval,
  Condition,
  FindingStatus,
  HandoverRecord,
  Intent,
  ReplicaStatus,
  Split,
  Status,
  VipStatus,
} from '../api/status.ts';
import type { AuditFinding } from '../domain/audit.ts';
import type { Acceptance } from '../domain/conditions.ts';
import { conditionsOf } from '../domain/conditions.ts';
import type { Policy } from '../domain/context.ts';
import { isRefusal } from '../domain/fact.ts';
import type { Picture } from '../domain/judge.ts';
import type { MemberObservation, Observation } from '../domain/observation.ts';
import { isReady, worst } from '../domain/verdict.ts';
import type { Histories } from '../observe/histories.ts';
import type { SalvageState } from '../salvage/salvager.ts';
import { identityStatus, memberStatus } from './status-members.ts';
import { bounded, iso, MAX_MESSAGE, steady } from './status-parts.ts';
import { replicaStatus } from './status-replicas.ts';
import { fit } from './status-size.ts';

/** What a pass adds to the status whatever it saw. */
interface Told {
  readonly resource: Pick<ExternalReplica, 'metadata' | 'spec'>;
  /** The status as it was written last. */
  readonly before: Status;
  readonly accepted: Acceptance;
  readonly intent: Intent | null;
  /** Newest first. */
  readonly approvals: readonly Approval[];
  /** Newest first. */
  readonly handovers: readonly HandoverRecord[];
  readonly split: Split | null;
}

export interface StatusInput extends Told {
  readonly policy: Policy;
  readonly observation: Observation;
  /** Its decisions as they are after the policy's gates (Suspended, AwaitingApproval, ...). */
  readonly picture: Picture;
  readonly findings: readonly AuditFinding[];
  /** Pods that carry the label `mxr.dev/serving: "true"` after this pass. */
  readonly serving: ReadonlySet<string>;
  /** What was read of transactions that only one server has. */
  readonly histories: Pick<Histories, 'of'>;
  /** What became of saving what only this pod has. */
  readonly salvage: (pod: string) => SalvageState | 'Off' | null;
}

/** The status after a pass. Until everything has answered once, what was said before stands: mxr has nothing newer. */
export function statusOf(input: StatusInput): Status {
  const { picture, observation } = input;
  const conditions = conditionsOf({
    before: input.before.conditions,
    generation: input.resource.metadata.generation,
    wallNow: observation.wallNow,
    accepted: input.accepted,
    diagnosis: picture.diagnosis,
    decisions: picture.decisions,
    findings: input.findings,
    maxStalenessSeconds: input.resource.spec.serving.maxStalenessSeconds,
  });
  const looked = picture.diagnosis.complete ? { ...told(input), ...seen(input) } : told(input);
  return fit({ ...looked, conditions: boundedConditions(conditions) });
}

/** The status of a resource that cannot be looked at: what mxr remembers stays, what it said of the present does not. */
export function statusNotLooked(input: Told & { readonly wallNow: number }): Status {
  const { accepted, before, wallNow } = input;
  const conditions = conditionsOf({
    before: before.conditions,
    generation: input.resource.metadata.generation,
    wallNow,
    accepted,
    diagnosis: null,
    decisions: [],
    findings: [],
    maxStalenessSeconds: 0,
  });
  const rest = told(input);
  const replicas = before.replicas.map((replica) => notLooked(replica, accepted.message, wallNow));
  return fit({
    ...rest,
    holder: '',
    verdict: undefined,
    lagSeconds: undefined,
    source: { ...rest.source, ...PRESENT_UNKNOWN, members: rest.source.members.map(memberNotLooked) },
    following: replicas.length === 0 ? '' : `0/${replicas.length}`,
    replicas,
    conditions: boundedConditions(conditions),
  });
}

const PRESENT_UNKNOWN = { situation: undefined, vip: undefined, message: 'not looked at' } as const;

function memberNotLooked(member: MemberStatus): MemberStatus {
  return { ...member, holdsVip: undefined, publisher: undefined, reachable: false, message: 'not looked at' };
}

function notLooked(replica: ReplicaStatus, why: string, wallNow: number): ReplicaStatus {
  const since = replica.reason === 'NotLookedYet' ? replica.since : iso(wallNow);
  const message = bounded(`not looked at: ${why}`, MAX_MESSAGE);
  const present = { lagSeconds: undefined, attachedTo: undefined, transactions: undefined, ready: false };
  return { ...replica, ...present, verdict: 'Unreachable', reason: 'NotLookedYet', message, since };
}

const MAX_HANDOVERS = 10;
const MAX_APPROVALS = 32;

function told(input: Told): Status {
  const { before } = input;
  return {
    ...before,
    observedGeneration: input.resource.metadata.generation,
    lastHandover: input.handovers[0]?.finishedAt,
    source: { ...before.source, split: input.split ?? undefined },
    intent: input.intent ?? undefined,
    approvals: input.approvals.slice(0, MAX_APPROVALS),
    handovers: input.handovers.slice(0, MAX_HANDOVERS),
  };
}

function seen(input: StatusInput): Partial<Status> & Pick<Status, 'replicas'> {
  const { picture, observation, before } = input;
  const { diagnosis, decisions } = picture;
  const holder = diagnosis.holder?.member;
  const verdict = worst(decisions.map((decision) => decision.verdict));
  const ready = decisions.filter((decision) => isReady(decision.verdict)).length;
  return {
    holder: holder?.name ?? '',
    verdict: verdict ?? undefined,
    lagSeconds: largestLag(input),
    following: `${ready}/${decisions.length}`,
    source: {
      situation: diagnosis.situation,
      message: bounded(diagnosis.message, MAX_MESSAGE),
      vip: vipStatus(input),
      members: observation.members.map((observed) => memberOf(input, observed, holder)),
      split: input.split ?? undefined,
    },
    replicas: observation.replicas.flatMap((observed) => {
      const decision = decisions.find((one) => one.pod === observed.pod);
      const old = before.replicas.find((one) => one.pod === observed.pod);
      return decision === undefined ? [] : [replicaStatus({ ...input, before: old }, observed, decision)];
    }),
    findings: findingsOf(input.findings),
  };
}

function memberOf(input: StatusInput, observed: MemberObservation, holder: MemberObservation | undefined) {
  const before = input.before.source.members.find((one) => one.name === observed.name);
  const memory = input.picture.memory.members.get(observed.name);
  return memberStatus({
    observed,
    holder,
    memory,
    observation: input.observation,
    before,
    split: input.picture.diagnosis.split,
    histories: input.histories,
  });
}

/** The largest is only known where all are. */
function largestLag({ picture }: StatusInput): number | undefined {
  const lags = picture.decisions.map((decision) => decision.lagSeconds);
  if (lags.length === 0 || lags.includes(null)) return undefined;
  return Math.round(Math.max(0, ...lags.map((lag) => lag ?? 0)));
}

function vipStatus({ observation, before }: StatusInput): VipStatus {
  const { look, silentSince, answersSince } = observation.vip;
  const since = look.known ? answersSince : silentSince;
  const answers = look.known || isRefusal(look);
  const identity = look.known ? identityStatus(look.value.identity) : undefined;
  return {
    answers,
    ...(since === null ? {} : { since: iso(observation.wallNow - (observation.now - since)) }),
    ...(identity === undefined ? {} : { identity: steadyIdentity(identity, before.source.vip?.identity) }),
  };
}

function steadyIdentity(identity: Identity, before: Identity | undefined): Identity {
  return { ...identity, startedAt: steady(Date.parse(identity.startedAt), before?.startedAt) };
}

const MAX_FINDINGS = 200;
const MAX_CONDITION_MESSAGE = 1000;

function findingsOf(findings: readonly AuditFinding[]): FindingStatus[] {
  return findings
    .slice(0, MAX_FINDINGS)
    .map((finding) => ({ ...finding, message: bounded(finding.message, MAX_MESSAGE) }));
}

function boundedConditions(conditions: readonly Condition[]): Condition[] {
  return conditions.map((one) => ({ ...one, message: bounded(one.message, MAX_CONDITION_MESSAGE) }));
}
