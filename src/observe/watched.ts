import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../clock.ts';
import { NOT_ASKED_YET } from '../domain/fact.ts';
import type { MemberObservation, ReplicaObservation } from '../domain/observation.ts';
import type { SqlConnect, SqlTarget } from '../sql/port.ts';
import { markOfServer } from './fingerprint.ts';
import { FILES_EVERY_MS } from './look.ts';
import { startLoop } from './loop.ts';
import type { ServerProbe } from './probe.ts';
import { createServerProbe } from './probe.ts';

/** Calm: `probeIntervalMs`. Fast: as fast as looks come, while a handover is under way. */
export const PACES = ['calm', 'fast'] as const;
export type Pace = (typeof PACES)[number];

export interface Timing {
  readonly probeIntervalMs: number;
  readonly probeTimeoutMs: number;
}

export interface WatchedOptions {
  readonly target: SqlTarget;
  readonly connect: SqlConnect;
  readonly clock: Clock;
  readonly newNumber: () => number;
  readonly timing: () => Timing;
  readonly pace: () => Pace;
  /** In a handover: whether its next look may be the one that lets it go on. */
  readonly urgent: () => boolean;
  readonly onChange: () => void;
  /** Asked before each look that does not wait for the probe interval (src/observe/budget.ts). */
  readonly mayHurry: () => boolean;
  /** Members only: the name of their nonce lock. */
  readonly lock?: () => string;
  readonly onLost?: () => void;
}

/** One server that is looked at again and again. */
export interface Watched {
  readonly probe: ServerProbe;
  wake(): void;
  lookNow(options: { readonly deadlineMs: number; readonly files: boolean }): Promise<void>;
  /** The same server under another address or account. */
  retarget(target: SqlTarget): void;
  stop(): void;
}

/** In a handover each look may be the one that lets it go on: the new holder is writable, the position has arrived. */
const FAST_PAUSE_MS = 10;
/** The others: a server that is busy with its promotion is in no need of ours being busy with them. */
const PATIENT_PAUSE_MS = 40;
/** Dialling one that is dead costs as much as a look, and says nothing new. */
const DEAD_PAUSE_MS = 100;
/** Looks drift apart, so that a thousand resources do not ask at the same moment. */
export const JITTER = 0.1;

export function startWatched(options: WatchedOptions): Watched {
  const { clock, connect, lock } = options;
  let { target } = options;
  let filesAt = Number.NEGATIVE_INFINITY;
  let lostAt = Number.NEGATIVE_INFINITY;
  let mark: string = NOT_ASKED_YET.code;
  let stopped = false;

  const probe = createServerProbe({
    target: () => target,
    connect,
    clock,
    newNumber: options.newNumber,
    onLost,
    ...(lock === undefined ? {} : { lockName: lock }),
  });
  const loop = startLoop({ look, pauseMs });
  return { probe, wake: () => loop.wake(), lookNow, retarget, stop };

  async function look(): Promise<void> {
    const files = clock.monotonicMs() - filesAt >= FILES_EVERY_MS;
    const fact = await probe.probe({ deadlineMs: options.timing().probeTimeoutMs, files });
    if (stopped) return;
    if (files && fact.known) filesAt = fact.at;
    const identity = [probe.lockHeldBy(), probe.incarnation()?.number ?? 0];
    const next = `${identity.join(' ')} ${markOfServer(fact, options.pace() === 'fast')}`;
    if (next === mark) return;
    mark = next;
    options.onChange();
  }

  function pauseMs(): number {
    const intervalMs = options.timing().probeIntervalMs * (1 - JITTER * Math.random());
    if (options.pace() === 'calm') return intervalMs;
    const fastMs = !probe.fact().known ? DEAD_PAUSE_MS : options.urgent() ? FAST_PAUSE_MS : PATIENT_PAUSE_MS;
    return fastMs < intervalMs && options.mayHurry() ? fastMs : intervalMs;
  }

  /** Looks at once, but not again and again at a server that hangs up after each look. */
  function onLost(): void {
    const now = clock.monotonicMs();
    if (now - lostAt < options.timing().probeIntervalMs) return;
    lostAt = now;
    loop.wake();
    options.onLost?.();
  }

  function lookNow({ deadlineMs, files }: { readonly deadlineMs: number; readonly files: boolean }): Promise<void> {
    if (files) filesAt = Number.NEGATIVE_INFINITY;
    return loop.lookNow(deadlineMs);
  }

  function retarget(next: SqlTarget): void {
    if (isDeepStrictEqual(target, next)) return;
    target = next;
    probe.reset();
    loop.wake();
  }

  function stop(): void {
    stopped = true;
    loop.stop();
    probe.close();
  }
}

export function observeMember(
  watched: Watched | undefined,
): Pick<MemberObservation, 'look' | 'lockHeldBy' | 'incarnation' | 'incarnationSince'> {
  const incarnation = watched?.probe.incarnation() ?? null;
  return {
    look: watched?.probe.fact() ?? NOT_ASKED_YET,
    lockHeldBy: watched?.probe.lockHeldBy() ?? null,
    incarnation: incarnation?.number ?? 0,
    incarnationSince: incarnation?.since ?? Number.NEGATIVE_INFINITY,
  };
}

export function observeReplica(watched: Watched | undefined): Pick<ReplicaObservation, 'look' | 'incarnation'> {
  return { look: watched?.probe.fact() ?? NOT_ASKED_YET, incarnation: watched?.probe.incarnation()?.number ?? 0 };
}
