import type { Execution } from '../act/execution.ts';
import { execute } from '../act/execute.ts';
import type { Baseline, ReplicaMemory } from '../domain/memory.ts';
import { followedBefore, NEW_REPLICA } from '../domain/memory.ts';
import { findHolder } from '../domain/holder.ts';
import { ofChannel } from '../domain/channels.ts';
import { memberIds } from '../domain/context.ts';
import { donorAt } from '../domain/donor.ts';
import type { Picture } from '../domain/judge.ts';
import { failedAgain } from '../domain/pause.ts';
import type { Plan } from '../domain/plan.ts';
import { donorName, isAttaching } from '../domain/plan.ts';
import { formatPosition } from '../domain/gtid.ts';
import { MxrError, errorText } from '../errors.ts';
import { lookAtReplica } from '../observe/look.ts';
import { relayedRest } from '../observe/relayed.ts';
import type { SqlTarget } from '../sql/port.ts';
import type { ReplicationAccount } from './accept/named.ts';
import { gtidAt, memberTarget, podTarget } from './ask.ts';
import { linkFor } from './fill-files.ts';
import { enterExecution, isCovered, openHandover } from './handover.ts';
import type { Now } from './handover.ts';
import { enterRecord } from './end-handover.ts';
import { filesOf } from './policy.ts';
import { linkedWith } from './relink.ts';
import { offerStatus } from './report.ts';
import { supersededHandover } from './close-handover.ts';
import { paceOf } from './pace.ts';
import type { Job, Runtime } from './runtime.ts';

const INTENT_DEADLINE_MS = 5_000;
const RELAY_DEADLINE_MS = 5_000;

/** Begins every plan that is not under way yet, each replica on its own: one slow replica holds no other up. */
export function carryOut(runtime: Runtime, plans: readonly Plan[], picture: Picture): void {
  const due = plans.filter((plan) => !runtime.jobs.has(plan.pod));
  const { clock } = runtime.shared;
  const seen = runtime.watcher?.observation();
  const vip = seen?.vip;
  const vipAnsweredAt = vip?.answersSince == null ? null : clock.wallMs() - (clock.monotonicMs() - vip.answersSince);
  const startedAt = new Map(
    seen?.replicas.flatMap(({ pod, look }) => (look.known ? [[pod, look.value.identity.startedAt] as const] : [])),
  );
  const approved = runtime.resource.spec.policy.handover === 'Confirm';
  const now = { wallNow: clock.wallMs(), vipAnsweredAt, startedAt, approved };
  openFor(runtime, picture, due, now);
  if (due.length === 0) prepareIntent(runtime, picture, now);
  runtime.ready.want(aboutToMove(runtime));
  for (const plan of due) {
    const job: Job = {
      plan,
      what: whatOf(plan, plan.steps[0]?.step ?? ''),
      since: clock.monotonicMs(),
      abort: new AbortController(),
    };
    runtime.jobs.set(plan.pod, job);
    void carryOutOne(runtime, job, picture);
  }
}

/** While the source is not ready, the intent of what is proven already is stored ahead: one write less on the way. */
function prepareIntent(runtime: Runtime, picture: Picture, now: Now): void {
  const prepared = picture.decisions.flatMap((decision) => decision.prepared ?? []);
  const news = prepared.filter((plan) => !sameIntent(runtime, plan));
  if (news.length > 0) openFor(runtime, picture, news, now);
}

/** Replicas whose move is proven, or nearly, and under way: where nothing comes of it for a minute, nothing is kept open. */
function aboutToMove(runtime: Runtime): ReadonlyMap<string, SqlTarget> {
  const { open, hurry, jobs, accepted, shared } = runtime;
  if (open === null || paceOf(hurry, shared.clock.monotonicMs()) === 'calm') return new Map();
  const reachable = new Set(accepted?.pods.flatMap(({ pod, ip }) => (ip === null ? [] : [pod])));
  const pods = [...open.intents.values()].filter(
    ({ pod, arrived }) => arrived !== true && reachable.has(pod) && !jobs.has(pod),
  );
  return new Map(pods.map(({ pod }) => [pod, podTarget(runtime, pod)]));
}

