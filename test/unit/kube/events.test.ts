import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { MxrError } from '../../../src/errors.ts';
import type { EventBody } from '../../../src/kube/client.ts';
import { createEmitter } from '../../../src/kube/events.ts';
import type { EventEmitter } from '../../../src/kube/events.ts';
import type { ObjectRef } from '../../../src/kube/objects.ts';
import { VirtualTime } from '../../model/kube/virtual-time.ts';

const TABLE = { VipMoved: 'Normal', Diverged: 'Warning' } as const;
type Reason = keyof typeof TABLE;

const ORDERS = {
  apiVersion: 'mxr.dev/v1alpha1',
  kind: 'MariaDBExternalReplica',
  namespace: 'orders',
  name: 'orders',
  uid: 'u1',
};
const OTHER = { ...ORDERS, name: 'other', uid: 'u2' };

interface World {
  readonly time: VirtualTime;
  readonly emitter: EventEmitter<Reason>;
  readonly created: { ref: ObjectRef; event: EventBody }[];
  readonly counted: { name: string; count: number; message: string }[];
  readonly dropped: string[];
  /** Runs before each write; may throw. */
  onWrite: () => Promise<void> | void;
}

function world(how: { readonly settleMs?: number; readonly signal?: AbortSignal } = {}): World {
  const time = new VirtualTime();
  const state: Omit<World, 'emitter'> = { time, created: [], counted: [], dropped: [], onWrite: () => undefined };
  const emitter = createEmitter<Reason>({
    api: {
      createEvent: async (ref, event) => {
        await state.onWrite();
        state.created.push({ ref, event });
      },
      countEvent: async ({ name }, { count, message }) => {
        await state.onWrite();
        state.counted.push({ name, count, message });
      },
    },
    table: TABLE,
    instance: 'mxr-0',
    clock: time.clock,
    onDropped: (reason, why) => state.dropped.push(`${reason}: ${why}`),
    settleMs: how.settleMs ?? 0,
    signal: how.signal ?? new AbortController().signal,
    dedupeMs: 600_000,
    similar: 4,
    burst: 5,
    perMinute: 5,
  });
  return Object.assign(state, { emitter });
}

function kubeError(code: 'KubeNotFound' | 'KubeForbidden'): MxrError {
  return new MxrError({ operation: 'count', target: 'event x', code, detail: 'scripted', retryable: false });
}

