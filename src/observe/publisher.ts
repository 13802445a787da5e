import { isDeepStrictEqual } from 'node:util';
import type { Coordinates } from '../api/publisher.ts';
import type { Clock } from '../clock.ts';
import type { Fact } from '../domain/fact.ts';
import { known, NOT_ASKED_YET } from '../domain/fact.ts';
import type { PublisherLook } from '../domain/published.ts';
import { databaseSeenAt } from '../domain/published.ts';
import { fetchCoordinates, followEvents, openConnections } from '../publisher/client.ts';
import type { PublisherTarget } from '../publisher/client.ts';
import { createBudget } from './budget.ts';
import { asUnknown } from './failure.ts';
import { startLoop } from './loop.ts';
import { markOfPublished, publishedLook } from './published.ts';
import type { Pace, Timing } from './watched.ts';
import { JITTER } from './watched.ts';

/** How publishers are asked. */
export interface PublisherPort {
  readonly fetchCoordinates: typeof fetchCoordinates;
  readonly followEvents: typeof followEvents;
}

/** Over HTTP, on connections that are used again. */
export function publishersOverHttp(): PublisherPort & { close(): void } {
  const connections = openConnections();
  return {
    fetchCoordinates: (target, how) => fetchCoordinates(target, { ...how, connections }),
    followEvents,
    close: () => connections.close(),
  };
}

export interface PublisherWatchOptions {
  readonly target: PublisherTarget;
  readonly port: PublisherPort;
  readonly clock: Clock;
  readonly timing: () => Timing;
  readonly pace: () => Pace;
  /** Monotonic ms since when the VIP answers as it does now: what is older says nothing of that. Null: it is silent. */
  readonly answersSince: () => number | null;
  /** Something that matters is known, or is not any more. It must only enqueue. */
  readonly onChange: () => void;
  /** It speaks of another VIP, role or server than before: whom that concerns is to be looked at now. */
  readonly onNews: () => void;
  /** Asked before each look that does not wait for the probe interval (src/observe/budget.ts). */
  readonly mayHurry: () => boolean;
}

/** One publisher that is asked again and again, and listened to. */
export interface WatchedPublisher {
  fact(): Fact<PublisherLook>;
  wake(): void;
  retarget(target: PublisherTarget): void;
  stop(): void;
}

/** In a handover, until it has looked at its own database since the VIP answers. */
const FAST_PAUSE_MS = 100;
/**
 * A promotion is several events within milliseconds. Each makes the database be looked at at once; the publisher is asked
 * for its word so often at most, for its host is busy with that promotion.
 */
const EVENT_PAUSE_MS = 40;
/** A publisher that says something else with every word must not make anybody look more often than this. */
const NEWS_PER_SECOND = 16;
/** Of a publisher that answers: one lost answer is no silence yet. */
const SILENT = 2;

export function watchPublisher(options: PublisherWatchOptions): WatchedPublisher {
  const { clock, port } = options;
  const mayTell = createBudget(clock, NEWS_PER_SECOND);
  let { target } = options;
  let following = new AbortController();
  let fact: Fact<PublisherLook> = NOT_ASKED_YET;
  let before: PublisherLook | null = null;
  let misses = 0;
  let said: string | null = null;
  let mark: string = NOT_ASKED_YET.code;
  let askedAt = Number.NEGATIVE_INFINITY;
  let soon: NodeJS.Timeout | undefined;
  follow();
  const loop = startLoop({ look, pauseMs });
  return { fact: () => fact, wake: () => loop.wake(), retarget, stop };

  async function look(): Promise<void> {
    const { signal } = following;
    askedAt = clock.monotonicMs();
    const next = await ask(signal);
    // The answer of an address that is no longer asked, or of nobody.
    if (!signal.aborted) settle(next);
  }

  async function ask(signal: AbortSignal): Promise<Fact<PublisherLook>> {
    const at = clock.monotonicMs();
    try {
      const deadlineMs = options.timing().probeTimeoutMs;
      const seen = await port.fetchCoordinates(target, { deadlineMs, signal });
      const value = publishedLook(seen, target.name);
      const vipHeldSince = before?.vipHeld === value.vipHeld ? before.vipHeldSince : at;
      if (!signal.aborted) hear(seen);
      return known({ ...value, vipHeldSince }, at);
    } catch (error) {
      return asUnknown(error, at);
    }
  }

  function settle(next: Fact<PublisherLook>): void {
    misses = next.known ? 0 : misses + 1;
    if (!next.known && fact.known && misses < SILENT) return;
    fact = next;
    if (next.known) before = next.value;
    const now = markNow();
    if (now === mark) return;
    mark = now;
    options.onChange();
  }

  function markNow(): string {
    if (!fact.known) return fact.code;
    const since = options.answersSince();
    const isCurrent = since !== null && databaseSeenAt(fact) >= since;
    return JSON.stringify([said, isCurrent, fact.value.takeover?.end ?? null]);
  }

  /** True: it said something else before, and nobody was sent to look too often because of it. */
  function hear(seen: Coordinates): boolean {
    const now = markOfPublished(seen);
    const isNews = said !== null && said !== now;
    said = now;
    if (!isNews || !mayTell() || !options.mayHurry()) return false;
    options.onNews();
    return true;
  }

  function follow(): void {
    following = new AbortController();
    const { signal } = following;
    let connected = false;
    port.followEvents(target, {
      clock,
      signal,
      // How long an event was under way nobody can tell, so it is no evidence: it only makes everybody look.
      onEvent: (seen) => {
        if (!signal.aborted && hear(seen)) askSoon();
      },
      onState: (now) => {
        if (connected && !now && !signal.aborted && mayTell()) loop.wake();
        connected = now;
      },
    });
  }

  function askSoon(): void {
    soon ??= setTimeout(
      () => {
        soon = undefined;
        loop.wake();
      },
      Math.max(0, askedAt + EVENT_PAUSE_MS - clock.monotonicMs()),
    );
  }

  function pauseMs(): number {
    const intervalMs = options.timing().probeIntervalMs * (1 - JITTER * Math.random());
    if (options.pace() === 'calm' || !fact.known || FAST_PAUSE_MS >= intervalMs) return intervalMs;
    return options.mayHurry() ? FAST_PAUSE_MS : intervalMs;
  }

  function retarget(next: PublisherTarget): void {
    if (isDeepStrictEqual(target, next)) return;
    if (next.url !== target.url) forget();
    target = next;
    following.abort();
    follow();
    loop.wake();
  }

  /** Another address may be another publisher. */
  function forget(): void {
    fact = NOT_ASKED_YET;
    mark = NOT_ASKED_YET.code;
    before = null;
    said = null;
    misses = 0;
  }

  function stop(): void {
    clearTimeout(soon);
    following.abort();
    loop.stop();
  }
}
