import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createReadySessions } from '../../../src/operator/ready-sessions.ts';
import type { ReadySessions } from '../../../src/operator/ready-sessions.ts';
import type { SqlConnect, SqlSession, SqlTarget } from '../../../src/sql/port.ts';
import { TARGET } from '../observe/fake-server.ts';

const R0: SqlTarget = { ...TARGET, name: 'replica r0', host: '10.0.0.21' };
const WANTED = new Map([['r0', R0]]);

interface Opened {
  readonly target: SqlTarget;
  readonly signal: AbortSignal | undefined;
  alive: boolean;
  readonly die: () => void;
}

interface Begun {
  readonly ready: ReadySessions;
  readonly opened: Opened[];
  now: number;
}

function begun(connects: 'Opens' | 'Refuses' = 'Opens'): Begun {
  const opened: Opened[] = [];
  const connect: SqlConnect = async (target, { signal }) => {
    const died = new Set<() => void>();
    const one: Opened = { target, signal, alive: true, die };
    opened.push(one);
    await new Promise(setImmediate);
    if (connects === 'Refuses') throw new Error('refused');
    const session = {
      target,
      get alive() {
        return one.alive;
      },
      destroy: die,
      onDead: (listener: () => void) => died.add(listener),
    };
    return session as unknown as SqlSession;

    function die(): void {
      one.alive = false;
      for (const listener of died) listener();
    }
  };
  const state = { now: 0, opened };
  const clock = { monotonicMs: () => state.now, wallMs: () => state.now };
  const ready = createReadySessions({ connect, clock, deadlineMs: () => 1_000, signal: new AbortController().signal });
  return Object.assign(state, { ready });
}

async function settled(): Promise<void> {
  for (let turns = 3; turns > 0; turns -= 1) await new Promise(setImmediate);
}

describe('sessions to replicas that are about to be moved', () => {
  test('are opened once, and given to one caller', async () => {
    const { ready, opened } = begun();
    ready.want(WANTED);
    await settled();
    ready.want(WANTED);
    assert.equal(opened.length, 1);
    assert.equal((await ready.take('r0', R0))?.target, R0);
    assert.equal(await ready.take('r0', R0), null);
    ready.want(new Map());
    await settled();
    assert.equal(opened[0]?.alive, true, 'it is the one who took it that ends it');
  });

  test('are closed where they are not wanted any more, also while they are opened', async () => {
    for (const waits of [true, false]) {
      const { ready, opened } = begun();
      ready.want(WANTED);
      if (waits) await settled();
      ready.want(new Map());
      await settled();
      assert.deepEqual([opened[0]?.alive, opened[0]?.signal?.aborted], [false, true]);
      assert.equal(await ready.take('r0', R0), null);
    }
  });

  test('to another address or account are of no use', async () => {
    const { ready, opened } = begun();
    ready.want(WANTED);
    await settled();
    assert.equal(await ready.take('r0', { ...R0, password: 'new' }), null);
    await settled();
    assert.equal(opened[0]?.alive, false);
    ready.want(WANTED);
    await settled();
    ready.want(new Map([['r0', { ...R0, host: '10.0.0.22' }]]));
    await settled();
    assert.deepEqual(
      opened.map(({ target, alive }) => [target.host, alive]),
      [
        [R0.host, false],
        [R0.host, false],
        ['10.0.0.22', true],
      ],
    );
  });

  test('are opened anew when they died or are old', async () => {
    const world = begun();
    const { ready, opened } = world;
    ready.want(WANTED);
    await settled();
    opened[0]?.die();
    ready.want(WANTED);
    await settled();
    assert.equal(opened.length, 2);
    world.now = 60_000;
    assert.equal(await ready.take('r0', R0), null);
    await settled();
    assert.equal(opened[1]?.alive, false);
  });

  test('one that is just being opened is waited for: another login would only come later', async () => {
    const { ready, opened } = begun();
    ready.want(WANTED);
    assert.equal((await ready.take('r0', R0))?.target, R0);
    assert.deepEqual([opened.length, opened[0]?.alive], [1, true]);
  });

  test('one that died while it waited is not given', async () => {
    const { ready, opened } = begun();
    ready.want(WANTED);
    await settled();
    opened[0]?.die();
    assert.equal(await ready.take('r0', R0), null);
  });

  test('that cannot be opened are not tried again and again', async () => {
    const world = begun('Refuses');
    const { ready, opened } = world;
    for (let passes = 10; passes > 0; passes -= 1) {
      ready.want(WANTED);
      await settled();
    }
    assert.equal(opened.length, 1);
    assert.equal(await ready.take('r0', R0), null);
    ready.want(WANTED);
    assert.equal(opened.length, 2);
    world.now = 60_000;
    ready.want(WANTED);
    assert.equal(opened.length, 3);
  });
});
