import type { Clock } from '../clock.ts';
import { backoffMs } from '../backoff.ts';
import type { BackoffOptions } from '../backoff.ts';
import type { HasMeta, ListWatch, Listed, WatchEvent } from './list-watch.ts';
import { keyOf } from './objects.ts';
import { pause } from './timers.ts';
import type { Timers } from './timers.ts';

export interface InformerOptions<T extends HasMeta> {
  readonly source: ListWatch<T>;
  /** Something about the object `namespace/name` may have changed. A hint: re-read everything. */
  readonly onChange: (key: string) => void;
  /** Told of every failed list or watch and of a handler that threw; all are retried. Must not throw. */
  readonly onError: (error: unknown) => void;
  /** A watch that is silent for so long is opened again: half-open connections look just like quiet ones. */
  readonly inactivityMs: number;
  /** Everything is listed again after so long, whatever the watch says. */
  readonly resyncMs: number;
  readonly backoff: BackoffOptions;
  readonly clock: Clock;
  readonly timers: Timers;
  /** In [0, 1). */
  readonly random: () => number;
}

/** A cache of one collection, kept by list and watch. What it holds may be old: decide on what a pass reads itself. */
export interface Informer<T extends HasMeta> {
  get(key: string): T | undefined;
  list(): readonly T[];
  /** The first complete list has been seen. Until then "not there" means nothing. */
  readonly synced: boolean;
  /** Ends the list or watch under way and waits until its socket is given up. No `onChange` afterwards. */
  stop(): Promise<void>;
}

export function startInformer<T extends HasMeta>(options: InformerOptions<T>): Informer<T> {
  return new SupervisedInformer(options);
}

/** A watch that ended sooner did not work, whatever it brought: without this a server that closes at once is hammered. */
const STEADY_MS = 1000;

/**
 * One loop, one list or watch at a time: no older generation exists that could still deliver. An error discards the
 * watch and lists again. (client-node's own informer dies at the first 503 and hangs with a list that never answers.)
 */
class SupervisedInformer<T extends HasMeta> implements Informer<T> {
  readonly #options: InformerOptions<T>;
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;
  #cache = new Map<string, T>();
  #synced = false;
  /** Lists and watches in a row that did not work. */
  #failures = 0;

  constructor(options: InformerOptions<T>) {
    this.#options = options;
    this.#ended = this.#supervise();
  }

  get synced(): boolean {
    return this.#synced;
  }

  get(key: string): T | undefined {
    return this.#cache.get(key);
  }

  list(): readonly T[] {
    return [...this.#cache.values()];
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  async #supervise(): Promise<void> {
    while (!this.#stopped) {
      try {
        await this.#generation();
      } catch (error) {
        if (this.#stopped) return;
        this.#failures += 1;
        this.#options.onError(error);
      }
      await this.#backOff();
    }
  }

  /** One full list, then watches from there until the next one is due. */
  async #generation(): Promise<void> {
    const { source, clock, resyncMs } = this.#options;
    const listed = await source.list(this.#stopping.signal);
    this.#replace(listed);
    const endAtMs = clock.monotonicMs() + resyncMs;
    for (let from = listed.resourceVersion; !this.#stopped && clock.monotonicMs() < endAtMs;) {
      from = await this.#watch(from, endAtMs);
      await this.#backOff();
    }
  }

  /** Answers the version to go on from, when the watch was closed or had been silent. */
  async #watch(from: string, endAtMs: number): Promise<string> {
    const { source, clock, inactivityMs } = this.#options;
    const openedAtMs = clock.monotonicMs();
    const watch = { resourceVersion: from, inactivityMs, lifetimeMs: endAtMs - openedAtMs };
    let last = from;
    for await (const event of source.watch({ ...watch, signal: this.#stopping.signal })) {
      last = event.resourceVersion;
      this.#apply(event);
      if (this.#stopped || clock.monotonicMs() >= endAtMs) break;
    }
    const steady = clock.monotonicMs() - openedAtMs >= Math.min(STEADY_MS, inactivityMs / 2);
    this.#failures = steady ? 0 : this.#failures + 1;
    return last;
  }

  async #backOff(): Promise<void> {
    const { timers, backoff, random } = this.#options;
    if (this.#failures === 0) return;
    await pause(timers, backoffMs(this.#failures, backoff, random), this.#stopping.signal);
  }

  #replace(listed: Listed<T>): void {
    const before = this.#cache;
    this.#cache = new Map(listed.items.map((item) => [keyOf(item), item]));
    this.#synced = true;
    for (const [key, item] of this.#cache) {
      if (before.get(key)?.metadata.resourceVersion !== item.metadata.resourceVersion) this.#notify(key);
    }
    for (const key of before.keys()) if (!this.#cache.has(key)) this.#notify(key);
  }

  #apply(event: WatchEvent<T>): void {
    if (event.type === 'Bookmark') return;
    const key = keyOf(event.object);
    if (event.type === 'Deleted') this.#cache.delete(key);
    else this.#cache.set(key, event.object);
    this.#notify(key);
  }

  #notify(key: string): void {
    if (this.#stopped) return;
    try {
      this.#options.onChange(key);
    } catch (error) {
      this.#options.onError(error);
    }
  }
}
