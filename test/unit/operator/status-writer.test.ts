import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Status } from '../../../src/api/v1alpha1.ts';
import { systemClock } from '../../../src/clock.ts';
import { createStatusWriter, type StatusWriter } from '../../../src/operator/status-writer.ts';
import { until } from '../../support/wait.ts';

const FINALIZER = 'mxr.dev/handover';
const METADATA = { resourceVersion: '1', finalizers: [FINALIZER] };
const SOON = { intervalMs: 1, deadlineMs: 5_000 };

/** Longer than writes are apart. */
const PAUSE_MS = 120;

/** Writes end when the test lets them; `pass` turns the writer's clock. */
function held(signal = new AbortController().signal): {
  writer: StatusWriter;
  writes: { status: Status; done: () => void }[];
  pass: (ms: number) => void;
} {
  let ahead = 0;
  const writes: { status: Status; done: () => void }[] = [];
  const resource = { metadata: METADATA };
  const kube = {
    getResource: async () => resource,
    patchResourceMetadata: async () => resource,
    replaceStatus: (_: unknown, status: Status) =>
      new Promise((resolve) => {
        writes.push({ status, done: () => resolve(resource) });
      }),
  };
  const writer = createStatusWriter({
    kube: kube as unknown as Parameters<typeof createStatusWriter>[0]['kube'],
    ref: { namespace: 'mxr', name: 'orders' },
    clock: { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + ahead },
    signal,
    onError: (error) => assert.fail(String(error)),
  });
  return { writer, writes, pass: (ms) => (ahead += ms) };
}

function status(holder: string, to: string): Status {
  return { holder, intent: { id: `to-${to}`, replicas: [] } } as unknown as Status;
}

function moving(holder: string, replica: Record<string, unknown>): Status {
  return { holder, intent: { id: 'to-b', replicas: [replica] } } as unknown as Status;
}

async function turns(): Promise<void> {
  for (let left = 10; left > 0; left -= 1) await new Promise(setImmediate);
}

describe('waiting until an intent is stored', () => {
  test('a write under way that has it is enough', async () => {
    const { writer, writes } = held();
    writer.offer(status('a', 'b'));
    await until('the first write is under way', () => writes.length === 1, SOON);
    writer.offer(status('b', 'b'));
    const stored = writer.flush(5_000);
    writes[0]?.done();
    await stored;
    assert.equal(writer.stored()?.holder, 'a');
    await until('the newer status follows', () => writes.length === 2, SOON);
    writes[1]?.done();
  });

  test('one that is stored does not count while an older write may still take it back', async () => {
    const { writer, writes } = held();
    writer.offer(status('a', 'b'));
    await until('the first write is under way', () => writes.length === 1, SOON);
    writes[0]?.done();
    await until('it is stored', () => writer.stored() !== null, SOON);
    writer.offer(status('a', 'c'));
    await until('another intent is under way', () => writes.length === 2, SOON);
    writer.offer(status('a', 'b'));
    let flushed = false;
    const stored = writer.flush(5_000).then(() => (flushed = true));
    writes[1]?.done();
    await until('the newest is under way', () => writes.length === 3, SOON);
    assert.equal(flushed, false);
    writes[2]?.done();
    await stored;
  });

  test('what is not stored in time is said', async () => {
    const { writer } = held();
    writer.offer(status('a', 'b'));
    await assert.rejects(writer.flush(20), /not stored within 20 ms/);
  });
});

describe('writes in quick succession', () => {
  test('what comes within a tenth of a second of a write is one write', async () => {
    const { writer, writes } = held();
    writer.offer(status('a', 'b'));
    await turns();
    assert.equal(writes.length, 1, 'at once: whoever comes after a crash knows only what is stored');
    await until('the first write is under way', () => writes.length === 1, SOON);
    writes[0]?.done();
    await until('it is stored', () => writer.stored() !== null, SOON);
    for (const holder of ['b', 'c', 'd']) writer.offer(status(holder, 'b'));
    await until('the next write is under way', () => writes.length === 2, SOON);
    assert.equal(writes[1]?.status.holder, 'd');
    writes[1]?.done();
    await until('it is stored', () => writer.stored()?.holder === 'd', SOON);
    assert.equal(writes.length, 2);
  });

  test('in the middle of a move what is told waits; an intent, and that a replica has arrived, do not', async () => {
    const { writer, writes, pass } = held();
    writer.offer(status('a', 'b'), true);
    await turns();
    assert.equal(writes.length, 0);
    writer.offer(moving('a', { pod: 'r1' }), true);
    await turns();
    assert.equal(writes.length, 1);
    writes[0]?.done();
    await until('it is stored', () => writer.stored() !== null, SOON);
    pass(PAUSE_MS);
    writer.offer(moving('b', { pod: 'r1' }), true);
    await turns();
    assert.equal(writes.length, 1);
    writer.offer(moving('b', { pod: 'r1', arrived: true }), true);
    await turns();
    assert.equal(writes.length, 2);
    writes[1]?.done();
  });

  test('after a write there is a pause, also for what was offered while it was under way', async () => {
    const { writer, writes, pass } = held();
    writer.offer(status('a', 'b'));
    await until('the first write is under way', () => writes.length === 1, SOON);
    writer.offer(status('b', 'b'));
    pass(PAUSE_MS);
    writes[0]?.done();
    await turns();
    assert.equal(writes.length, 1);
    await until('the next one is under way', () => writes.length === 2, SOON);
    writes[1]?.done();
  });

  test('at the end of the process what still waits is stored', async () => {
    const end = new AbortController();
    const { writer, writes } = held(end.signal);
    writer.offer(status('a', 'b'), true);
    await turns();
    end.abort();
    const ended = writer.end(5_000);
    await until('it is written', () => writes.length === 1, SOON);
    writes[0]?.done();
    await ended;
    assert.equal(writes[0]?.status.holder, 'a');
    await writer.end(5_000);
    assert.equal(writes.length, 1, 'once');
  });

  test('what waits is not put off by what comes after it, and goes with what does not wait', async () => {
    const { writer, writes, pass } = held();
    let holder = 0;
    const next = (): Status => status(`h${(holder += 1)}`, 'b');
    const told = (): boolean => {
      writer.offer(next(), true);
      return writes.length === 1;
    };
    await until('a write is under way', told, SOON);
    writes[0]?.done();
    await until('it is stored', () => writer.stored() !== null, SOON);
    pass(PAUSE_MS);
    writer.offer(next(), true);
    writer.offer(next());
    await turns();
    assert.equal(writes.length, 2);
    assert.equal(writes[1]?.status.holder, `h${holder}`);
    writes[1]?.done();
  });

  test('whoever waits for an intent does not wait for that', async () => {
    const { writer, writes } = held();
    writer.offer(status('a', 'b'));
    await until('the first write is under way', () => writes.length === 1, SOON);
    writes[0]?.done();
    await until('it is stored', () => writer.stored() !== null, SOON);
    writer.offer(status('a', 'c'));
    assert.equal(writes.length, 1, 'it pauses');
    const stored = writer.flush(5_000);
    await turns();
    assert.equal(writes.length, 2, 'at once');
    writes[1]?.done();
    await stored;
  });
});
