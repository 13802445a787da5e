import type { ExternalReplica } from '../api/v1alpha1.ts';
import type {
  Approval,
  Condition,
  FindingStatus,
  HandoverRecord,
  Intent,
  MemberStatus,
  ReplicaStatus,
  Split,
  Status,
  VipStatus,
} from '../api/status.ts';
import type { AuditFinding } from '../domain/audit.ts';
import type { Acceptance } from '../domain/conditions.ts';
import { conditionsOf } from '../domain/conditions.ts';
import type { Policy } from '../domain/context.ts';
import type { Picture } from '../domain/judge.ts';
import { sameIncarnation } from '../domain/memory.ts';
import type { Identity, MemberObservation, Observation } from '../domain/observation.ts';
import { isReady, worst } from '../domain/verdict.ts';
import { identityStatus, memberStatus } from './status-members.ts';
import { bounded, iso, MAX_MESSAGE } from './status-parts.ts';
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
  const { lagSeconds: _, verdict: __, ...rest } = told(input);
  const replicas = before.replicas.map((replica) => notLooked(replica, accepted.message, wallNow));
  return fit({
    ...rest,
    holder: '',
    source: { ...rest.source, ...PRESENT_UNKNOWN, members: rest.source.members.map(memberNotLooked) },
    following: replicas.length === 0 ? '' : `0/${replicas.length}`,
    replicas,
    conditions: boundedConditions(conditions),
  });
}

const PRESENT_UNKNOWN = { situation: undefined, vip: undefined, message: 'not looked at' } as const;

function memberNotLooked({ holdsVip: _, ...member }: MemberStatus): MemberStatus {
  return { ...member, reachable: false, message: 'not looked at' };
}

function notLooked(replica: ReplicaStatus, why: string, wallNow: number): ReplicaStatus {
  const { lagSeconds: _, attachedTo: __, transactions: ___, ...rest } = replica;
  const since = replica.reason === 'NotLookedYet' ? replica.since : iso(wallNow);
  const message = bounded(`not looked at: ${why}`, MAX_MESSAGE);
  return { ...rest, verdict: 'Unreachable', reason: 'NotLookedYet', message, ready: false, since };
}

const MAX_HANDOVERS = 10;
const MAX_APPROVALS = 32;

function told(input: Told): Status {
  const { intent: _, lastHandover: __, ...before } = input.before;
  const { split: ___, ...source } = before.source;
  const last = input.handovers[0]?.finishedAt;
  return {
    ...before,
    observedGeneration: input.resource.metadata.generation,
    ...(last === undefined ? {} : { lastHandover: last }),
    source: { ...source, ...(input.split === null ? {} : { split: input.split }) },
    ...(input.intent === null ? {} : { intent: input.intent }),
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
      ...(input.split === null ? {} : { split: input.split }),
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
  return memberStatus({ observed, holder, memory: input.picture.memory.members.get(observed.name), before });
}

/** The largest is only known where all are. */
function largestLag({ picture }: StatusInput): number | undefined {
  const lags = picture.decisions.map((decision) => decision.lagSeconds);
  if (lags.length === 0 || lags.includes(null)) return undefined;
  return Math.round(Math.max(0, ...lags.map((lag) => lag ?? 0)));
}

function vipStatus({ observation, picture }: StatusInput): VipStatus {
  const { look, silentSince, answersSince } = observation.vip;
  const since = look.known ? answersSince : silentSince;
  return {
    answers: look.known,
    ...(since === null ? {} : { since: iso(observation.wallNow - (observation.now - since)) }),
    ...(look.known ? { identity: identityStatus(steadyIdentity(look.value.identity, picture)) } : {}),
  };
}

/** The same incarnation is written with the start time that was read first: each look computes it anew, to the second. */
function steadyIdentity(identity: Identity, picture: Picture): Identity {
  const known = [...picture.memory.members.values()].find((member) => sameIncarnation(member.identity, identity));
  return known?.identity ?? identity;
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
