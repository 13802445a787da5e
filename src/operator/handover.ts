import type { Proof, Trigger } from '../api/reasons.ts';
import type { HandoverReplica, Intent, IntentReplica } from '../api/v1alpha1.ts';
import type { Execution, StepReport } from '../act/execution.ts';
import { formatPosition, parsePosition } from '../domain/gtid.ts';
import type { Intended } from '../domain/intent.ts';
import type { Picture } from '../domain/judge.ts';
import type { Donor, Fill, Plan } from '../domain/plan.ts';
import { handoverId, isAttaching, isMoving } from '../domain/plan.ts';
import { steady } from './status-parts.ts';

/** A handover under way: from the first sign that replicas have to go elsewhere until each has arrived or was refused. */
export interface OpenHandover {
  readonly id: string;
  readonly from: string;
  readonly to: string;
  readonly trigger: Trigger;
  /** Wall clock ms. */
  readonly startedAt: number;
  readonly vipAnsweredAt: number | null;
  readonly replicas: ReadonlyMap<string, HandoverReplica>;
  readonly intents: ReadonlyMap<string, IntentReplica>;
  /** Pods whose intent a process before this one stored: it may have been carried out, or begun. */
  readonly inherited: ReadonlySet<string>;
}

export interface Now {
  readonly wallNow: number;
  /** A move that is begun now was approved by a person: nothing else lets it through. */
  readonly approved: boolean;
  /** Wall clock ms of the VIP's first answer by its present holder. */
  readonly vipAnsweredAt: number | null;
  /** Wall clock ms: when the server of each replica that answers had started. */
  readonly startedAt: ReadonlyMap<string, number>;
}

/** Opens the handover that a pass calls for, or goes on with the open one. Another target is another handover. */
export function openHandover(
  open: OpenHandover | null,
  picture: Picture,
  plans: readonly Plan[],
  now: Now,
): OpenHandover | null {
  const moving = plans.filter(isAttaching);
  const first = moving[0];
  const target = first?.target?.member;
  if (first === undefined || target === undefined) return open;
  if (open !== null && open.to === target) {
    const vipAnsweredAt = open.vipAnsweredAt ?? answerThatBegan(moving, picture, now);
    return { ...open, vipAnsweredAt, intents: withIntents(open.intents, moving, picture, now) };
  }
  return {
    id: uniqueId(handoverId(incarnationOf(picture, target), moving), now.wallNow),
    from: first.from ?? '',
    to: target,
    trigger: now.approved && isMoving(first) ? 'Approval' : (first.trigger ?? 'Resume'),
    startedAt: now.wallNow,
    vipAnsweredAt: answerThatBegan(moving, picture, now),
    replicas: new Map(),
    // Of the others it is not known yet how far the handover before has come: their intents stay until that was seen.
    intents: withIntents(open?.intents ?? new Map(), moving, picture, now),
    inherited: open?.inherited ?? new Set(),
  };
}

/** The VIP's answer for which these replicas had waited; null where it is not what let them go on: it may be weeks old. */
function answerThatBegan(plans: readonly Plan[], picture: Picture, { vipAnsweredAt }: Now): number | null {
  const { diagnosis, memory } = picture;
  if (vipAnsweredAt === null) return null;
  const waited = plans.some(({ pod, trigger, target }) => {
    // Prepared while it still answers elsewhere.
    if (diagnosis.holder?.member.name !== target?.member) return false;
    if (trigger === 'VipMoved' || trigger === 'HolderRestarted') return true;
    const stoppedAt = memory.replicas.get(pod)?.captured?.at;
    return trigger !== 'Adoption' && stoppedAt !== undefined && stoppedAt <= vipAnsweredAt;
  });
  return waited ? vipAnsweredAt : null;
}

/** The same positions on the same holder can be handed over again, in a flap within a second: time keeps records apart. */
function uniqueId(id: string, wallNow: number): string {
  return `${id}-${Math.floor(wallNow).toString(36)}`;
}

