import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createElector } from '../../../src/kube/leader.ts';
import type { Leadership } from '../../../src/kube/leader.ts';
import { LeaseServer, SMOOTH } from './lease-server.ts';
import type { CallFate } from './lease-server.ts';
import { VirtualProcess, VirtualTime } from './virtual-time.ts';

const LEASE_MS = 1_000;
const LONGEST_FREEZE_MS = 3_000;
const ACTORS = 3;

type Fault =
  | { readonly what: 'freeze'; readonly who: number; readonly ms: number }
  | { readonly what: 'restart'; readonly who: number }
  | { readonly what: 'release'; readonly who: number }
  | { readonly what: 'outage'; readonly ms: number }
  | { readonly what: 'calm'; readonly ms: number };

const who = fc.nat(ACTORS - 1);
const fault: fc.Arbitrary<Fault> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant('freeze' as const),
      who,
      ms: fc.integer({ min: 1, max: LONGEST_FREEZE_MS }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('restart' as const), who }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('release' as const), who }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('outage' as const), ms: fc.nat(2_000) }) },
  { weight: 4, arbitrary: fc.record({ what: fc.constant('calm' as const), ms: fc.nat(1_500) }) },
);
/** Mostly a network that works; sometimes slow, one-way, or refusing. */
const fate: fc.Arbitrary<CallFate> = fc.oneof(
  { weight: 6, arbitrary: fc.constant(SMOOTH) },
  {
    weight: 3,
    arbitrary: fc.record({
      requestMs: fc.nat(1_300),
      answerMs: fc.nat(1_300),
      lose: fc.constantFrom('nothing' as const, 'nothing' as const, 'request' as const, 'answer' as const),
      refuse: fc.boolean(),
    }),
  },
);
/** Clocks that run up to 1 % fast or slow, twenty times what NTP does. */
const rate = fc.double({ min: 0.99, max: 1.01, noNaN: true });

/** One pod's process after the other: a restart kills the process, and its successor campaigns anew. */
class Actor {
  readonly #time: VirtualTime;
  readonly #server: LeaseServer;
  readonly #rate: number;
  readonly #random: () => number;
  #process: VirtualProcess;
  #term: Leadership | undefined;

  constructor(world: { time: VirtualTime; server: LeaseServer; random: () => number }, rate: number) {
    this.#time = world.time;
    this.#server = world.server;
    this.#random = world.random;
    this.#rate = rate;
    this.#process = this.#start();
  }

  get leads(): boolean {
    return this.#term?.isLeader() === true;
  }

  freeze(ms: number): void {
    this.#process.freeze(ms);
  }

  restart(): void {
    this.#process.kill();
    this.#term = undefined;
    this.#process = this.#start();
  }

  release(): void {
    if (!this.#process.frozen) void this.#term?.release();
  }

  #start(): VirtualProcess {
    const process = new VirtualProcess(this.#time, this.#rate);
    const elector = createElector({
      leases: this.#server.clientOf(process),
      ref: { namespace: 'mxr', name: 'mxr' },
      identity: 'pod',
      leaseDurationMs: LEASE_MS,
      renewDeadlineMs: 700,
      // Dense, so that little of what the fence leaves is hidden by looking late.
      retryPeriodMs: 15,
      clock: process.clock,
      timers: process.timers,
      random: this.#random,
      onError: () => undefined,
    });
    const campaign = async (): Promise<void> => {
      for (;;) {
        const term = await elector.acquire(new AbortController().signal);
        if (term === undefined || this.#process !== process) return;
        this.#term = term;
        await new Promise((resolve) => term.signal.addEventListener('abort', resolve, { once: true }));
      }
    };
    // The first step is taken after `#process` is set.
    process.timers.after(0, () => void campaign());
    return process;
  }
}

describe('leader election, against random faults', () => {
  it('never has two leaders at once, and one again after the faults', async () => {
    const faults = fc.array(fault, { minLength: 3, maxLength: 15 });
    const fates = fc.array(fate, { minLength: 1, maxLength: 30 });
    const rates = fc.array(rate, { minLength: ACTORS, maxLength: ACTORS });
    const property = fc.asyncProperty(faults, fates, rates, fc.nat(), async (faults, fates, rates, seed) => {
      const time = new VirtualTime();
      const server = new LeaseServer(time);
      const random = lcg(seed);
      let nth = 0;
      let outageUntilMs = 0;
      server.fate = () => {
        nth += 1;
        return time.nowMs < outageUntilMs ? { ...SMOOTH, lose: 'request' } : (fates[nth % fates.length] ?? SMOOTH);
      };
      const actors = rates.map((rate) => new Actor({ time, server, random }, rate));
      function check(): void {
        const leaders = actors.map((actor, index) => (actor.leads ? index : undefined)).filter((i) => i !== undefined);
        assert.ok(leaders.length <= 1, `at ${time.nowMs} ms ${leaders.join(' and ')} lead`);
      }
      for (const fault of faults) {
        if (fault.what === 'freeze') actors[fault.who]?.freeze(fault.ms);
        else if (fault.what === 'restart') actors[fault.who]?.restart();
        else if (fault.what === 'release') actors[fault.who]?.release();
        else if (fault.what === 'outage') outageUntilMs = time.nowMs + fault.ms;
        await time.runUntil(time.nowMs + (fault.what === 'calm' ? fault.ms : 50), check);
      }
      server.fate = () => SMOOTH;
      // The longest freeze, then two lease durations.
      await time.runUntil(time.nowMs + LONGEST_FREEZE_MS + 2 * LEASE_MS, check);
      assert.equal(actors.filter((actor) => actor.leads).length, 1, 'nobody leads after the faults');
    });
    await fc.assert(property, { numRuns: 80 });
  });
});

/** A small generator of our own: the run must depend on the seed that fast-check prints, and on nothing else. */
function lcg(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
