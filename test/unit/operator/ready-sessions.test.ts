import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createReadySessions } from '../../../src/operator/ready-sessions.ts';
import type { SqlConnect, SqlSession, SqlTarget } from '../../../src/sql/port.ts';
import { TARGET } from '../observe/fake-server.ts';

const R0: SqlTarget = { ...TARGET, name: 'replica r0', host: '10.0.0.21' };
const WANTED = new Map([['r0', R0]]);

interface Opened {
  readonly target: SqlTarget;
  readonly signal: AbortSignal | undefined;
  alive: boolean;
}

function begun(connects: 'At once' | 'Never' | 'Refused' = 'At once') {
  const opened: Opened[] = [];
  const state = { now: 0 };
  const connect: SqlConnect = (target, { signal }) => {
    const one: Opened = { target, signal, alive: true };
    opened.push(one);
    if (connects === 'Refused') return Promise.reject(new Error('refused'));
    if (connects === 'Never') return new Promise(() => undefined);
    const session = {
      target,
      get alive() {
        return one.alive;
      },
      destroy: () => (one.alive = false),
    };
    return Promise.resolve(session as unknown as SqlSession);
  };
  const clock = { monotonicMs: () => state.now, wallMs: () => state.now };
  const ready = createReadySessions({ connect, clock, deadlineMs: () => 1_000, signal: new AbortController().signal });
  return { ready, opened, state };
}

async function settled(): Promise<void> {
  await new Promise(setImmediate);
}

describe('sessions to replicas that are about to be moved', () => {
  test('are opened once, and given to one caller', async () => {
    const { ready, opened } = begun();
    ready.want(WANTED);
    await settled();
    ready.want(WANTED);
    assert.equal(opened.length, 1);
    assert.equal(ready.take('r0', R0)?.target, R0);
    assert.equal(ready.take('r0', R0), null);
    assert.equal(opened[0]?.alive, true, 'it is the one who took it that ends it');
  });

  test('are closed where they are not wanted any more', async () => {
    const { ready, opened } = begun();
    ready.want(WANTED);
    await settled();
    ready.want(new Map());
    assert.equal(opened[0]?.alive, false);
    assert.equal(ready.take('r0', R0), null);
  });

  test('to another address or account are of no use', async () => {
    const { ready, opened } = begun();
    ready.want(WANTED);
    await settled();
    assert.equal(ready.take('r0', { ...R0, password: 'new' }), null);
    assert.equal(opened[0]?.alive, false);
    ready.want(WANTED);
    await settled();
    ready.want(new Map([['r0', { ...R0, host: '10.0.0.22' }]]));
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
    const { ready, opened, state } = begun();
    ready.want(WANTED);
    await settled();
    const [first] = opened;
    assert.ok(first);
    first.alive = false;
    ready.want(WANTED);
    await settled();
    assert.equal(opened.length, 2);
    state.now = 60_000;
    assert.equal(ready.take('r0', R0), null);
    assert.equal(opened[1]?.alive, false);
  });

  test('that are not there yet are not waited for', async () => {
    const { ready, opened } = begun('Never');
    ready.want(WANTED);
    await settled();
    assert.equal(ready.take('r0', R0), null);
    assert.equal(opened[0]?.signal?.aborted, true);
  });

  test('that cannot be opened are not tried again and again', async () => {
    const { ready, opened, state } = begun('Refused');
    for (let passes = 10; passes > 0; passes -= 1) {
      ready.want(WANTED);
      await settled();
    }
    assert.equal(opened.length, 1);
    state.now = 60_000;
    ready.want(WANTED);
    assert.equal(opened.length, 2);
  });
});
