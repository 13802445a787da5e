import { isDeepStrictEqual } from 'node:util';
import type { FileFiller } from '../act/file-filler.ts';
import { createFileFiller } from '../act/file-filler.ts';
import { API_VERSION, KIND } from '../api/names.ts';
import { parseResource } from '../api/v1alpha1.ts';
import { busyness, sleep, systemClock } from '../clock.ts';
import type { OperatorConfig } from '../config.ts';
import { isMxrError } from '../errors.ts';
import type { Kube } from '../kube/client.ts';
import { createEmitter } from '../kube/events.ts';
import type { EventEmitter } from '../kube/events.ts';
import type { Informer } from '../kube/informer.ts';
import { startInformer } from '../kube/informer.ts';
import type { Leadership } from '../kube/leader.ts';
import type { ListWatch } from '../kube/list-watch.ts';
import type { Pod, Resource } from '../kube/objects.ts';
import { createQueue } from '../kube/queue.ts';
import { systemTimers } from '../kube/timers.ts';
import { createBudget, HEDGES_PER_SECOND, HURRIED_LOOKS_PER_SECOND } from '../observe/budget.ts';
import type { Logger } from '../ops/log.ts';
import type { Metrics } from '../ops/metrics.ts';
import type { ResourceView } from '../ops/view.ts';
import { createSalvager } from '../salvage/salvager.ts';
import type { SqlConnect } from '../sql/port.ts';
import { createAcceptor } from './accept/accept.ts';
import type { Acceptor } from './accept/accept.ts';
import { EVENT_TABLE } from './event-table.ts';
import type { EventReason } from './event-table.ts';
import { beginRuntime } from './begin.ts';
import { reconcile } from './reconcile.ts';
import type { Runtime, Shared } from './runtime.ts';
import { stopRuntime } from './runtime.ts';
import { createTell } from './tell.ts';

export interface LeadOptions {
  readonly config: OperatorConfig;
  readonly kube: Kube;
  readonly connect: SqlConnect;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly leadership: Leadership;
  readonly signal: AbortSignal;
  /** Every collection was listed once: what is decided from now on is decided on all of them. */
  readonly onSynced: () => void;
  readonly onViews: (views: () => readonly ResourceView[]) => void;
}

const BACKOFF = { baseMs: 100, maxMs: 30_000 };
const CONCURRENCY = 16;
/** A pass is due at least so often, whatever the looks say: time itself changes verdicts (hold-down, lag, drain). */
const TICK_MS = 1_000;
/** Each takes some thirty logins at first: a hundred at once would leave no time to keep the Lease. */
const BEGUN_PER_SECOND = 8;
const BEGIN_AGAIN_MS = 100;
const POD_BURST_MS = 100;
/** At the end, for what was seen and is not stored yet, and for events. */
const LAST_WORDS_MS = 1_000;
/**
 * A process that is busy for so much of a second looks no faster than it has to: answers that lie unread look like silence,
 * silence makes it look faster, and in the end it has no time left to keep its Lease.
 */
const TOO_BUSY = 0.9;

/**
 * Watches resources and pods, and passes over each resource whenever something about it changed. Resolves when the signal
 * aborts; `idle`: no statement of this process is under way any more, so the Lease may be released at once.
 */
