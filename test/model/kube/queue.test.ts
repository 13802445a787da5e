import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { createQueue } from '../../../src/kube/queue.ts';
import { VirtualTime } from './virtual-time.ts';

type Action =
  | { readonly do: 'add'; readonly key: string }
  | { readonly do: 'addAfter'; readonly key: string; readonly ms: number }
  | { readonly do: 'wait'; readonly ms: number };

const KEYS = ['a', 'b', 'c', 'd'];
const CONCURRENCY = 2;
const key = fc.constantFrom(...KEYS);
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('add' as const), key }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('addAfter' as const), key, ms: fc.nat(500) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.nat(300) }) },
);
/** What each pass does: how long it takes, whether it fails, whether it adds its own key in the middle. */
const pass = fc.record({ ms: fc.nat(200), fails: fc.boolean(), addsItself: fc.nat(9).map((n) => n === 0) });

interface Observed {
  /** Keys that were asked for, now or for later, since their last pass began. */
  readonly owed: Set<string>;
  readonly inFlight: Set<string>;
  failuresLeft: number;
}

describe('queue, against random histories', () => {
  it('never has a key in flight twice, never too many, and loses no wake-up', async () => {
    const histories = fc.array(action, { maxLength: 40 });
    const passes = fc.array(pass, { minLength: 1, maxLength: 20 });
    await fc.assert(
      fc.asyncProperty(histories, passes, async (actions, script) => {
        const time = new VirtualTime();
        const seen: Observed = { owed: new Set(), inFlight: new Set(), failuresLeft: 30 };
        let nth = 0;
        const queue = createQueue({
          process: async (name) => {
            assert.ok(!seen.inFlight.has(name), `${name} is in flight twice`);
            seen.inFlight.add(name);
            assert.ok(seen.inFlight.size <= CONCURRENCY, 'too many in flight');
            seen.owed.delete(name);
            const what = script[nth % script.length] ?? { ms: 0, fails: false, addsItself: false };
            nth += 1;
            await new Promise<void>((resolve) => void time.timers.after(what.ms, resolve));
            if (what.addsItself && seen.failuresLeft > 0) add(name);
            seen.inFlight.delete(name);
            seen.failuresLeft -= 1;
            if (!what.fails || seen.failuresLeft <= 0) return;
            seen.owed.add(name);
            throw new Error('scripted');
          },
          onError: () => undefined,
          concurrency: CONCURRENCY,
          backoff: { baseMs: 10, maxMs: 100 },
          clock: time.clock,
          timers: time.timers,
          random: () => 0.5,
        });
        function add(name: string): void {
          // A pass that begins inside `add` itself pays the debt at once, so it is entered before.
          seen.owed.add(name);
          queue.add(name);
        }
        for (const step of actions) {
          if (step.do === 'add') add(step.key);
          else if (step.do === 'wait') await time.runUntil(time.nowMs + step.ms);
          else {
            seen.owed.add(step.key);
            queue.addAfter(step.key, step.ms);
          }
        }
        await time.runUntil(time.nowMs + 60_000);
        assert.deepEqual([...seen.owed], [], 'a wake-up was lost');
        assert.equal(queue.depth, 0);
        assert.deepEqual(await queue.stop(0), []);
      }),
      { numRuns: 150 },
    );
  });
});
