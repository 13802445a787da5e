import type { Clock } from '../clock.ts';
import { backoffMs } from '../backoff.ts';
import type { BackoffOptions } from '../backoff.ts';
import { pause } from './timers.ts';
import type { Timers } from './timers.ts';

export interface QueueOptions {
  /** One pass over `key`. A rejection is retried with the key's own backoff; returning resets that backoff. */
  readonly process: (key: string, signal: AbortSignal) => Promise<void>;
  /** Told of each rejection; must not throw. */
  readonly onError: (key: string, error: unknown, retryInMs: number) => void;
  /** Passes at once, over different keys. */
  readonly concurrency: number;
  readonly backoff: BackoffOptions;
  readonly clock: Clock;
  readonly timers: Timers;
  /** In [0, 1). */
  readonly random: () => number;
}

/**
 * Keyed work queue. A key is at any time in flight at most once; an `add` while it is in flight makes it run once
 * more afterwards, however many there were; nothing that was added is forgotten until it has run or the queue stops.
 */
export interface Queue {
  add(key: string): void;
  /** Like `add` in `ms`. Per key only the earliest wake-up is kept: a pass re-reads everything, one is enough. */
  addAfter(key: string, ms: number): void;
  /** The key is gone for good: drops its wake-ups and its backoff. A pass in flight ends undisturbed. */
  forget(key: string): void;
  /** Keys waiting to run now; delayed ones and those in flight do not count. */
  readonly depth: number;
  /** Starts nothing more, aborts the signal of passes in flight, waits for them; answers the keys still in flight. */
  stop(deadlineMs: number): Promise<readonly string[]>;
}

export function createQueue(options: QueueOptions): Queue {
  return new KeyedQueue(options);
}

interface Flight {
  /** The key was added while it was in flight. */
  again: boolean;
}

interface Wake {
  readonly atMs: number;
  readonly cancel: () => void;
}

class KeyedQueue implements Queue {
  readonly #options: QueueOptions;
  /** A Set keeps the order of insertion: first come, first served. */
  readonly #ready = new Set<string>();
  readonly #inFlight = new Map<string, Flight>();
  readonly #wakes = new Map<string, Wake>();
  readonly #failures = new Map<string, number>();
  readonly #stopping = new AbortController();
  readonly #idle = new AbortController();

  constructor(options: QueueOptions) {
    this.#options = options;
  }

  get depth(): number {
    return this.#ready.size;
  }

  add(key: string): void {
    if (this.#stopping.signal.aborted) return;
    const flight = this.#inFlight.get(key);
    if (flight === undefined) this.#ready.add(key);
    else flight.again = true;
    this.#startNext();
  }

  addAfter(key: string, ms: number): void {
    if (this.#stopping.signal.aborted) return;
    const atMs = this.#options.clock.monotonicMs() + ms;
    const known = this.#wakes.get(key);
    if (known !== undefined && known.atMs <= atMs) return;
    known?.cancel();
    const cancel = this.#options.timers.after(ms, () => {
      this.#wakes.delete(key);
      this.add(key);
    });
    this.#wakes.set(key, { atMs, cancel });
  }

  forget(key: string): void {
    this.#wakes.get(key)?.cancel();
    this.#wakes.delete(key);
    this.#failures.delete(key);
    this.#ready.delete(key);
    const flight = this.#inFlight.get(key);
    if (flight !== undefined) flight.again = false;
  }

  async stop(deadlineMs: number): Promise<readonly string[]> {
    this.#stopping.abort();
    for (const wake of this.#wakes.values()) wake.cancel();
    this.#wakes.clear();
    this.#ready.clear();
    if (this.#inFlight.size > 0) await pause(this.#options.timers, deadlineMs, this.#idle.signal);
    return [...this.#inFlight.keys()];
  }

  #startNext(): void {
    for (const key of this.#ready) {
      if (this.#inFlight.size >= this.#options.concurrency) return;
      this.#ready.delete(key);
      const flight = { again: false };
      this.#inFlight.set(key, flight);
      void this.#run(key, flight);
    }
  }

  async #run(key: string, flight: Flight): Promise<void> {
    try {
      await this.#options.process(key, this.#stopping.signal);
      this.#failures.delete(key);
    } catch (error) {
      this.#retry(key, error);
    }
    this.#inFlight.delete(key);
    if (flight.again) this.add(key);
    this.#startNext();
    if (this.#stopping.signal.aborted && this.#inFlight.size === 0) this.#idle.abort();
  }

  #retry(key: string, error: unknown): void {
    const { backoff, random, onError } = this.#options;
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const ms = backoffMs(failures, backoff, random);
    this.addAfter(key, ms);
    onError(key, error, ms);
  }
}
