import type { Clock } from '../clock.ts';
import { MxrError, isMxrError } from '../errors.ts';
import type { LeaseApi } from './client.ts';
import type { Lease, LeaseSpec, ObjectRef } from './objects.ts';
import { pause } from './timers.ts';
import type { Timers } from './timers.ts';

export interface ElectorOptions {
  readonly leases: LeaseApi;
  readonly ref: ObjectRef;
  /** Pod name and uid. A random suffix is added: a restarted container must not mistake its predecessor for itself. */
  readonly identity: string;
  readonly leaseDurationMs: number;
  /** Without a renewal for so long the leader gives up by itself. */
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  readonly clock: Clock;
  readonly timers: Timers;
  /** In [0, 1). */
  readonly random: () => number;
  /** Told of failed calls, which are retried; must not throw. */
  readonly onError: (error: unknown) => void;
}

/** One term of leadership: the fence that every effect checks before it happens. */
export interface Leadership {
  /** `leaseTransitions` of the Lease: grows with every term of whatever process. */
  readonly epoch: number;
  /**
   * Computed from the clock alone, so it is right at once in a process that was frozen, before any timer has fired.
   * True can still become false before the effect arrives: the session lock on the replica is for that.
   */
  isLeader(): boolean;
  /** Aborted once, when the term ends. The reason is an MxrError `FenceLost`. */
  readonly signal: AbortSignal;
  /** Ends the term and hands the Lease on. Call it after the last effect has ended. Never rejects. */
  release(): Promise<void>;
}

export interface Elector {
  readonly identity: string;
  /** Waits for leadership; undefined only when `signal` aborts. A term that ended is followed by another `acquire`. */
  acquire(signal: AbortSignal): Promise<Leadership | undefined>;
}

/**
 * The fence ends this much before the lease. Others measure the lease on their own clocks, so this allows clocks
 * whose rates differ by 2 % (NTP slews by 0.05 %).
 */
const FENCE_FRACTION = 0.98;
/** A candidate looks so often, so that a released Lease is taken within a second. */
const CANDIDATE_PERIOD_MS = 750;

export function createElector(options: ElectorOptions): Elector {
  validate(options);
  const { leases, ref, clock, timers, random, onError } = options;
  const identity = `${options.identity}_${Math.floor(random() * 2 ** 32).toString(16)}`;
  /** The Lease's content, and when this process first saw it: another host's clock is never compared with ours. */
  let observed = { content: '', atMs: 0 };

  function free(lease: Lease): boolean {
    const holder = lease.spec.holderIdentity ?? '';
    if (holder === '' || holder === identity) return true;
    const heldMs = Math.max(options.leaseDurationMs, (lease.spec.leaseDurationSeconds ?? 0) * 1000);
    return clock.monotonicMs() >= observed.atMs + heldMs;
  }

  function observe(lease: Lease): void {
    const content = JSON.stringify(lease.spec);
    if (content !== observed.content) observed = { content, atMs: clock.monotonicMs() };
  }

  async function attempt(signal: AbortSignal): Promise<Leadership | undefined> {
    const call = { signal, timeoutMs: options.renewDeadlineMs / 2 };
    const found = await unlessMissing(leases.getLease(ref, call));
    if (found !== undefined) observe(found);
    if (found !== undefined && !free(found)) return undefined;
    const epoch = (found?.spec.leaseTransitions ?? 0) + 1;
    const spec = claim(options, identity, epoch);
    const startedAtMs = clock.monotonicMs();
    const lease = await (found === undefined
      ? leases.createLease(ref, spec, call)
      : leases.updateLease(found, spec, call));
    return startTerm({ ...options, identity }, { lease, epoch, startedAtMs });
  }

  async function acquire(signal: AbortSignal): Promise<Leadership | undefined> {
    while (!signal.aborted) {
      try {
        const term = await attempt(signal);
        if (term?.isLeader() === true) return term;
      } catch (error) {
        // A conflict is another candidate that was faster: nothing to tell.
        if (!signal.aborted && !isMxrError(error, 'KubeConflict')) onError(error);
      }
      const periodMs = Math.min(options.retryPeriodMs, CANDIDATE_PERIOD_MS);
      await pause(timers, periodMs * (0.8 + 0.2 * random()), signal);
    }
    return undefined;
  }

  return { identity, acquire };
}

interface Won {
  readonly lease: Lease;
  readonly epoch: number;
  /** When the request that won was sent: whatever the server did, it did later. */
  readonly startedAtMs: number;
}

