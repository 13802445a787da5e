import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { type Loop, startLoop } from '../../../src/observe/loop.ts';
import { until } from '../../support/wait.ts';

const NEVER_MS = 60_000;

interface Looks {
  begun: number;
  running: number;
  most: number;
  /** Ends the look that runs. */
  end(): void;
}

function start(context: TestContext, pauseMs: number): { readonly loop: Loop; readonly looks: Looks } {
  let ending = Promise.withResolvers<void>();
  const looks: Looks = { begun: 0, running: 0, most: 0, end: () => ending.resolve() };
  const loop = startLoop({ look, pauseMs: () => pauseMs });
  context.after(() => {
    loop.stop();
    looks.end();
  });
  return { loop, looks };

  async function look(): Promise<void> {
    looks.begun += 1;
    looks.running += 1;
    looks.most = Math.max(looks.most, looks.running);
    ending = Promise.withResolvers();
    await ending.promise;
    looks.running -= 1;
  }
}

describe('a loop of looks', () => {
  test('looks at once, and again after each pause, one at a time', async (context) => {
    const { looks } = start(context, 1);
    assert.equal(looks.begun, 1);
    await until(
      'ten looks',
      () => {
        looks.end();
        return looks.begun >= 10;
      },
      { intervalMs: 1 },
    );
    assert.equal(looks.most, 1);
  });

  test('a look asked for is one that begins after the call', async (context) => {
    const { loop, looks } = start(context, NEVER_MS);
    let done = false;
    const asked = loop.lookNow(NEVER_MS).then(() => (done = true));
    looks.end();
    await until('the next look begins', () => looks.begun === 2);
    assert.equal(done, false, 'the one that ran already does not count');
    looks.end();
    await asked;
    assert.equal(looks.begun, 2);
  });

  test('it is not waited for beyond the deadline', async (context) => {
    const { loop, looks } = start(context, NEVER_MS);
    await loop.lookNow(20);
    assert.equal(looks.begun, 1);
  });

  test('a wake ends the pause, and a stop everything', async (context) => {
    const { loop, looks } = start(context, NEVER_MS);
    looks.end();
    await until('the pause', () => looks.running === 0);
    loop.wake();
    await until('the next look', () => looks.begun === 2);
    const asked = loop.lookNow(NEVER_MS);
    loop.stop();
    looks.end();
    await asked;
    await loop.lookNow(NEVER_MS);
    assert.equal(looks.begun, 2);
  });
});