export async function lead(options: LeadOptions): Promise<{ readonly idle: boolean }> {
  const { config, leadership, log } = options;
  const signal = AbortSignal.any([options.signal, leadership.signal]);
  const runtimes = new Map<string, Runtime>();
  const read = new Map<string, Resource>();
  const load = { isHigh: false };
  let soon: NodeJS.Timeout | undefined;
  const events = emitterOf(options, signal);
  const shared = sharedOf(options, { signal, load, events });
  const busy = busyness();
  const mayBegin = createBudget(systemClock, BEGUN_PER_SECOND);
  const queue = createQueue({
    process: async (key) => pass(key),
    onError: (key, error) => {
      log.error('a pass failed', { resource: key, error });
      options.metrics.countPassError(isMxrError(error) ? error.code : 'Bug');
    },
    concurrency: CONCURRENCY,
    backoff: BACKOFF,
    clock: systemClock,
    timers: systemTimers,
    random: Math.random,
  });
  const sources = config.namespaces === '*' ? [undefined] : config.namespaces;
  const informing = { ...informerDefaults(config, log), onChange: wakeIfNew };
  const resources = sources.map((namespace) =>
    startInformer({ ...informing, source: options.kube.resources(namespace) }),
  );
  const pods = sources.map((namespace) =>
    startInformer({ ...informerDefaults(config, log), onChange: wakeAllSoon, source: podsOf(options.kube, namespace) }),
  );
  const acceptor = createAcceptor({
    kube: options.kube,
    connect: options.connect,
    clock: systemClock,
    secrets: log.secrets,
    signal,
    onChange: (key) => queue.add(key),
  });
  options.onViews(() => views(runtimes));
  const tick = setInterval(() => {
    load.isHigh = busy() > TOO_BUSY;
    if (synced()) options.onSynced();
    wakeAll();
  }, TICK_MS);

  await aborted(signal);
  clearInterval(tick);
  clearTimeout(soon);
  for (const runtime of runtimes.values()) stopRuntime(runtime);
  await queue.stop(1_000);
  const ended = await allJobsEnd(runtimes, 5_000);
  // Whoever leads by now has its own word of them.
  if (leadership.isLeader()) await Promise.all([...runtimes.values()].map(({ writer }) => writer.end(LAST_WORDS_MS)));
  await Promise.race([events.written(), sleep(LAST_WORDS_MS)]);
  await Promise.all([...resources, ...pods].map((informer) => informer.stop()));
  return { idle: ended };

  function synced(): boolean {
    return [...resources, ...pods].every((informer) => informer.synced);
  }

  /** Our own writes of the status come back as changes, which say nothing. */
  function wakeIfNew(key: string): void {
    const object = resources.map((informer) => informer.get(key)).find((one) => one !== undefined);
    const before = read.get(key);
    if (object === undefined || before === undefined || !isSameButStatus(object, before)) queue.add(key);
  }

  /** A pod may belong to any resource, and pods change in bursts: one pass over all of them for a whole burst. */
  function wakeAllSoon(): void {
    soon ??= setTimeout(() => {
      soon = undefined;
      wakeAll();
    }, POD_BURST_MS);
  }

  function wakeAll(): void {
    for (const key of runtimes.keys()) queue.add(key);
  }

  async function pass(key: string): Promise<void> {
    if (!synced()) {
      queue.addAfter(key, 50);
      return;
    }
    const began = systemClock.monotonicMs();
    const object = resources.map((informer) => informer.get(key)).find((one) => one !== undefined);
    if (object !== undefined && !runtimes.has(key) && !mayBegin()) {
      queue.addAfter(key, BEGIN_AGAIN_MS);
      return;
    }
    passOver(key, object, { runtimes, read, shared, acceptor, resources, pods, wake: () => queue.add(key) });
    options.metrics.observePass((systemClock.monotonicMs() - began) / 1000);
  }
}

/** A statement under way is let finish: whoever leads next must not begin beside it. */
async function allJobsEnd(runtimes: ReadonlyMap<string, Runtime>, deadlineMs: number): Promise<boolean> {
  const end = systemClock.monotonicMs() + deadlineMs;
  const busy = (): boolean => [...runtimes.values()].some((runtime) => runtime.jobs.size > 0);
  while (busy() && systemClock.monotonicMs() < end) await sleep(20);
  return !busy();
}

interface PassParts {
  readonly runtimes: Map<string, Runtime>;
  /** What each resource was read from, as the informer has it. */
  readonly read: Map<string, Resource>;
  readonly shared: Shared;
  readonly acceptor: Acceptor;
  readonly resources: readonly Informer<Resource>[];
  readonly pods: readonly Informer<Pod>[];
  readonly wake: () => void;
}

function passOver(key: string, object: Resource | undefined, parts: PassParts): void {
  const { runtimes, shared, acceptor } = parts;
  const before = runtimes.get(key);
  const gone = object === undefined || before?.resource.metadata.uid !== object.metadata.uid;
  if (before !== undefined && gone) {
    stopRuntime(before);
    runtimes.delete(key);
    parts.read.delete(key);
    acceptor.forget(key);
    shared.tell.gone(key);
  }
  if (object === undefined) return;
  const known = runtimes.get(key);
  const runtime = parts.read.get(key) === object ? known : readAnew(key, object, parts);
  if (runtime === undefined) return;
  const acceptance = acceptor.check({
    key,
    resource: runtime.resource,
    pods: parts.pods.flatMap((informer) => informer.list()),
    others: [...runtimes.values()].filter((one) => one.key !== key).map((one) => one.resource),
    observation: runtime.watcher?.observation() ?? null,
  });
  reconcile(runtime, acceptance);
}

