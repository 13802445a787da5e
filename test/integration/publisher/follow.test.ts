import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import type { Coordinates, PublishedPeer } from '../../../src/api/publisher.ts';
import { systemClock } from '../../../src/clock.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { followEvents } from '../../../src/publisher/client.ts';
import { followPeer } from '../../../src/publisher/peer.ts';
import { collectingLog, coordinates } from '../../unit/publisher/fixture.ts';
import { until } from '../../support/wait.ts';
import { startScripted, startService, targetOf } from './service.ts';

interface Followed {
  readonly events: Coordinates[];
  /** `connected`, or the code of the error. */
  readonly states: (ErrorCode | 'connected')[];
  readonly controller: AbortController;
}

function follow(t: TestContext, server: { port: number }): Followed {
  const controller = new AbortController();
  t.after(() => controller.abort());
  const followed: Followed = { events: [], states: [], controller };
  followEvents(targetOf(server), {
    clock: systemClock,
    signal: controller.signal,
    onEvent: (seen) => followed.events.push(seen),
    onState: (connected, error) => followed.states.push(connected ? 'connected' : (error?.code ?? 'Bug')),
  });
  return followed;
}

const STREAM = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n';

function eventOf(seen: object): string {
  return `event: coordinates\ndata: ${JSON.stringify(seen)}\n\n`;
}

describe('following the events', { timeout: 60_000, concurrency: true }, () => {
  it('hears of every change at once, and comes back when the publisher does', async (t) => {
    const service = await startService(t);
    const followed = follow(t, service);
    await until('the first event', () => followed.events.length === 1);
    const start = performance.now();
    service.change({ vipHeld: false });
    await until('the change', () => followed.events.at(-1)?.vipHeld === false, { intervalMs: 1 });
    assert.ok(performance.now() - start < 500);
    assert.deepEqual(followed.states, ['connected']);

    await service.close();
    await until('the loss', () => followed.states.length >= 2);
    await until('a refusal', () => followed.states.at(-1) === 'ConnectionRefused');
    const again = await startService(t, { listen: { host: '127.0.0.1', port: service.port } });
    await until('the return', () => followed.states.at(-1) === 'connected');
    again.change({ vipHeld: true, position: 99 });
    await until('a change of the new one', () => followed.events.at(-1)?.position === 99);
  });

  it('ends with the signal, and leaves the stream', async (t) => {
    const service = await startService(t);
    const followed = follow(t, service);
    await until('the first event', () => followed.events.length === 1);
    followed.controller.abort();
    service.change({ vipHeld: false });
    const other = follow(t, service);
    await until('another one hears it', () => other.events.length === 1);
    assert.deepEqual([followed.events.length, followed.states], [1, ['connected']]);
  });

  it('says why, and tries again more and more rarely', async (t) => {
    let attempts = 0;
    const server = await startScripted(t, (socket) => {
      attempts += 1;
      socket.end('HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n');
    });
    const followed = follow(t, server);
    await until('three attempts', () => attempts >= 3);
    assert.ok(followed.states.every((state) => state === 'AccessDenied'));
    const start = performance.now();
    await until('two more', () => attempts >= 5);
    assert.ok(performance.now() - start > 1_000, 'it does not wait longer');
  });

  const broken: readonly (readonly [string, string, ErrorCode])[] = [
    ['an event that is no JSON', `${STREAM}event: coordinates\ndata: {\n\n`, 'ProtocolError'],
    ['an event of another shape', `${STREAM}${eventOf({ member: 'hci-a' })}`, 'ProtocolError'],
    ['a line without end', `${STREAM}data: ${'x'.repeat(1024 * 1024 + 10)}`, 'ProtocolError'],
    ['an event without end', `${STREAM}${`data: ${'x'.repeat(1_000)}\n`.repeat(1_100)}`, 'ProtocolError'],
    ['JSON instead of a stream', 'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{}', 'ProtocolError'],
    ['its end', `${STREAM}: alive\n\n`, 'ConnectionLost'],
  ];
  for (const [name, text, code] of broken) {
    it(`takes ${name} for no news`, async (t) => {
      const server = await startScripted(t, (socket) => socket.end(text));
      const followed = follow(t, server);
      await until('it is said', () => followed.states.length > 0);
      assert.deepEqual([followed.states[0], followed.events], [code, []]);
    });
  }

  it('passes over what it does not know, comments, and line ends of Windows', async (t) => {
    const text = `${STREAM}: hello\n\nretry: 1\nid: 7\nnews\n\nevent: other\ndata: 1\n\n${eventOf(coordinates())}`;
    const server = await startScripted(t, (socket) => {
      const all = Buffer.from(text.replaceAll(/(?<!\r)\n/gu, '\r\n'));
      for (let at = 0; at < all.length; at += 7) socket.write(all.subarray(at, at + 7));
    });
    const followed = follow(t, server);
    await until('the event', () => followed.events.length === 1);
    assert.deepEqual(followed.events[0], coordinates());
  });

  it('is not swamped by who sends without end', async (t) => {
    const flood = (socket: Socket): void => {
      socket.write(STREAM);
      const more = (): void => {
        while (socket.writable && socket.write(eventOf(coordinates()).repeat(50)));
      };
      socket.on('drain', more);
      more();
    };
    const followed = follow(t, await startScripted(t, flood));
    await until('the first', () => followed.events.length > 0);
    const [count, start] = [followed.events.length, performance.now()];
    await until('half a second', () => performance.now() - start > 500);
    const perSecond = ((followed.events.length - count) * 1_000) / (performance.now() - start);
    assert.ok(perSecond <= 120, `${perSecond} events in a second`);
  });

  it('takes a stream that says nothing for 15 s for dead', async (t) => {
    let opened = 0;
    const server = await startScripted(t, (socket) => {
      opened += 1;
      socket.write(`${STREAM}${eventOf(coordinates())}data: never finis`);
    });
    const followed = follow(t, server);
    await until('the first event', () => followed.events.length === 1);
    const start = performance.now();
    await until('it is dead', () => followed.states.includes('Deadline'), { deadlineMs: 20_000 });
    assert.ok(performance.now() - start > 14_000);
    await until('it is opened anew', () => opened === 2);
  });
});