function openFor(runtime: Runtime, picture: Picture, plans: readonly Plan[], now: Now): void {
  const before = runtime.open;
  runtime.open = openHandover(before, picture, plans, now);
  const left = before === null || before.id === runtime.open?.id ? null : supersededHandover(before, now.wallNow);
  if (left !== null) enterRecord(runtime, left, []);
}

function sameIntent({ open }: Runtime, { pod, target, proven }: Plan): boolean {
  const intent = open?.intents.get(pod);
  return intent?.member === target?.member && intent?.gtid === formatPosition(proven?.gtid ?? new Map());
}

function whatOf({ kind, target, fill }: Plan, step: string): string {
  if (fill !== undefined) return `${kind} from ${donorName(fill.donor)} up to ${formatPosition(fill.upTo)}: ${step}`;
  return `${kind}${target === null ? '' : ` to ${target.member}`}: ${step}`;
}

async function carryOutOne(runtime: Runtime, job: Job, picture: Picture): Promise<void> {
  const { plan } = job;
  const { log } = runtime.shared;
  try {
    // Before anything is waited for: what the fence compares with is how things were when this was planned.
    const context = contextOf(runtime, job, picture);
    if (isAttaching(plan)) await storeIntent(runtime, plan);
    context.fence();
    const link = await linkFor(runtime, plan, context);
    const execution = await execute(plan, link === null ? context : { ...context, link });
    if (link !== null && execution.outcome === 'Stopped') runtime.fillings.get(plan.pod)?.withdraw();
    learn(runtime, execution, context.link);
    countFailures(runtime, execution);
    const fields = {
      resource: runtime.key,
      pod: plan.pod,
      kind: plan.kind,
      code: execution.code,
      detail: execution.message,
    };
    if (execution.outcome === 'Done') log.info('plan carried out', fields);
    else log.warn('plan stopped at a surprise', fields);
  } catch (error) {
    log.warn('plan not begun', { resource: runtime.key, pod: plan.pod, error });
    // What is handed out of files could not be offered: it is tried more and more seldom, like what stops later.
    if (plan.fill !== undefined) countFailures(runtime, { plan, outcome: 'Stopped', message: errorText(error) });
  } finally {
    runtime.jobs.delete(plan.pod);
    runtime.actedAt.set(plan.pod, runtime.shared.clock.monotonicMs());
    runtime.wake();
  }
}

/** The intent is stored before the first statement that it covers: whoever comes after a crash knows what was begun. */
async function storeIntent(runtime: Runtime, plan: Plan): Promise<void> {
  const { open, writer } = runtime;
  if (open !== null && isCovered(writer.stored()?.intent, open, plan)) return;
  offerStatus(runtime);
  // With what this pass has seen: it is stored by the same write.
  runtime.toldAt = Number.NEGATIVE_INFINITY;
  await writer.flush(INTENT_DEADLINE_MS);
}

function contextOf(runtime: Runtime, job: Job, picture: Picture): Parameters<typeof execute>[1] {
  const { plan } = job;
  const { shared, accepted, resource } = runtime;
  const { spec } = resource;
  const target = podTarget(runtime, plan.pod);
  if (accepted === null) throw fenceLost(plan, 'the resource is not accepted any more');
  const signal = AbortSignal.any([shared.signal, job.abort.signal]);
  return {
    connect: async (to, how) => (await runtime.ready.take(plan.pod, to)) ?? shared.connect(to, how),
    replica: target,
    replicaIp: target.host,
    link: {
      channel: spec.link.channel,
      user: accepted.replication.user,
      password: accepted.replication.password,
      connectRetrySeconds: spec.link.connectRetrySeconds,
      heartbeatSeconds: spec.link.heartbeatSeconds,
      netTimeoutSeconds: spec.link.netTimeoutSeconds,
      tls: spec.link.tls,
    },
    keepReadOnly: spec.replicas.localWrites === 'Forbidden',
    leaseDurationMs: shared.leaseDurationMs,
    statementDeadlineMs: Math.max(2_000, spec.detection.probeTimeoutMs * 2),
    clock: shared.clock,
    signal,
    fence: fenceOf(runtime, job, picture),
    targetLook: () => targetLook(runtime, plan),
    gtidOnTarget: (at) => gtidAt(runtime, memberTarget(runtime, plan.target?.member ?? ''), at),
    lookAt: async (acting) => {
      const deadlineMs = Math.max(2_000, spec.detection.probeTimeoutMs);
      const look = await lookAtReplica(acting.session, { clock: shared.clock, deadlineMs, signal });
      return ofChannel(look, spec.link.channel, memberIds(runtime.memory));
    },
    relayRest: (acting) => {
      const limits = { deadlineMs: RELAY_DEADLINE_MS, signal };
      return relayedRest(acting.session, spec.link.channel, limits);
    },
    onStep: (step) => {
      job.what = whatOf(plan, step);
    },
    onStatement: (step, outcome) => shared.tell.statement(step, outcome),
  };
}

