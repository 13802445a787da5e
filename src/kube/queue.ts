import { backoffMs } from './backoff.ts';
import type { BackoffOptions } from './backoff.ts';
import { pause } from './timers.ts';
import type { Timers } from './timers.ts';
import type { Clock } from '../clock.ts';

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

interface Wake {
  readonly atMs: number;
  readonly cancel: () => void;
}

export function createQueue(options: QueueOptions): Queue {
  const { clock, timers, backoff, random } = options;
  /** A Set keeps the order of insertion: first come, first served. */
  const ready = new Set<string>();
  const inFlight = new Map<string, { again: boolean }>();
  const wakes = new Map<string, Wake>();
  const failures = new Map<string, number>();
  const stopping = new AbortController();
  let whenIdle: () => void = () => undefined;

  function add(key: string): void {
    if (stopping.signal.aborted) return;
    const flight = inFlight.get(key);
    if (flight === undefined) ready.add(key);
    else flight.again = true;
    startNext();
  }

  function addAfter(key: string, ms: number): void {
    if (stopping.signal.aborted) return;
    const atMs = clock.monotonicMs() + ms;
    const known = wakes.get(key);
    if (known !== undefined && known.atMs <= atMs) return;
    known?.cancel();
    const cancel = timers.after(ms, () => {
      wakes.delete(key);
      add(key);
    });
    wakes.set(key, { atMs, cancel });
  }

  function forget(key: string): void {
    wakes.get(key)?.cancel();
    wakes.delete(key);
    failures.delete(key);
    ready.delete(key);
    const flight = inFlight.get(key);
    if (flight !== undefined) flight.again = false;
  }

  function startNext(): void {
    for (const key of ready) {
      if (stopping.signal.aborted || inFlight.size >= options.concurrency) return;
      ready.delete(key);
      const flight = { again: false };
      inFlight.set(key, flight);
      void run(key, flight);
    }
  }

  async function run(key: string, flight: { again: boolean }): Promise<void> {
    try {
      await options.process(key, stopping.signal);
      failures.delete(key);
    } catch (error) {
      retry(key, error);
    }
    inFlight.delete(key);
    if (flight.again) add(key);
    startNext();
    if (inFlight.size === 0) whenIdle();
  }

  function retry(key: string, error: unknown): void {
    const count = (failures.get(key) ?? 0) + 1;
    failures.set(key, count);
    const ms = backoffMs(count, backoff, random);
    options.onError(key, error, ms);
    addAfter(key, ms);
  }

  async function stop(deadlineMs: number): Promise<readonly string[]> {
    stopping.abort();
    for (const wake of wakes.values()) wake.cancel();
    wakes.clear();
    ready.clear();
    if (inFlight.size === 0) return [];
    const idle = new AbortController();
    whenIdle = () => idle.abort();
    await pause(timers, deadlineMs, idle.signal);
    return [...inFlight.keys()];
  }

  return {
    add,
    addAfter,
    forget,
    stop,
    get depth() {
      return ready.size;
    },
  };
}
