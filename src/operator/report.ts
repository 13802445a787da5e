import type { Status } from '../api/v1alpha1.ts';
import { audit } from '../domain/audit.ts';
import type { Gated } from '../domain/gate.ts';
import type { Picture } from '../domain/judge.ts';
import { mayServe } from '../domain/serving.ts';
import type { Decision } from '../domain/verdict.ts';
import type { Acceptance } from './accept/accept.ts';
import type { Refusal } from './accept/refusal.ts';
import { plainPublishers } from './accept/static.ts';
import { endHandover, leaveHandover } from './end-handover.ts';
import { intentOf } from './handover.ts';
import { materialChange } from './material.ts';
import { paceOf } from './pace.ts';
import { policyOf } from './policy.ts';
import type { Runtime } from './runtime.ts';
import { labelServing } from './serving.ts';
import { splitStatus } from './status-split.ts';
import type { StatusInput } from './status.ts';
import { statusNotLooked, statusOf } from './status.ts';

/** Positions move all the time: they are refreshed so often at most, everything that matters at once. */
const REFRESH_MS = 30_000;
/** Passes of a move follow each other within a millisecond or two, and telling takes as long as all else in them. */
const TELL_EVERY_MS = 40;

/** Tells what this pass concluded: status, events, metrics, the read Service's label. */
export function report(runtime: Runtime, picture: Picture, gated: Gated): void {
  const { accepted, shared, resource } = runtime;
  const observation = runtime.watcher?.observation();
  if (accepted === null || observation === undefined) return;
  endHandover(runtime, gated);
  const serving = servingPods(runtime, gated, observation.replicas);
  labelServing(runtime, observation.replicas, serving);
  const midMove = isMidMove(runtime, picture);
  if (midMove && !isTime(runtime)) return;
  const policy = policyOf(resource, accepted, runtime.shared.filler?.dial ?? null);
  const told = { ...picture, decisions: gated.decisions };
  const status = statusOf({
    resource,
    before: resource.status,
    accepted: acceptedAs(accepted.refused),
    intent: runtime.open === null ? null : intentOf(runtime.open),
    approvals: runtime.approvals,
    handovers: runtime.handovers,
    split: splitStatus(picture.diagnosis.split),
    policy,
    observation,
    picture: told,
    findings: audit({
      policy,
      observation,
      diagnosis: picture.diagnosis,
      memory: picture.memory,
      lastHolder: picture.pair.holder,
      holderSince: picture.pair.holderSince,
      netTimeoutSeconds: resource.spec.link.netTimeoutSeconds,
      plainPublishers: plainPublishers(resource.spec),
    }),
    serving,
    histories: runtime.histories ?? { of: () => null },
    salvage: (pod) => (shared.salvage === null ? 'Off' : shared.salvage.salvager.of(runtime.key, pod)),
  });
  publish(runtime, status, midMove);
}

/** The VIP is where the replicas of a handover are to go, and not where they came from. */
function isMidMove({ open, hurry, shared }: Runtime, { diagnosis }: Picture): boolean {
  if (open === null || paceOf(hurry, shared.clock.monotonicMs()) === 'calm') return false;
  return open.from !== open.to && diagnosis.holder?.member.name === open.to;
}

/** False shortly after the pass that told last: another one will tell what this one found. */
function isTime(runtime: Runtime): boolean {
  const now = runtime.shared.clock.monotonicMs();
  const left = runtime.toldAt + TELL_EVERY_MS - now;
  if (left <= 0) {
    runtime.toldAt = now;
    return true;
  }
  runtime.tellSoon ??= setTimeout(() => {
    runtime.tellSoon = null;
    runtime.wake();
  }, left);
  return false;
}

function acceptedAs(refused: Refusal | null): StatusInput['accepted'] {
  if (refused === null) {
    const message = 'everything that the resource names exists and may be used';
    return { accepted: true, reason: 'Accepted', message };
  }
  const { reason, message } = refused;
  return { accepted: false, reason, message: `${message}. What was accepted before goes on as far as the rest allows` };
}

/** Nothing is looked at and nothing is done; the condition says what to mend. */
export function reportRefusal(runtime: Runtime, refusal: Extract<Acceptance, { ok: false }>): void {
  const { resource, shared } = runtime;
  if (refusal.reason !== 'NotLookedYet') leaveHandover(runtime);
  runtime.ready.want(new Map());
  const status = statusNotLooked({
    resource,
    before: resource.status,
    accepted: {
      accepted: refusal.reason === 'NotLookedYet' ? null : false,
      reason: refusal.reason,
      message: refusal.message,
    },
    intent: runtime.open === null ? null : intentOf(runtime.open),
    approvals: runtime.approvals,
    handovers: runtime.handovers,
    split: splitStatus(runtime.pair.split),
    wallNow: shared.clock.wallMs(),
  });
  publish(runtime, status, false);
}

function publish(runtime: Runtime, status: Status, midMove: boolean): void {
  const nowMs = runtime.shared.clock.monotonicMs();
  const { metadata, status: before } = runtime.resource;
  const material = materialChange(before, status);
  runtime.resource = { ...runtime.resource, status };
  runtime.shared.tell.shows(metadata, status);
  if (material) runtime.shared.tell.changed(metadata, before, status);
  if (!material && nowMs - runtime.refreshedAt < REFRESH_MS) return;
  runtime.refreshedAt = nowMs;
  runtime.writer.offer(status, midMove);
}

/** Offers the newest status with the intent as it is now: for whoever waits until it is stored. */
export function offerStatus(runtime: Runtime): void {
  const { intent: _, ...rest } = runtime.resource.status;
  const status: Status = runtime.open === null ? rest : { ...rest, intent: intentOf(runtime.open) };
  runtime.resource = { ...runtime.resource, status };
  runtime.writer.offer(status);
}

/** How old the data may be: the lag while it is known, else the time since the replica was last seen attached and proven. */
function stalenessOf(runtime: Runtime, pod: string, decision: Decision | undefined): number | null {
  if (decision === undefined) return null;
  if (decision.lagSeconds !== null) return decision.lagSeconds;
  const provenAt = runtime.memory.replicas.get(pod)?.baseline?.at;
  return provenAt === undefined ? null : Math.max(0, runtime.shared.clock.wallMs() - provenAt) / 1000;
}

function servingPods(
  runtime: Runtime,
  gated: Gated,
  replicas: readonly { readonly pod: string; readonly labelledServing: boolean }[],
): ReadonlySet<string> {
  const max = runtime.resource.spec.serving.maxStalenessSeconds;
  const pods = replicas.filter((replica) => {
    const decision = gated.decisions.find((one) => one.pod === replica.pod);
    const now = { serving: replica.labelledServing, stalenessSeconds: stalenessOf(runtime, replica.pod, decision) };
    return decision !== undefined && mayServe(decision, now, max);
  });
  return new Set(pods.map((replica) => replica.pod));
}
