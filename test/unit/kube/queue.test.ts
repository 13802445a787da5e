import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { describe, it } from 'node:test';
import { createQueue } from '../../../src/kube/queue.ts';
import type { Queue, QueueOptions } from '../../../src/kube/queue.ts';
import { VirtualTime } from '../../model/kube/virtual-time.ts';

interface World {
  readonly time: VirtualTime;
  readonly queue: Queue;
  /** Keys in the order in which their passes began. */
  readonly begun: string[];
  readonly errors: { key: string; retryInMs: number }[];
  /** Ends the pass in flight of a key. */
  readonly finish: (key: string, error?: Error) => Promise<void>;
}

function world(options: Partial<QueueOptions> = {}): World {
  const time = new VirtualTime();
  const begun: string[] = [];
  const errors: { key: string; retryInMs: number }[] = [];
  const flights = new Map<string, (error?: Error) => void>();
  const queue = createQueue({
    process: (key) =>
      new Promise((resolve, reject) => {
        begun.push(key);
        flights.set(key, (error) => (error === undefined ? resolve() : reject(error)));
      }),
    onError: (key, _error, retryInMs) => errors.push({ key, retryInMs }),
    concurrency: 2,
    backoff: { baseMs: 100, maxMs: 1_000 },
    clock: time.clock,
    timers: time.timers,
    random: () => 1,
    ...options,
  });
  async function finish(key: string, error?: Error): Promise<void> {
    flights.get(key)?.(error);
    await turn();
  }
  return { time, queue, begun, errors, finish };
}

describe('queue', () => {
  it('keeps a key once while it waits', async () => {
    const { queue, begun, finish } = world({ concurrency: 1 });
    for (const key of ['a', 'b', 'b', 'c', 'b']) queue.add(key);
    assert.equal(queue.depth, 2);
    for (const key of ['a', 'b', 'c']) await finish(key);
    assert.deepEqual(begun, ['a', 'b', 'c']);
  });

  it('runs a key once more when it was added while in flight, however often', async () => {
    const { queue, begun, finish } = world();
    queue.add('a');
    for (let i = 0; i < 5; i += 1) queue.add('a');
    assert.deepEqual(begun, ['a']);
    await finish('a');
    await finish('a');
    await finish('a');
    assert.deepEqual(begun, ['a', 'a']);
  });

  it('runs no more keys at once than it may', async () => {
    const { queue, begun, finish } = world({ concurrency: 2 });
    for (const key of ['a', 'b', 'c', 'd']) queue.add(key);
    assert.deepEqual(begun, ['a', 'b']);
    await finish('b');
    assert.deepEqual(begun, ['a', 'b', 'c']);
  });

  it('keeps the earliest wake-up of a key', async () => {
    const { time, queue, begun, finish } = world();
    queue.addAfter('a', 500);
    queue.addAfter('a', 100);
    queue.addAfter('a', 900);
    await time.runUntil(99);
    assert.deepEqual(begun, []);
    await time.runUntil(100);
    assert.deepEqual(begun, ['a']);
    await finish('a');
    await time.runUntil(2_000);
    assert.deepEqual(begun, ['a']);
  });

  it('a wake-up while in flight runs the key again', async () => {
    const { time, queue, begun, finish } = world();
    queue.add('a');
    queue.addAfter('a', 100);
    await time.runUntil(200);
    assert.deepEqual(begun, ['a']);
    await finish('a');
    assert.deepEqual(begun, ['a', 'a']);
  });

  it('backs off per key, doubling up to the cap, and begins anew after a success', async () => {
    const { time, queue, errors, finish } = world();
    queue.add('a');
    for (let i = 0; i < 6; i += 1) {
      await finish('a', new Error('no'));
      await time.runUntil(time.nowMs + 1_000);
    }
    await finish('a');
    queue.add('a');
    await finish('a', new Error('no'));
    assert.deepEqual(
      errors.map((error) => error.retryInMs),
      [100, 200, 400, 800, 1_000, 1_000, 100],
    );
  });

  it('jitter takes at most half of the delay', async () => {
    const { queue, errors, finish } = world({ random: () => 0 });
    queue.add('a');
    await finish('a', new Error('no'));
    assert.deepEqual(errors, [{ key: 'a', retryInMs: 50 }]);
  });

  it('one failing key does not delay another', async () => {
    const { queue, begun, finish } = world({ concurrency: 1 });
    queue.add('a');
    queue.add('b');
    await finish('a', new Error('no'));
    assert.deepEqual(begun, ['a', 'b']);
  });

  it('an add does not wait for the backoff', async () => {
    const { queue, begun, finish } = world();
    queue.add('a');
    await finish('a', new Error('no'));
    queue.add('a');
    assert.deepEqual(begun, ['a', 'a']);
  });

  it('forget drops what waits, what is delayed, the re-run and the backoff', async () => {
    const { time, queue, begun, errors, finish } = world({ concurrency: 1 });
    queue.add('a');
    await finish('a', new Error('no'));
    queue.add('b');
    queue.add('a');
    queue.add('b');
    queue.forget('a');
    queue.forget('b');
    await finish('b');
    await time.runUntil(5_000);
    assert.deepEqual(begun, ['a', 'b']);
    queue.add('a');
    await finish('a', new Error('no'));
    assert.deepEqual(
      errors.map((error) => error.retryInMs),
      [100, 100],
    );
  });

  it('stop starts nothing more, tells the passes in flight, and waits for them', async () => {
    let told = false;
    const { time, queue, begun, finish } = world({ concurrency: 1 });
    queue.add('a');
    queue.add('b');
    queue.addAfter('c', 10);
    const stopped = queue.stop(1_000).then((left) => {
      told = true;
      return left;
    });
    await time.runUntil(500);
    assert.equal(told, false);
    await finish('a');
    assert.deepEqual(await stopped, []);
    queue.add('d');
    queue.addAfter('e', 1);
    await time.runUntil(5_000);
    assert.deepEqual(begun, ['a']);
  });

  it('stop gives up at its deadline and names the keys still in flight', async () => {
    const signals: AbortSignal[] = [];
    const stuck = (_key: string, signal: AbortSignal): Promise<void> => new Promise(() => signals.push(signal));
    const { time, queue } = world({ process: stuck });
    queue.add('a');
    const stopped = queue.stop(1_000);
    await time.runUntil(1_000);
    assert.deepEqual(await stopped, ['a']);
    assert.equal(signals[0]?.aborted, true);
  });

  it('a process function that throws at once is a failure like any other', async () => {
    const { queue, errors } = world({
      process: () => {
        throw new Error('at once');
      },
    });
    queue.add('a');
    await turn();
    assert.equal(errors.length, 1);
  });
});
