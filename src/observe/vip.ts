import { setImmediate as ioTurn } from 'node:timers/promises';
import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import type { Fact } from '../domain/fact.ts';
import { known, NOT_ASKED_YET } from '../domain/fact.ts';
import type { VipLook, VipObservation } from '../domain/observation.ts';
import type { ConnectOptions, SqlConnect, SqlSession, SqlTarget } from '../sql/port.ts';
import { asUnknown } from './failure.ts';
import { sameIdentity } from './incarnation.ts';
import type { SessionFacts } from './asker.ts';
import { newSessionFacts } from './asker.ts';
import type { Timing } from './watched.ts';
import type { VipLookOptions } from './look.ts';
import { FILES_EVERY_MS, lookAtVip } from './look.ts';

export interface VipProbeOptions {
  readonly target: () => SqlTarget;
  readonly connect: SqlConnect;
  readonly clock: Clock;
  readonly timing: () => Timing;
  /** Nonce lock per member name. */
  readonly locks: () => Readonly<Record<string, string>>;
  /** Members that cannot be asked directly: then the VIP session may be the only witness, and looks fully. */
  readonly unasked: () => readonly string[];
  /** A handover is under way. */
  readonly hurry: () => boolean;
  /** Asked before each hedge (src/observe/budget.ts). */
  readonly mayHedge: () => boolean;
  /** After each counted answer or failure. */
  readonly onLook: () => void;
}

/** Asks who answers at the VIP, each time on a new connection: a kept one still ends where it began after a flap. */
export interface VipProbe {
  observation(): VipObservation;
  /** Resolves when a look that began after this call has answered or failed, or at the deadline. */
  lookNow(deadlineMs: number): Promise<void>;
  stop(): void;
}

/** One connection that asks. A hedge only shortens silence: its failure says nothing that the probes do not say. */
interface Attempt {
  readonly at: number;
  readonly hedge: boolean;
  readonly over: AbortController;
  /** The server's host has taken the connection: another one would only wait behind it. */
  reached: boolean;
}

/** Adds to the port a word when the TCP connection stands, long before the server's greeting. */
interface HedgedConnect extends ConnectOptions {
  readonly onReached: () => void;
}

const HEDGE_EVERY_MS = 25;
/** A probe that takes longer than this is joined by hedges, unless the last answers took long too. */
const HEDGE_AFTER_MS = 100;
/** A hedge that has not reached anybody by then asked an address that was not there. */
const HEDGE_LIFE_MS = 100;
/** Half handshakes become aborted connections of a hung server when it wakes: never more than this many at a time. */
const MAX_PROBES = 4;
const MAX_HEDGES = 4;
/** How long a promotion may take, and how often it is asked for meanwhile. */
const PROMOTION_MS = 10_000;
const PROMOTING_EVERY_MS = 25;
/** Probes drift apart, so that a thousand resources do not ask at the same moment. */
const JITTER = 0.1;
/** Nobody reads it; without a reason each abort makes an error with a stack. */
const WAKE = 'wake';
/** What makes hedging worth it. A refused login is an answer: asking faster only fills the server's log. */
const SILENCE: readonly string[] = ['Deadline', 'ConnectionLost', 'ConnectionRefused'];

