import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import type { Fact } from '../domain/fact.ts';
import { known, NOT_ASKED_YET } from '../domain/fact.ts';
import type { VipLook, VipObservation } from '../domain/observation.ts';
import type { SqlConnect, SqlTarget } from '../sql/port.ts';
import { sameIdentity } from './incarnation.ts';
import type { SessionLimits } from './look.ts';
import { lookAtVip, noLimits } from './look.ts';
import { asUnknown } from './probe.ts';

export interface VipProbeOptions {
  readonly target: () => SqlTarget;
  readonly connect: SqlConnect;
  readonly clock: Clock;
  /** Nonce lock per member name. */
  readonly locks: () => Readonly<Record<string, string>>;
  /** Whether the VIP session is the only witness of some member, so that it has to look fully. */
  readonly full: () => boolean;
  /** Between two hedged attempts while the VIP is silent. */
  readonly raceIntervalMs?: number;
}

/** Asks who answers at the VIP, each time on a new connection: a kept one still ends where it began after a flap. */
export interface VipProbe {
  /** Never throws. One at a time: a call during another one waits for it. */
  probe(options: { readonly deadlineMs: number }): Promise<VipObservation>;
  observation(): VipObservation;
  close(): void;
}

const RACE_INTERVAL_MS = 25;
const MAX_IN_FLIGHT = 8;

export function createVipProbe(options: VipProbeOptions): VipProbe {
  const { clock } = options;
  const closing = new AbortController();
  /** Per version text: what servers of that version do not have. */
  const limits = new Map<string, SessionLimits>();
  let state: VipObservation = { look: NOT_ASKED_YET, failures: 0, silentSince: null, answersSince: null };
  let turn: Promise<unknown> = Promise.resolve();

  return { probe, observation: () => state, close: () => closing.abort() };

  function probe(ask: { readonly deadlineMs: number }): Promise<VipObservation> {
    const mine = turn.then(async () => {
      const look = state.failures > 0 ? await race(ask.deadlineMs) : await attempt(ask.deadlineMs, closing.signal);
      state = nextVipState(state, look);
      return state;
    });
    turn = mine;
    return mine;
  }

  async function attempt(deadlineMs: number, signal: AbortSignal): Promise<Fact<VipLook>> {
    const at = clock.monotonicMs();
    try {
      const session = await options.connect(options.target(), { deadlineMs, signal });
      try {
        const left = Math.max(1, deadlineMs - (clock.monotonicMs() - at));
        const learnt = limits.get(session.serverVersion) ?? noLimits();
        limits.set(session.serverVersion, learnt);
        const ask = { clock, deadlineMs: left, signal, locks: options.locks(), full: options.full() };
        return known(await lookAtVip(session, ask, learnt), at);
      } finally {
        session.destroy();
      }
    } catch (error) {
      return asUnknown(error, at);
    }
  }

  /** Hedged attempts: the first answer wins and the others end; each is bounded, and so is their number. */
  async function race(deadlineMs: number): Promise<Fact<VipLook>> {
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, closing.signal]);
    const end = clock.monotonicMs() + deadlineMs;
    const inFlight = new Set<Promise<void>>();
    let answer: Fact<VipLook> | null = null;
    let last: Fact<VipLook> = state.look;
    while (!signal.aborted && clock.monotonicMs() < end) {
      if (inFlight.size < MAX_IN_FLIGHT) {
        const one = attempt(Math.max(1, end - clock.monotonicMs()), signal).then((look) => {
          if (look.known) answer ??= look;
          else if (!signal.aborted) last = look;
          if (look.known) over.abort();
          inFlight.delete(one);
        });
        inFlight.add(one);
      }
      await sleep(options.raceIntervalMs ?? RACE_INTERVAL_MS, signal);
    }
    await Promise.all(inFlight);
    return answer ?? last;
  }
}

function nextVipState(before: VipObservation, look: Fact<VipLook>): VipObservation {
  if (!look.known) {
    return { look, failures: before.failures + 1, silentSince: before.silentSince ?? look.at, answersSince: null };
  }
  const same =
    before.look.known && before.answersSince !== null && sameIdentity(before.look.value.identity, look.value.identity);
  return { look, failures: 0, silentSince: null, answersSince: same ? before.answersSince : look.at };
}
