import type { Clock } from '../../clock.ts';

/** Answers by key: each asked once for all who need it, at most one question under way. */
export interface Cache<A> {
  /** `fresh` asks whatever the age of the answer that is known. */
  get(key: string, options?: { readonly fresh?: boolean }): Promise<A>;
  /** What is known now, however old; undefined: never answered. */
  peek(key: string): A | undefined;
}

export interface CacheOptions<A> {
  readonly clock: Clock;
  readonly maxAgeMs: number;
  /** Never rejects; `before` is what was answered last. */
  readonly ask: (key: string, before: A | undefined) => Promise<A>;
}

interface Entry<A> {
  answer: A | undefined;
  /** Monotonic ms at which the last question began. */
  askedAt: number;
  asking: Promise<A> | null;
}

/** What nobody has asked for in so many lifetimes belongs to nobody any more. */
const FORGET_AFTER = 20;

export function createCache<A>({ clock, maxAgeMs, ask }: CacheOptions<A>): Cache<A> {
  const entries = new Map<string, Entry<A>>();
  return { get, peek: (key) => entries.get(key)?.answer };

  function get(key: string, { fresh = false } = {}): Promise<A> {
    const entry = entries.get(key) ?? begin(key);
    if (entry.asking !== null) return entry.asking;
    const young = clock.monotonicMs() - entry.askedAt < maxAgeMs;
    if (young && !fresh && entry.answer !== undefined) return Promise.resolve(entry.answer);
    entry.askedAt = clock.monotonicMs();
    entry.asking = refresh(key, entry).finally(() => (entry.asking = null));
    return entry.asking;
  }

  async function refresh(key: string, entry: Entry<A>): Promise<A> {
    entry.answer = await ask(key, entry.answer);
    return entry.answer;
  }

  function begin(key: string): Entry<A> {
    const now = clock.monotonicMs();
    for (const [other, { askedAt, asking }] of entries) {
      if (asking === null && now - askedAt > FORGET_AFTER * maxAgeMs) entries.delete(other);
    }
    const entry: Entry<A> = { answer: undefined, askedAt: Number.NEGATIVE_INFINITY, asking: null };
    entries.set(key, entry);
    return entry;
  }
}