/** The resource as the API server has it now; undefined: it cannot be read. */
function readAnew(key: string, object: Resource, parts: PassParts): Runtime | undefined {
  const { runtimes, read, shared } = parts;
  const parsed = parseResource({ apiVersion: API_VERSION, kind: KIND, ...object });
  if (!parsed.ok) {
    shared.log.error('a resource could not be read', { resource: key, field: parsed.field, detail: parsed.message });
    return undefined;
  }
  const runtime = runtimes.get(key) ?? beginRuntime(key, parsed.resource, shared, parts.wake);
  runtimes.set(key, runtime);
  runtime.resource = { ...parsed.resource, status: runtime.resource.status };
  read.set(key, object);
  return runtime;
}

function isSameButStatus({ metadata: a }: Resource, { metadata: b }: Resource): boolean {
  const same = a.uid === b.uid && a.generation === b.generation && a.deletionTimestamp === b.deletionTimestamp;
  return same && isDeepStrictEqual([a.annotations, a.labels], [b.annotations, b.labels]);
}

interface Load {
  readonly isHigh: boolean;
}

function emitterOf({ kube, config, log }: LeadOptions, signal: AbortSignal): EventEmitter<EventReason> {
  return createEmitter({
    api: kube,
    table: EVENT_TABLE,
    instance: config.pod.name,
    clock: systemClock,
    onDropped: (reason, why) => log.warn('an event was not written', { reason, why }),
    settleMs: 300,
    signal,
    dedupeMs: 600_000,
    similar: 10,
    burst: 60,
    perMinute: 6,
  });
}

interface SharedParts {
  readonly signal: AbortSignal;
  readonly load: Load;
  readonly events: EventEmitter<EventReason>;
}

function sharedOf(options: LeadOptions, { signal, load, events }: SharedParts): Shared {
  const { kube, connect, log, metrics, leadership, config } = options;
  const hedges = createBudget(systemClock, HEDGES_PER_SECOND);
  const hurried = createBudget(systemClock, HURRIED_LOOKS_PER_SECOND);
  return {
    kube,
    connect,
    clock: systemClock,
    log,
    tell: createTell(metrics, events),
    leaseDurationMs: config.lease.durationMs,
    mayHedge: () => !load.isHigh && hedges(),
    mayHurry: () => !load.isHigh && hurried(),
    filler: fillerOf(config, log),
    isLeader: () => leadership.isLeader(),
    salvage: salvageOf(config, log, signal),
    signal,
  };
}

function salvageOf({ salvage }: OperatorConfig, log: Logger, signal: AbortSignal): Shared['salvage'] {
  if (salvage === null) return null;
  const onError = (fields: Readonly<Record<string, unknown>>): void => log.warn('transactions were not saved', fields);
  const parts = { place: salvage, clock: systemClock, random: Math.random, signal, onError };
  return { salvager: createSalvager(parts), place: salvage };
}

function fillerOf({ fill }: OperatorConfig, log: Logger): FileFiller | null {
  return fill === null ? null : createFileFiller({ ...fill, clock: systemClock, log });
}

function informerDefaults(config: OperatorConfig, log: Logger) {
  return {
    onError: (error: unknown) => log.warn('watching the Kubernetes API failed', { error }),
    inactivityMs: 60_000,
    resyncMs: config.resyncMs,
    backoff: BACKOFF,
    clock: systemClock,
    timers: systemTimers,
    random: Math.random,
  };
}

function podsOf(kube: Kube, namespace: string | undefined): ListWatch<Pod> {
  return kube.pods(namespace);
}

function views(runtimes: ReadonlyMap<string, Runtime>): readonly ResourceView[] {
  return [...runtimes.values()].map(({ resource, shared }) => ({
    namespace: resource.metadata.namespace,
    name: resource.metadata.name,
    spec: resource.spec,
    status: resource.status,
    observedAt: shared.clock.wallMs(),
  }));
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