export function startVipProbe(options: VipProbeOptions): VipProbe {
  const { clock } = options;
  const stopping = new AbortController();
  const attempts = new Set<Attempt>();
  const waiters = new Set<{ readonly after: number; readonly resolve: () => void }>();
  /** Per version text: the variables that servers of that version do not have. */
  const unreadable = new Map<string, SessionFacts['unreadable']>();
  let wake = new AbortController();
  let dueAt = Number.NEGATIVE_INFINITY;
  let begunAt = Number.NEGATIVE_INFINITY;
  let answerMs = 0;
  let filesAt = Number.NEGATIVE_INFINITY;
  let state: VipObservation = { look: NOT_ASKED_YET, failures: 0, silentSince: null, answersSince: null };

  void run();
  return { observation: () => state, lookNow, stop };

  /** A probe at each interval, whether or not the one before has ended, and hedges in between while nobody answers. */
  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const now = clock.monotonicMs();
      if (now >= dueAt) {
        dueAt = now + intervalMs(now) * (1 - JITTER * Math.random());
        if (count(false) < MAX_PROBES) begin(false);
      } else if (now >= hedgeAt()) await hedge();
      wake = new AbortController();
      await sleep(Math.max(0, Math.min(dueAt, hedgeAt()) - clock.monotonicMs()), wake.signal);
    }
    for (const { resolve } of waiters) resolve();
  }

  /** The VIP answers before its new holder is writable: where only it is asked, that moment is not to be missed. */
  function intervalMs(now: number): number {
    const { probeIntervalMs } = options.timing();
    const { look, answersSince } = state;
    const promoting = look.known && look.value.look !== null && look.value.readOnly && answersSince !== null;
    const soon = promoting && options.hurry() && now - answersSince < PROMOTION_MS;
    return soon ? Math.min(PROMOTING_EVERY_MS, probeIntervalMs) : probeIntervalMs;
  }

  async function hedge(): Promise<void> {
    // Where this process was busy, answers may lie unread: that is no silence.
    await ioTurn();
    if (clock.monotonicMs() < hedgeAt()) return;
    if (options.mayHedge()) begin(true);
    else begunAt = clock.monotonicMs();
  }

  /** Monotonic ms from which a hedge is worth it. */
  function hedgeAt(): number {
    if (count(true) >= MAX_HEDGES) return Number.POSITIVE_INFINITY;
    const reached = [...attempts].some((one) => one.reached);
    if (!state.look.known && SILENCE.includes(state.look.code)) {
      return begunAt + (reached ? options.timing().probeTimeoutMs / (MAX_PROBES + MAX_HEDGES) : HEDGE_EVERY_MS);
    }
    if (reached) return Number.POSITIVE_INFINITY;
    const patience = Math.max(HEDGE_AFTER_MS, 4 * answerMs);
    const probes = [...attempts].filter((one) => !one.hedge);
    return Math.max(begunAt + HEDGE_EVERY_MS, Math.min(...probes.map(({ at }) => at + patience)));
  }

  function count(hedge: boolean): number {
    return [...attempts].filter((one) => one.hedge === hedge).length;
  }

  function begin(hedge: boolean): void {
    begunAt = clock.monotonicMs();
    void attempt({ at: begunAt, hedge, over: new AbortController(), reached: false });
  }

  async function attempt(one: Attempt): Promise<void> {
    attempts.add(one);
    const look = await ask(one);
    attempts.delete(one);
    if (stopping.signal.aborted) return;
    if (look.known) answered(one, look);
    else if (!one.hedge && !one.over.signal.aborted) failed(look);
    wake.abort(WAKE);
  }

  async function ask(one: Attempt): Promise<Fact<VipLook>> {
    const { probeTimeoutMs } = options.timing();
    const signal = AbortSignal.any([one.over.signal, stopping.signal]);
    const unreached = one.hedge ? setTimeout(() => one.over.abort(WAKE), HEDGE_LIFE_MS) : undefined;
    const dial: HedgedConnect = { deadlineMs: probeTimeoutMs, signal, onReached };
    try {
      const session = await options.connect(options.target(), dial);
      onReached();
      try {
        const deadlineMs = Math.max(1, one.at + probeTimeoutMs - clock.monotonicMs());
        const wanted = { locks: options.locks(), full: fullLook() };
        return known(await lookAtVip(session, { clock, deadlineMs, signal, ...wanted }, factsOf(session)), one.at);
      } finally {
        session.destroy();
      }
    } catch (error) {
      return asUnknown(error, one.at);
    } finally {
      clearTimeout(unreached);
    }

    function onReached(): void {
      clearTimeout(unreached);
      one.reached = true;
    }
  }

  function factsOf({ serverVersion }: SqlSession): SessionFacts {
    const learnt = unreadable.get(serverVersion) ?? new Set();
    unreadable.set(serverVersion, learnt);
    return { ...newSessionFacts(), unreadable: learnt };
  }

  function fullLook(): VipLookOptions['full'] {
    const unasked = options.unasked();
    if (unasked.length === 0) return null;
    const now = clock.monotonicMs();
    const files = now - filesAt >= FILES_EVERY_MS;
    if (files) filesAt = now;
    return { files, previous: state.look.known ? state.look.value.look : null, unasked };
  }

  /** The first answer wins. Only probes that began later go on: somebody may wait for a look as new as theirs. */
  function answered(one: Attempt, look: Fact<VipLook>): void {
    if (state.look.known && state.look.at > one.at) return;
    for (const other of attempts) if (other.hedge || other.at <= one.at) other.over.abort(WAKE);
    answerMs = clock.monotonicMs() - one.at;
    settle(look);
  }

  function failed(look: Fact<VipLook>): void {
    if (state.look.known && state.look.at >= look.at) release(look.at);
    else settle(look);
  }

  function settle(look: Fact<VipLook>): void {
    state = nextState(state, look);
    const now = clock.monotonicMs();
    dueAt = Math.min(dueAt, now + intervalMs(now));
    release(look.at);
    options.onLook();
  }

  function release(at: number): void {
    for (const waiter of waiters) if (waiter.after <= at) waiter.resolve();
  }

  async function lookNow(deadlineMs: number): Promise<void> {
    if (stopping.signal.aborted) return;
    const answer = new AbortController();
    const waiter = { after: clock.monotonicMs(), resolve: () => answer.abort(WAKE) };
    waiters.add(waiter);
    dueAt = Number.NEGATIVE_INFINITY;
    wake.abort(WAKE);
    await sleep(deadlineMs, answer.signal);
    waiters.delete(waiter);
  }

  function stop(): void {
    stopping.abort(WAKE);
    wake.abort(WAKE);
  }
}

function nextState(before: VipObservation, look: Fact<VipLook>): VipObservation {
  if (!look.known) {
    const failures = before.failures + 1;
    return { look, failures, silentSince: before.silentSince ?? look.at, answersSince: null };
  }
  const same = before.look.known && sameIdentity(before.look.value.identity, look.value.identity);
  return { look, failures: 0, silentSince: null, answersSince: same ? before.answersSince : look.at };
}