function fenceLost(plan: Plan, detail: string): MxrError {
  return new MxrError({
    code: 'FenceLost',
    operation: `carry out ${plan.kind}`,
    target: `replica ${plan.pod}`,
    detail,
    retryable: true,
  });
}

/** Leadership, the resource's generation, the replica's pod and incarnation, and the target's: as they were when planned. */
function fenceOf(runtime: Runtime, job: Job, picture: Picture): () => void {
  const { plan } = job;
  const before = runtime.watcher?.observation();
  const replicaBefore = before?.replicas.find((one) => one.pod === plan.pod);
  const generation = runtime.resource.metadata.generation;
  const targetBefore = picture.diagnosis.holder?.member.incarnation;
  const donorBefore = donorSeen(runtime, plan)?.incarnation;
  return () => {
    const { shared } = runtime;
    if (!shared.isLeader()) throw fenceLost(plan, 'this process is not the leader any more');
    if (shared.signal.aborted || job.abort.signal.aborted) throw fenceLost(plan, 'it was abandoned');
    if (runtime.resource.metadata.generation !== generation)
      throw fenceLost(plan, 'the resource was changed meanwhile');
    const now = runtime.watcher?.observation();
    const replica = now?.replicas.find((one) => one.pod === plan.pod);
    if (replica === undefined || replica.podUid !== replicaBefore?.podUid)
      throw fenceLost(plan, 'the pod is another one');
    if (replica.incarnation !== replicaBefore.incarnation) throw fenceLost(plan, 'the replica restarted');
    if (plan.target === null || now === undefined) return;
    const found = findHolder(now, runtime.memory);
    const silentOnce = found.kind === 'Silent' && now.vip.failures < 2;
    if (silentOnce) return;
    if (found.kind !== 'Found' || found.holder.member.name !== plan.target.member)
      throw fenceLost(plan, `${plan.target.member} does not hold the VIP any more`);
    if (found.holder.member.incarnation !== targetBefore) throw fenceLost(plan, `${plan.target.member} restarted`);
    if (runtime.picture?.diagnosis.situation === 'SplitBrain') throw fenceLost(plan, 'the pair is split');
    if (plan.fill !== undefined && donorSeen(runtime, plan)?.incarnation !== donorBefore)
      throw fenceLost(plan, `${donorName(plan.fill.donor)} is another one, or restarted`);
  };
}

function donorSeen({ watcher, resource, shared }: Runtime, { fill }: Plan) {
  const seen = watcher?.observation();
  if (seen === undefined || fill === undefined) return null;
  const { replicas } = resource.spec;
  const files = filesOf(resource.spec, shared.filler?.dial ?? null);
  return donorAt(seen, fill.donor, { replicaPort: replicas.port, files });
}

function targetLook(runtime: Runtime, plan: Plan): ReturnType<Parameters<typeof execute>[1]['targetLook']> {
  const observation = runtime.watcher?.observation();
  const member = observation?.members.find((one) => one.name === plan.target?.member);
  if (member?.look.known === true) return { look: member.look.value, at: member.look.at };
  const vip = observation?.vip.look;
  if (vip?.known === true && vip.value.look !== null) return { look: vip.value.look, at: vip.at };
  return null;
}