function startTerm(options: ElectorOptions, won: Won): Leadership {
  const { leases, ref, identity, clock, timers, renewDeadlineMs, retryPeriodMs, onError } = options;
  const { epoch } = won;
  const fenceMs = options.leaseDurationMs * FENCE_FRACTION;
  const ended = new AbortController();
  let renewedAtMs = won.startedAtMs;
  /** The version to update; undefined when an update got no answer and may or may not have happened. */
  let current: Lease | undefined = won.lease;

  function end(detail: string): void {
    if (ended.signal.aborted) return;
    const details = { operation: 'stay the leader', target: `lease ${ref.namespace}/${ref.name}`, detail };
    ended.abort(new MxrError({ ...details, code: 'FenceLost', retryable: true }));
  }

  /** The Lease if it is still this term's. Ends the term if it is not. */
  async function reread(signal: AbortSignal | undefined, timeoutMs: number): Promise<Lease | undefined> {
    const lease = await unlessMissing(leases.getLease(ref, { signal, timeoutMs }));
    if (lease?.spec.holderIdentity === identity && lease.spec.leaseTransitions === epoch) return lease;
    end(lease === undefined ? 'the Lease was deleted' : `it is held by ${lease.spec.holderIdentity ?? 'nobody'}`);
    return undefined;
  }

  async function renew(timeoutMs: number): Promise<void> {
    const { signal } = ended;
    const known = current ?? (await reread(signal, timeoutMs));
    if (known === undefined) return;
    const startedAtMs = clock.monotonicMs();
    current = undefined;
    const spec = { ...claim(options, identity, epoch), acquireTime: known.spec.acquireTime };
    current = await leases.updateLease(known, spec, { signal, timeoutMs });
    renewedAtMs = startedAtMs;
  }

  async function keep(): Promise<void> {
    for (;;) {
      const leftMs = renewedAtMs + renewDeadlineMs - clock.monotonicMs();
      if (leftMs <= 0) return end(`no renewal succeeded for ${renewDeadlineMs} ms`);
      await pause(timers, Math.min(retryPeriodMs, leftMs), ended.signal);
      if (ended.signal.aborted) return;
      const callMs = Math.min(renewDeadlineMs / 2, renewedAtMs + renewDeadlineMs - clock.monotonicMs());
      if (callMs <= 0) continue;
      try {
        await renew(callMs);
      } catch (error) {
        if (ended.signal.aborted) return;
        if (isMxrError(error, 'KubeConflict', 'KubeNotFound')) await reread(ended.signal, callMs).catch(onError);
        else onError(error);
      }
    }
  }
  const kept = keep();

  async function release(): Promise<void> {
    end('it was released');
    await kept;
    try {
      const lease = await reread(undefined, renewDeadlineMs / 2);
      if (lease === undefined) return;
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 };
      await leases.updateLease(lease, spec, { timeoutMs: renewDeadlineMs / 2 });
    } catch (error) {
      onError(error);
    }
  }

  return {
    epoch,
    isLeader: () => !ended.signal.aborted && clock.monotonicMs() < renewedAtMs + fenceMs,
    signal: ended.signal,
    release,
  };
}

function claim(options: ElectorOptions, identity: string, epoch: number): LeaseSpec {
  // MicroTime wants six digits. Only people read these: expiry is judged by observation.
  const now = new Date(options.clock.wallMs()).toISOString().replace('Z', '000Z');
  return {
    holderIdentity: identity,
    leaseDurationSeconds: Math.ceil(options.leaseDurationMs / 1000),
    acquireTime: now,
    renewTime: now,
    leaseTransitions: epoch,
  };
}

async function unlessMissing<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isMxrError(error, 'KubeNotFound')) return undefined;
    throw error;
  }
}

function validate(options: ElectorOptions): void {
  const { leaseDurationMs, renewDeadlineMs, retryPeriodMs } = options;
  if (
    leaseDurationMs * FENCE_FRACTION > renewDeadlineMs &&
    renewDeadlineMs > 1.2 * retryPeriodMs &&
    retryPeriodMs > 0
  ) {
    return;
  }
  throw new MxrError({
    operation: 'configure the leader election',
    target: `lease ${options.ref.namespace}/${options.ref.name}`,
    code: 'ConfigInvalid',
    detail:
      `it needs leaseDuration > renewDeadline > 1.2 x retryPeriod > 0, ` +
      `but has ${leaseDurationMs}, ${renewDeadlineMs} and ${retryPeriodMs} ms`,
    retryable: false,
  });
}