function withIntents(
  before: ReadonlyMap<string, IntentReplica>,
  plans: readonly Plan[],
  picture: Picture,
  now: Now,
): ReadonlyMap<string, IntentReplica> {
  const intents = new Map(before);
  for (const plan of plans) {
    if (plan.proven === null || plan.target === null) continue;
    const lineage = picture.memory.members.get(plan.target.member)?.lineage;
    const { startedAt } = incarnationOf(picture, plan.target.member);
    intents.set(plan.pod, {
      pod: plan.pod,
      member: plan.target.member,
      incarnation: startedAt === undefined ? '' : new Date(startedAt).toISOString(),
      ...(lineage === undefined ? {} : { lineage }),
      gtid: formatPosition(plan.proven.gtid),
      ...(plan.proven.at === null ? {} : { file: plan.proven.at.file, position: plan.proven.at.position }),
      proof: proofOf(before.get(plan.pod), plan.target.member, plan.proven.proof),
      step: plan.steps[0]?.step ?? 'Capture',
      ...fillOf(plan, before.get(plan.pod)),
      ...lifeOf(now.startedAt.get(plan.pod), before.get(plan.pod)),
    });
  }
  return intents;
}

function lifeOf(startedAt: number | undefined, before: IntentReplica | undefined): Partial<IntentReplica> {
  return startedAt === undefined ? {} : { replicaStartedAt: steady(startedAt, before?.replicaStartedAt) };
}

/** A resumption ends what was begun: the handover's proof is the one by which the replica came to this member. */
function proofOf(before: IntentReplica | undefined, member: string, proof: Proof): Proof {
  if (before?.proof === 'Filled' && before.member === member) return before.proof;
  return proof === 'SameServer' && before?.member === member ? (before.proof ?? proof) : proof;
}

function fillOf({ fill }: Plan, before: IntentReplica | undefined): Pick<IntentReplica, 'fill' | 'filledFrom'> {
  if (fill === undefined) {
    const filledFrom = before?.fill?.from ?? before?.filledFrom;
    return filledFrom === undefined ? {} : { filledFrom };
  }
  const { donor, dial, startedAt, upTo, from } = fill;
  const name = donor.kind === 'Sibling' ? donor.pod : donor.member;
  const places = { upTo: formatPosition(upTo), from: formatPosition(from) };
  return { fill: { donor: name, kind: donor.kind, ...dial, startedAt: new Date(startedAt).toISOString(), ...places } };
}

function fillIntended({ fill }: IntentReplica): Fill | undefined {
  const [upTo, from] = [parsePosition(fill?.upTo ?? ''), parsePosition(fill?.from ?? '')];
  if (fill === undefined || upTo === undefined || from === undefined) return undefined;
  const { donor: name, kind, host, port, startedAt } = fill;
  const donor: Donor = kind === 'Sibling' ? { kind, pod: name } : { kind, member: name };
  return { donor, dial: { host, port }, startedAt: Date.parse(startedAt), upTo, from };
}

/** The intents as the domain needs them. One that cannot be read is none: that can only make mxr wait or refuse. */
export function intendedOf(open: OpenHandover | null): ReadonlyMap<string, Intended> {
  const intended = new Map<string, Intended>();
  for (const intent of open?.intents.values() ?? []) {
    const { pod, member, incarnation, lineage, gtid, file, position, replicaStartedAt, arrived } = intent;
    const parsed = parsePosition(gtid);
    if (parsed === undefined || lineage === undefined || arrived === true) continue;
    const at = file === undefined || position === undefined ? null : { file, position };
    const life = replicaStartedAt === undefined ? null : Date.parse(replicaStartedAt);
    const startedAt = Date.parse(incarnation);
    const fill = fillIntended(intent);
    // What was half filled is never taken for half moved.
    if (intent.fill !== undefined && fill === undefined) continue;
    const wanted = { member, lineage, startedAt, gtid: parsed, at, replicaStartedAt: life };
    intended.set(pod, { ...wanted, ...(fill === undefined ? {} : { fill }) });
  }
  return intended;
}