/** A link that goes on as it was says nothing of the adoption that it belongs to. */
function countFailures(
  { failures, shared }: Runtime,
  { plan, outcome, message }: Pick<Execution, 'plan' | 'outcome' | 'message'>,
): void {
  if (plan.target === null || plan.kind === 'Restore') return;
  const donor = plan.fill === undefined ? undefined : donorName(plan.fill.donor);
  // A fill that began has not ended well yet: one that never gets further is tried more and more seldom.
  const why = message === '' ? 'it ended before the place where it was to end' : message;
  const failed = { member: plan.target.member, donor, at: shared.clock.monotonicMs(), why };
  if (outcome === 'Done' && plan.kind !== 'Fill') failures.delete(plan.pod);
  else failures.set(plan.pod, failedAgain(failures.get(plan.pod), failed));
}

/** What an execution has shown is remembered at once; the next pass decides with it. */
function learn(runtime: Runtime, execution: Execution, account: ReplicationAccount): void {
  const { pod, plan } = execution;
  const before = runtime.memory.replicas.get(pod) ?? { ...NEW_REPLICA, pod };
  const isNews = execution.attachedAt !== null && plan.kind !== 'Restore';
  const baseline = baselineAfter(runtime, execution);
  const refusal = { message: execution.message, at: runtime.shared.clock.wallMs() };
  const replica: ReplicaMemory = {
    ...before,
    adoptionRefused: plan.kind === 'Adopt' && execution.refused ? refusal : before.adoptionRefused,
    captured: execution.attachedAt !== null ? null : (before.captured ?? execution.captured),
    through: throughAfter(runtime, before, execution),
    baseline: baseline ?? before.baseline,
    followed: baseline === null ? before.followed : followedBefore(before, baseline.lineage, baseline.contains),
    startedAt: startedAtAfter(runtime, execution) ?? before.startedAt,
    link: null,
    fed: execution.attachedAt === null ? before.fed : 'Ours',
    clearedFor: isNews ? restartOf(runtime, plan) : before.clearedFor,
  };
  runtime.memory = { ...runtime.memory, replicas: new Map([...runtime.memory.replicas, [pod, replica]]) };
  const isWritten = execution.steps.some(({ step, outcome }) => step === 'Change' && outcome === 'ok');
  if (isWritten) runtime.linkAccounts = linkedWith(runtime.linkAccounts, pod, account);
  if (isAttaching(plan) && runtime.open !== null) runtime.open = enterExecution(runtime.open, execution);
}

/** mxr itself started the link of this incarnation, or tried to: its server did not. */
function startedAtAfter(runtime: Runtime, { pod, steps }: Execution): number | null {
  if (!steps.some(({ step }) => step === 'Start')) return null;
  const look = runtime.watcher?.observation().replicas.find((one) => one.pod === pod)?.look;
  return look?.known === true ? look.value.identity.startedAt : null;
}

function restartOf(runtime: Runtime, plan: Plan): string | null {
  return runtime.memory.members.get(plan.target?.member ?? '')?.restart?.file ?? null;
}

function baselineAfter(runtime: Runtime, { plan, attachedAt }: Execution): Baseline | null {
  const member = plan.target === null ? undefined : runtime.memory.members.get(plan.target.member);
  if (attachedAt === null || plan.proven === null || member === undefined || plan.kind === 'Restore') return null;
  return {
    by: plan.kind === 'Adopt' ? 'Adopted' : 'Handover',
    member: member.name,
    lineage: member.lineage,
    // Where that was; since then it may have read on.
    coordinates: plan.proven.at ?? attachedAt.place,
    gtid: attachedAt.gtid,
    contains: plan.proven.contains,
    at: runtime.shared.clock.wallMs(),
  };
}

/** Auto tries the member's own address first, and falls back to the VIP where the replica cannot reach it. */
function throughAfter(
  runtime: Runtime,
  before: ReplicaMemory,
  { plan, steps, outcome }: Execution,
): ReplicaMemory['through'] {
  const { link } = runtime.resource.spec;
  if (plan.kind === 'Restore' || plan.kind === 'Fill') return before.through;
  // Coordinates through the VIP could be asked of another server than they were proven on: no such fallback by file.
  if (link.through !== 'Auto' || link.positioning === 'FilePosition' || plan.target === null) return before.through;
  if (outcome === 'Done') return plan.target.through;
  const failed = steps.at(-1);
  const network = failed?.step === 'VerifyAttached' && /\b(2002|2003|2005|2013)\b/.test(failed.detail);
  return network && plan.target.through === 'Member' ? 'VIP' : before.through;
}