describe('events', () => {
  it('writes what kubectl describe shows', async () => {
    const { emitter, created } = world();
    await emitter.emit(ORDERS, 'Diverged', 'orders-0 differs');
    const [{ ref, event } = { ref: undefined, event: undefined }] = created;
    assert.match(ref?.name ?? '', /^mxr\.[0-9a-f]{20}$/u);
    assert.equal(ref?.namespace, 'orders');
    assert.deepEqual(event?.involvedObject, ORDERS);
    assert.deepEqual(
      [event?.type, event?.reason, event?.message, event?.count],
      ['Warning', 'Diverged', 'orders-0 differs', 1],
    );
    assert.deepEqual([event?.source.component, event?.reportingInstance], ['mxr', 'mxr-0']);
    assert.equal(event?.firstTimestamp, event?.lastTimestamp);
  });

  it('is written a while after what it tells of, and says when that was', async () => {
    const { emitter, created, time } = world({ settleMs: 30 });
    const happened = new Date(time.clock.wallMs()).toISOString();
    const written = emitter.emit(ORDERS, 'VipMoved', 'to b');
    await new Promise(setImmediate);
    assert.equal(created.length, 0);
    await time.runUntil(1_000);
    await written;
    assert.deepEqual(
      created.map(({ event }) => event.firstTimestamp),
      [happened],
    );
  });

  it('is written at once when the process ends', async () => {
    const end = new AbortController();
    const { emitter, created } = world({ settleMs: 3_600_000, signal: end.signal });
    void emitter.emit(ORDERS, 'VipMoved', 'to b');
    void emitter.emit(ORDERS, 'Diverged', 'orders-0 differs');
    end.abort();
    await emitter.written();
    assert.deepEqual(
      created.map(({ event }) => event.reason),
      ['VipMoved', 'Diverged'],
    );
  });

  it('counts the same again, and writes anew what differs or is old', async () => {
    const { emitter, created, counted, time } = world();
    for (let i = 0; i < 3; i += 1) await emitter.emit(ORDERS, 'Diverged', 'x');
    await emitter.emit(ORDERS, 'Diverged', 'y');
    await emitter.emit(OTHER, 'Diverged', 'x');
    assert.deepEqual(
      counted.map(({ count }) => count),
      [2, 3],
    );
    assert.equal(counted[0]?.name, created[0]?.ref.name);
    assert.equal(new Set(created.map(({ ref }) => ref.name)).size, 3);
    await time.runUntil(600_000);
    await emitter.emit(ORDERS, 'Diverged', 'x');
    assert.equal(created.length, 4);
    assert.notEqual(created[3]?.ref.name, created[0]?.ref.name);
  });

  it('the same twice at once is one event counted twice', async () => {
    const { emitter, created, counted } = world();
    await Promise.all([emitter.emit(ORDERS, 'Diverged', 'x'), emitter.emit(ORDERS, 'Diverged', 'x')]);
    assert.deepEqual([created.length, counted.map(({ count }) => count)], [1, [2]]);
  });

  it('an event that expired on the server is written anew', async () => {
    const state = world();
    await state.emitter.emit(ORDERS, 'Diverged', 'x');
    let nth = 0;
    state.onWrite = () => {
      nth += 1;
      if (nth === 1) throw kubeError('KubeNotFound');
    };
    await state.emitter.emit(ORDERS, 'Diverged', 'x');
    assert.deepEqual([state.created.length, state.counted.length, state.dropped], [2, 0, []]);
  });

  it('an error is told and swallowed, and the next event is written', async () => {
    const state = world();
    state.onWrite = () => {
      throw kubeError('KubeForbidden');
    };
    await state.emitter.emit(ORDERS, 'VipMoved', 'x');
    assert.deepEqual(state.dropped, ['VipMoved: could not count on event x: scripted']);
    state.onWrite = () => undefined;
    await state.emitter.emit(ORDERS, 'VipMoved', 'x');
    assert.deepEqual([state.created.length, state.counted.length], [1, 0]);
  });

  it('events arrive in the order in which things happened', async () => {
    const state = world();
    let first: () => void = () => undefined;
    state.onWrite = () => new Promise((resolve) => (first = resolve));
    const slow = state.emitter.emit(ORDERS, 'VipMoved', '1');
    await state.time.runUntil(1);
    state.onWrite = () => undefined;
    const fast = state.emitter.emit(ORDERS, 'Diverged', '2');
    await state.time.runUntil(2);
    assert.equal(state.created.length, 0);
    first();
    await Promise.all([slow, fast]);
    assert.deepEqual(
      state.created.map(({ event }) => event.message),
      ['1', '2'],
    );
  });

  it('what flaps with another message each time is told apart a few times, then it is one event with the newest message', async () => {
    const { emitter, created, counted, time } = world();
    for (let i = 0; i < 8; i += 1) {
      await emitter.emit(ORDERS, 'Diverged', `x${i}`);
      await time.runUntil((i + 1) * 60_000);
    }
    const messages = created.map(({ event }) => event.message);
    assert.deepEqual(messages, ['x0', 'x1', 'x2', 'x3', '(combined from similar events): x4']);
    assert.deepEqual(counted, [
      { name: created[4]?.ref.name, count: 2, message: '(combined from similar events): x5' },
      { name: created[4]?.ref.name, count: 3, message: '(combined from similar events): x6' },
      { name: created[4]?.ref.name, count: 4, message: '(combined from similar events): x7' },
    ]);
    await emitter.emit(ORDERS, 'VipMoved', 'another reason');
    await emitter.emit(OTHER, 'Diverged', 'another object');
    await emitter.emit(ORDERS, 'Diverged', 'another part', 'orders-1');
    await emitter.emit(ORDERS, 'Diverged', 'x0');
    assert.deepEqual([created.length, counted.at(-1)?.name], [8, created[0]?.ref.name], 'what was told is counted up');
    await time.runUntil(8 * 60_000 + 600_000);
    await emitter.emit(ORDERS, 'Diverged', 'x9');
    assert.equal(created.at(-1)?.event.message, 'x9', 'after ten quiet minutes it is news again');
  });

  it('one noisy object is held to its rate, and no other; that is told once', async () => {
    const { emitter, created, dropped, time } = world();
    for (let i = 0; i < 8; i += 1) await emitter.emit(ORDERS, i % 2 === 0 ? 'VipMoved' : 'Diverged', String(i));
    assert.equal(created.length, 5);
    assert.deepEqual(dropped, ['Diverged: more than 5 events and 5 a minute for one object']);
    await emitter.emit(OTHER, 'VipMoved', 'x');
    assert.equal(created.length, 6);
    await time.runUntil(12_000);
    await emitter.emit(ORDERS, 'VipMoved', 'a');
    await emitter.emit(ORDERS, 'VipMoved', 'b');
    assert.deepEqual([created.length, dropped.length], [7, 2]);
  });

  it('while the API hangs, the events that wait are bounded', async () => {
    const state = world();
    state.onWrite = () => new Promise(() => undefined);
    for (let i = 0; i < 600; i += 1) void state.emitter.emit({ ...ORDERS, uid: `u${i}` }, 'VipMoved', 'x');
    assert.equal(state.dropped.length, 100);
    await state.time.runUntil(1);
  });

  it('a long message is cut', async () => {
    const { emitter, created } = world();
    await emitter.emit(ORDERS, 'VipMoved', 'x'.repeat(5_000));
    assert.equal(created[0]?.event.message.length, 1_024);
  });
});