/** Whether what is stored covers this plan: the same replica, target, incarnation and position. */
export function isCovered(stored: Intent | undefined, open: OpenHandover, plan: Plan): boolean {
  const wanted = open.intents.get(plan.pod);
  const there = stored?.replicas.find((one) => one.pod === plan.pod);
  return stored?.id === open.id && wanted !== undefined && JSON.stringify(there) === JSON.stringify(wanted);
}

function incarnationOf(picture: Picture, member: string): { member: string; startedAt: number | undefined } {
  const remembered = picture.memory.members.get(member);
  return { member, startedAt: remembered?.identity.startedAt };
}

/** Enters how one replica's plan went. */
export function enterExecution(open: OpenHandover, execution: Execution): OpenHandover {
  const { plan, pod, captured } = execution;
  const { proven } = plan;
  const steps = execution.steps.map(stepRecord);
  if (plan.kind === 'Restore') return { ...open, replicas: withSteps(open.replicas, pod, steps) };
  const filled = filledBefore(open, pod);
  const durationMs = Math.round(execution.steps.reduce((sum, step) => sum + step.durationMs, filled?.durationMs ?? 0));
  const entry: HandoverReplica = {
    pod,
    ...(proven === null ? {} : { proof: open.intents.get(pod)?.proof ?? proven.proof }),
    from: filled?.from ?? {
      ...(captured === null ? {} : { file: captured.exec.file, position: captured.exec.position }),
      gtid: formatPosition(captured?.gtid ?? proven?.gtid ?? new Map()),
    },
    to:
      execution.attachedAt === null
        ? {}
        : { ...(proven?.at ?? execution.attachedAt.place), gtid: formatPosition(execution.attachedAt.gtid) },
    durationMs,
    message: execution.message,
    steps: [...(filled?.steps ?? []), ...steps].slice(-MAX_STEPS),
  };
  const intent = open.intents.get(pod);
  const intents =
    intent === undefined || execution.attachedAt === null
      ? open.intents
      : new Map([...open.intents, [pod, { ...intent, arrived: true }]]);
  return { ...open, intents, replicas: new Map([...open.replicas, [pod, entry]]) };
}

/** A fill may be tried again, and the move follows: all of it is one way from where the replica stood at first. */
function filledBefore(open: OpenHandover, pod: string): HandoverReplica | undefined {
  const entry = open.replicas.get(pod);
  if (entry?.proof === 'Filled' && entry.to.gtid === undefined) return entry;
  const from = open.intents.get(pod)?.filledFrom;
  return from === undefined || entry !== undefined
    ? undefined
    : { pod, from: { gtid: from }, to: {}, durationMs: 0, message: '', steps: [] };
}

const MAX_STEPS = 40;

function stepRecord({ step, outcome, startedAt, durationMs, detail }: StepReport): HandoverReplica['steps'][number] {
  return {
    step,
    outcome,
    startedAt: new Date(startedAt).toISOString(),
    durationMs: Math.round(durationMs),
    detail: detail.slice(0, 300),
  };
}

/** What was undone belongs to what was begun. */
function withSteps(
  replicas: OpenHandover['replicas'],
  pod: string,
  steps: HandoverReplica['steps'],
): OpenHandover['replicas'] {
  const begun = replicas.get(pod);
  return begun === undefined
    ? replicas
    : new Map([...replicas, [pod, { ...begun, steps: [...begun.steps, ...steps] }]]);
}

export function intentOf(open: OpenHandover): Intent {
  return {
    id: open.id,
    from: open.from,
    to: open.to,
    trigger: open.trigger,
    startedAt: new Date(open.startedAt).toISOString(),
    ...(open.vipAnsweredAt === null ? {} : { vipAnsweredAt: new Date(open.vipAnsweredAt).toISOString() }),
    replicas: [...open.intents.values()],
  };
}
