import type { Clock } from '../clock.ts';
import { MxrError, isMxrError } from '../errors.ts';
import type { CallOptions, LeaseApi } from './client.ts';
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
  /** A candidate has read the Lease: it could take over. */
  readonly onRead?: () => void;
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
  return new LeaseElector(options);
}

class LeaseElector implements Elector {
  readonly identity: string;
  readonly #options: ElectorOptions;
  /** The Lease's content, and when this process first saw it: another host's clock is never compared with ours. */
  #observed = { content: '', atMs: 0 };
  #everSeen = false;

  constructor(options: ElectorOptions) {
    validate(options);
    this.identity = `${options.identity}_${Math.floor(options.random() * 2 ** 32).toString(16)}`;
    this.#options = { ...options, identity: this.identity };
  }

  async acquire(signal: AbortSignal): Promise<Leadership | undefined> {
    const { timers, random, retryPeriodMs, onError } = this.#options;
    while (!signal.aborted) {
      try {
        const term = await this.#attempt(signal);
        if (term?.isLeader() === true) return term;
      } catch (error) {
        // A conflict is another candidate that was faster: nothing to tell.
        if (!signal.aborted && !isMxrError(error, 'KubeConflict')) onError(error);
      }
      const periodMs = Math.min(retryPeriodMs, CANDIDATE_PERIOD_MS);
      await pause(timers, periodMs * (0.8 + 0.2 * random()), signal);
    }
    return undefined;
  }

  async #attempt(signal: AbortSignal): Promise<Leadership | undefined> {
    const { leases, ref, clock, renewDeadlineMs } = this.#options;
    const call = { signal, timeoutMs: renewDeadlineMs / 2 };
    const found = await unlessMissing(leases.getLease(ref, call));
    this.#options.onRead?.();
    if (!this.#isFree(found)) return undefined;
    const epoch = (found?.spec.leaseTransitions ?? 0) + 1;
    const spec = claim(this.#options, epoch);
    const startedAtMs = clock.monotonicMs();
    const lease = await (found === undefined
      ? leases.createLease(ref, spec, call)
      : leases.updateLease(found, spec, call));
    return new Term(this.#options, { lease, epoch, startedAtMs });
  }

  #isFree(lease: Lease | undefined): boolean {
    const { clock, leaseDurationMs } = this.#options;
    const content = JSON.stringify(lease?.spec ?? 'missing');
    if (content !== this.#observed.content) this.#observed = { content, atMs: clock.monotonicMs() };
    if (lease !== undefined) this.#everSeen = true;
    const holder = lease?.spec.holderIdentity ?? '';
    // A Lease that vanishes was deleted by a person, and its holder does not know it yet.
    const vanished = lease === undefined && this.#everSeen;
    if (!vanished && (holder === '' || holder === this.identity)) return true;
    const heldMs = Math.max(leaseDurationMs, (lease?.spec.leaseDurationSeconds ?? 0) * 1000);
    return clock.monotonicMs() >= this.#observed.atMs + heldMs;
  }
}

interface Won {
  readonly lease: Lease;
  readonly epoch: number;
  /** When the request that won was sent: whatever the server did, it did later. */
  readonly startedAtMs: number;
}

class Term implements Leadership {
  readonly epoch: number;
  readonly #options: ElectorOptions;
  readonly #ended = new AbortController();
  readonly #kept: Promise<void>;
  #renewedAtMs: number;
  /** The version to update; undefined when an update got no answer: it may have happened or not. */
  #current: Lease | undefined;

  constructor(options: ElectorOptions, won: Won) {
    this.epoch = won.epoch;
    this.#options = options;
    this.#renewedAtMs = won.startedAtMs;
    this.#current = won.lease;
    this.#kept = this.#keep();
  }

  get signal(): AbortSignal {
    return this.#ended.signal;
  }

  isLeader(): boolean {
    if (this.signal.aborted) return false;
    return this.#options.clock.monotonicMs() < this.#renewedAtMs + this.#options.leaseDurationMs * FENCE_FRACTION;
  }

  async release(): Promise<void> {
    const { leases, renewDeadlineMs, onError } = this.#options;
    this.#end('it was released');
    await this.#kept;
    try {
      const lease = await this.#reread({ timeoutMs: renewDeadlineMs / 2 });
      if (lease === undefined) return;
      const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1 };
      await leases.updateLease(lease, spec, { timeoutMs: renewDeadlineMs / 2 });
    } catch (error) {
      onError(error);
    }
  }

  #leftMs(): number {
    return this.#renewedAtMs + this.#options.renewDeadlineMs - this.#options.clock.monotonicMs();
  }

  async #keep(): Promise<void> {
    const { timers, renewDeadlineMs, retryPeriodMs, onError } = this.#options;
    for (let leftMs = this.#leftMs(); leftMs > 0; leftMs = this.#leftMs()) {
      await pause(timers, Math.min(retryPeriodMs, leftMs), this.signal);
      if (this.#leftMs() > 0) await this.#renew().catch((error: unknown) => this.signal.aborted || onError(error));
      if (this.signal.aborted) return;
    }
    this.#end(`no renewal succeeded for ${renewDeadlineMs} ms`);
  }

  async #renew(): Promise<void> {
    const { leases, clock } = this.#options;
    const known = this.#current ?? (await this.#reread(this.#call()));
    if (known === undefined || this.signal.aborted) return;
    const startedAtMs = clock.monotonicMs();
    this.#current = undefined;
    const spec = { ...claim(this.#options, this.epoch), acquireTime: known.spec.acquireTime };
    try {
      this.#current = await leases.updateLease(known, spec, this.#call());
      this.#renewedAtMs = startedAtMs;
    } catch (error) {
      if (!isMxrError(error, 'KubeConflict', 'KubeNotFound')) throw error;
      // Somebody else wrote it, or an earlier update of ours that was given up did arrive: look at once who has it.
      this.#current = await this.#reread(this.#call());
    }
  }

  /** Two tries fit into what is left, and none outlives it. */
  #call(): CallOptions {
    const timeoutMs = Math.max(1, Math.floor(Math.min(this.#options.renewDeadlineMs / 2, this.#leftMs())));
    return { signal: this.signal, timeoutMs };
  }

  /** The Lease if it is still this term's; ends the term if it is not. */
  async #reread(call: CallOptions): Promise<Lease | undefined> {
    const lease = await unlessMissing(this.#options.leases.getLease(this.#options.ref, call));
    const { holderIdentity, leaseTransitions } = lease?.spec ?? {};
    if (holderIdentity === this.#options.identity && leaseTransitions === this.epoch) return lease;
    this.#end(lease === undefined ? 'the Lease was deleted' : `the Lease is held by ${holderIdentity ?? 'nobody'}`);
    return undefined;
  }

  #end(detail: string): void {
    if (this.signal.aborted) return;
    const { namespace, name } = this.#options.ref;
    const call = { operation: 'stay the leader', target: `lease ${namespace}/${name}` };
    this.#ended.abort(new MxrError({ ...call, code: 'FenceLost', detail, retryable: true }));
  }
}

function claim(options: ElectorOptions, epoch: number): LeaseSpec {
  // MicroTime wants six digits. Only people read these: expiry is judged by observation.
  const now = new Date(options.clock.wallMs()).toISOString().replace('Z', '000Z');
  return {
    holderIdentity: options.identity,
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
