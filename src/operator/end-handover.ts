import type { ExternalReplica, HandoverRecord } from '../api/v1alpha1.ts';
import { valueOf } from '../domain/fact.ts';
import type { Gated } from '../domain/gate.ts';
import { linkOf } from '../domain/observation.ts';
import type { Decision } from '../domain/verdict.ts';
import { isReady } from '../domain/verdict.ts';
import { closeHandover, refusedHandover } from './close-handover.ts';
import type { Runtime } from './runtime.ts';

const MAX_HANDOVERS = 10;
/** A deleted resource may still end what is under way for so long; then its replicas stay as they are. */
const LEAVE_AFTER_MS = 60_000;
/** A refusal is recorded once it has stood for so long: some proofs ask more before they are sure. */
const SETTLED_MS = 5_000;

/** A handover ends when nobody is on the way any more; one that was refused for everybody never began, and is told too. */
export function endHandover(runtime: Runtime, gated: Gated): void {
  const { open, shared, memory, resource } = runtime;
  if (open === null) {
    recordRefusal(runtime, gated);
    return;
  }
  const wallNow = shared.clock.wallMs();
  const leaving = isLeaving(resource, wallNow);
  if (leaving) abortJobs(runtime);
  const busy = new Set([...runtime.jobs.keys(), ...(leaving ? [] : halfWay(runtime))]);
  const { decisions } = gated;
  const standing = standingLinks(runtime);
  end(runtime, decisions, closeHandover(open, { decisions, busy, memory, wallNow, leaving, standing }));
}

/** A resource that cannot be acted upon any more and is being deleted: nobody is held up by what was begun. */
export function leaveHandover(runtime: Runtime): void {
  const { open, shared, memory, resource } = runtime;
  if (open === null || resource.metadata.deletionTimestamp === undefined) return;
  abortJobs(runtime);
  const decisions = runtime.picture?.decisions ?? [];
  const [busy, wallNow] = [new Set(runtime.jobs.keys()), shared.clock.wallMs()];
  const closing = { decisions, busy, memory, wallNow, leaving: true, standing: new Set<string>() };
  end(runtime, decisions, closeHandover(open, closing));
}

function standingLinks({ watcher, resource }: Runtime): ReadonlySet<string> {
  const replicas = watcher?.observation().replicas ?? [];
  const standing = replicas.filter(({ look }) => {
    const link = look.known ? linkOf(look.value, resource.spec.link.channel) : undefined;
    return link?.io === 'No' && link.ioErrno === 0;
  });
  return new Set(standing.map(({ pod }) => pod));
}

/** Whether the finalizer has held a deletion up for long enough: then nothing more is begun, and what is open is closed. */
export function isLeaving({ metadata }: Pick<ExternalReplica, 'metadata'>, wallNow: number): boolean {
  const { deletionTimestamp } = metadata;
  return deletionTimestamp !== undefined && wallNow - Date.parse(deletionTimestamp) > LEAVE_AFTER_MS;
}

function abortJobs(runtime: Runtime): void {
  for (const job of runtime.jobs.values()) job.abort.abort();
}

/** Replicas that were begun and have to go on, though the policy does not let them now: their intent must not be forgotten. */
function halfWay({ open, picture }: Runtime): string[] {
  const wanting = picture?.decisions.filter(({ pod, plan }) => plan !== null && open?.replicas.has(pod) === true) ?? [];
  return wanting.map(({ pod }) => pod);
}

function end(runtime: Runtime, decisions: readonly Decision[], closed: ReturnType<typeof closeHandover>): void {
  if (closed === null) return;
  runtime.open = null;
  const left = decisions.filter((decision) => !isReady(decision.verdict));
  const notReady = left.map(({ pod, verdict, reason, message }) => ({ pod, verdict, reason, message }));
  if (closed.record !== null) enterRecord(runtime, closed.record, notReady);
}

function recordRefusal(runtime: Runtime, { decisions }: Gated): void {
  const { shared, memory, picture, handovers, watcher } = runtime;
  const { spec, status } = runtime.resource;
  const holder = picture?.diagnosis.holder?.member.name;
  if (holder === undefined || spec.suspend || spec.policy.handover === 'Observe' || runtime.jobs.size > 0) return;
  const wallNow = shared.clock.wallMs();
  const settled = status.replicas.every(({ since }) => wallNow - Date.parse(since) >= SETTLED_MS);
  if (!settled) return;
  const vip = watcher?.observation().vip;
  const answering = vip === undefined || valueOf(vip.look) === undefined ? null : vip.answersSince;
  const vipAnsweredAt = answering === null ? null : wallNow - (shared.clock.monotonicMs() - answering);
  const record = refusedHandover({ decisions, memory, holder, wallNow, vipAnsweredAt, handovers });
  if (record !== null) enterRecord(runtime, record, record.replicas);
}

/** The newest record goes to the top of the list. */
export function enterRecord(runtime: Runtime, record: HandoverRecord, notReady: unknown): void {
  const { shared, key } = runtime;
  runtime.handovers = [record, ...runtime.handovers].slice(0, MAX_HANDOVERS);
  shared.tell.handover(key, record.outcome, record.durationMs / 1000);
  const { id, from, to, trigger, outcome, durationMs } = record;
  shared.log.info('handover ended', { resource: key, id, from, to, trigger, outcome, durationMs, notReady });
}