describe('following the peer', { timeout: 60_000, concurrency: true }, () => {
  it('sees it by polls and by events, with the time of this host', async (t) => {
    const service = await startService(t);
    const seen: PublishedPeer[] = [];
    const controller = new AbortController();
    t.after(() => controller.abort());
    const { log, lines } = collectingLog();
    const clock = { ...systemClock, wallMs: () => Date.UTC(2030, 0, 1) };
    followPeer({ target: targetOf(service), clock, log, signal: controller.signal, onSeen: (peer) => seen.push(peer) });
    await until('the first look', () => seen.length > 0);
    assert.deepEqual(seen[0], {
      member: 'hci-a',
      serverId: 1,
      serverUid: 'uid-a',
      startedAt: '2026-11-28T00:00:00.000Z',
      file: 'bin.000001',
      position: 342,
      gtidBinlogPos: '0-1-1',
      vipHeld: true,
      observedAt: '2029-12-31T23:59:59.997Z',
    });
    const start = performance.now();
    service.change({ vipHeld: false });
    await until('an event', () => seen.at(-1)?.vipHeld === false, { intervalMs: 1 });
    assert.ok(performance.now() - start < 500);
    const count = seen.length;
    await until('polls', () => seen.length >= count + 2, { deadlineMs: 5_000 });

    await service.close();
    const warnings = (): string[] => lines.filter((line) => line.includes('cannot be read'));
    await until('the loss is said', () => warnings().length > 0);
    const again = await startService(t, { listen: { host: '127.0.0.1', port: service.port } });
    again.change({ position: 77 });
    await until('it is seen again', () => seen.at(-1)?.position === 77);
    // An event may be there before the poll that says so.
    const answers = (): string[] => lines.filter((line) => line.includes('publisher of the peer answers'));
    await until('the return is said', () => answers().length === 2);
    // One for each cause: the connection broke, and then nobody listened.
    assert.ok(warnings().length <= 2);
  });

  it('has seen nothing of a peer whose database has not answered yet', async (t) => {
    const service = await startService(t);
    service.change({ identity: null, observedAt: null, monotonicAgeMs: null, databaseAnswers: false });
    const seen: PublishedPeer[] = [];
    const controller = new AbortController();
    t.after(() => controller.abort());
    const { log, lines } = collectingLog();
    const onSeen = (peer: PublishedPeer): void => void seen.push(peer);
    followPeer({ target: targetOf(service), clock: systemClock, log, signal: controller.signal, onSeen });
    await until('it answers', () => lines.some((line) => line.includes('answers')));
    assert.equal(seen.length, 0);
    service.change(coordinates({ position: 5 }));
    await until('it is seen', () => seen.at(-1)?.position === 5);
  });
});
