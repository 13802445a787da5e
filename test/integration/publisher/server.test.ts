import assert from 'node:assert/strict';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { Coordinates, Journal } from '../../../src/api/publisher.ts';
import { systemClock } from '../../../src/clock.ts';
import { isMxrError } from '../../../src/errors.ts';
import { coordinates, journalIn, temporaryDirectory } from '../../unit/publisher/fixture.ts';
import { until } from '../../support/wait.ts';
import { AUTHORIZED, TOKEN, get, open, startService } from './service.ts';
import type { Service } from './service.ts';

const PROTECTED = ['/v1/coordinates', '/v1/journal', '/v1/events', '/metrics'];

describe('what the publisher answers', () => {
  it('the coordinates, as the schema has them', async (t) => {
    const service = await startService(t);
    const answer = await get(service, '/v1/coordinates', { headers: AUTHORIZED });
    assert.equal(answer.status, 200);
    assert.match(answer.headers['content-type'] ?? '', /^application\/json/u);
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.deepEqual(Coordinates.parse(JSON.parse(answer.body)), coordinates());
  });

  it('the journal, page by page', async (t) => {
    const journal = await journalIn(temporaryDirectory(t));
    t.after(() => journal.close());
    for (let count = 0; count < 150; count += 1) await journal.append(coordinates(), { flush: false });
    const service = await startService(t, { journal });
    const page = async (query: string): Promise<Journal> =>
      Journal.parse(JSON.parse((await get(service, `/v1/journal${query}`, { headers: AUTHORIZED })).body));
    const seqs = ({ entries, next }: Journal): unknown => [entries.at(0)?.seq, entries.at(-1)?.seq, next];
    assert.deepEqual(seqs(await page('')), [1, 100, 101]);
    assert.deepEqual(seqs(await page('?from=101')), [101, 150, null]);
    assert.deepEqual(seqs(await page('?from=3&limit=2')), [3, 4, 5]);
    for (const query of ['?from=0', '?from=-1', '?from=x', '?from=1&from=2', '?from=1e3', '?limit=1001', '?limit=0']) {
      const { status, body } = await get(service, `/v1/journal${query}`, { headers: AUTHORIZED });
      assert.equal(status, 400, query);
      assert.match(body, /^(from|limit) must be a whole number/u);
    }
  });

  it('whether it is alive, to everybody, and nothing else', async (t) => {
    const well = await startService(t);
    const { status, body } = await get(well, '/healthz', { headers: {} });
    assert.deepEqual([status, body], [200, 'alive\n']);
    const ill = await startService(t, { live: () => ({ ok: false, detail: 'the loop stands still' }) });
    const bad = await get(ill, '/healthz', { headers: {} });
    assert.deepEqual([bad.status, bad.body], [503, 'the loop stands still\n']);
  });

  it('errors, for what it does not have and does not do', async (t) => {
    const service = await startService(t, {
      coordinates: () => {
        throw new Error('inner detail');
      },
    });
    const asked = { headers: AUTHORIZED };
    assert.equal((await get(service, '/v1/nothing', asked)).status, 404);
    const post = await get(service, '/v1/coordinates', { ...asked, method: 'POST' });
    assert.deepEqual([post.status, post.headers['allow']], [405, 'GET, HEAD']);
    const failed = await get(service, '/v1/coordinates', asked);
    assert.deepEqual([failed.status, failed.body], [500, 'internal error\n']);
    assert.match(service.logged.join(''), /inner detail/u);
    assert.equal((await get(service, '/v1/events', asked)).status, 500);
    assert.equal((await get(service, '/healthz', { headers: { 'x-long': 'x'.repeat(9_000) } })).status, 431);
  });
});

describe('who may ask', () => {
  it('nobody without the token, and who has it', async (t) => {
    for (const path of PROTECTED) {
      const service = await startService(t);
      const wrong = [undefined, `Bearer ${TOKEN}x`, `Bearer ${TOKEN.slice(1)}`, `Basic ${TOKEN}`, 'Bearer ', TOKEN];
      for (const authorization of wrong) {
        const answer = await get(service, path, { headers: authorization === undefined ? {} : { authorization } });
        assert.equal(answer.status, 401, `${path} ${authorization}`);
        assert.match(answer.headers['www-authenticate'] ?? '', /^Bearer/u);
        assert.doesNotMatch(answer.body, /hci-a|mxr_/u);
      }
      const right = await open(service, path, { headers: AUTHORIZED });
      assert.equal(right.statusCode, 200, path);
      right.destroy();
      assert.ok(!service.logged.join('').includes(TOKEN));
    }
  });

  it('whoever guesses is sent away, which is logged once, and the right token still works from there', async (t) => {
    const service = await startService(t);
    const guess = (index: number): ReturnType<typeof get> =>
      get(service, '/v1/coordinates', { headers: { authorization: `Bearer guess-${index}` } });
    const statuses: number[] = [];
    for (let index = 0; index < 15; index += 1) statuses.push((await guess(index)).status);
    assert.deepEqual(statuses, [...Array<number>(10).fill(401), ...Array<number>(5).fill(429)]);
    assert.equal(service.logged.filter((line) => line.includes('without the right token')).length, 1);
    const elsewhere = { headers: { authorization: 'Bearer guess' }, localAddress: '127.0.0.2' };
    assert.equal((await get(service, '/v1/coordinates', elsewhere)).status, 401);
    assert.equal((await get(service, '/v1/coordinates', { headers: AUTHORIZED })).status, 200);
  });

  it('only a token that is in force, also on streams', async (t) => {
    const service = await startService(t);
    const stream = await open(service, '/v1/events', { headers: AUTHORIZED });
    const ended = new Promise((resolve) => stream.on('close', resolve));
    stream.on('error', () => undefined).resume();
    service.setToken('the-next-token');
    await ended;
    assert.equal((await get(service, '/v1/coordinates', { headers: AUTHORIZED })).status, 401);
    const next = { headers: { authorization: 'Bearer the-next-token' } };
    assert.equal((await get(service, '/v1/coordinates', next)).status, 200);
    assert.throws(
      () => service.setToken(''),
      (error) => isMxrError(error, 'ConfigInvalid'),
    );
  });

  it('without a token: programs of this host only, by its name', async (t) => {
    const service = await startService(t, { token: null });
    const asked = (host: string, localAddress = '127.0.0.1'): ReturnType<typeof get> =>
      get(service, '/v1/coordinates', { headers: { host }, localAddress });
    for (const host of ['127.0.0.1:9480', 'localhost', '[::1]:1']) assert.equal((await asked(host)).status, 200);
    for (const host of ['evil.example', 'localhost.evil.example', '10.0.0.11']) {
      const { status, body } = await asked(host);
      assert.equal(status, 403);
      assert.doesNotMatch(body, /hci-a/u);
    }
    // 127.0.0.6 is what Istio's sidecar hands everybody's requests on from.
    assert.equal((await asked('localhost', '127.0.0.6')).status, 403);
  });

  it('without a token it does not listen elsewhere', async (t) => {
    for (const host of ['0.0.0.0', '::', '10.0.0.11', 'localhost', '']) {
      await assert.rejects(startService(t, { token: null, listen: { host, port: 0 } }), (error) => {
        assert.ok(isMxrError(error, 'ConfigInvalid'), host);
        assert.match(error.message, /MXR_PUBLISHER_TOKEN_FILE.*127\.0\.0\.1/u);
        return true;
      });
    }
    for (const token of ['', 'two words', 'line\nfeed']) {
      await assert.rejects(startService(t, { token }), (error) => {
        assert.ok(isMxrError(error, 'ConfigInvalid'));
        return token === '' || !error.message.includes(token);
      });
    }
  });

  it('says which address it could not have, and leaves nothing behind', async (t) => {
    const service = await startService(t);
    await assert.rejects(startService(t, { listen: { host: '127.0.0.1', port: service.port } }), (error) => {
      assert.ok(isMxrError(error, 'ConfigInvalid'));
      assert.match(error.message, new RegExp(`127\\.0\\.0\\.1:${service.port}: another process listens there`, 'u'));
      return true;
    });
    await assert.rejects(startService(t, { listen: { host: '192.0.2.1', port: 0 } }), /this host has no such address/u);
  });
});

describe('the stream of events', { timeout: 60_000 }, () => {
  it('begins with the coordinates, goes on with every change, and with comments between', async (t) => {
    const service = await startService(t);
    const stream = await open(service, '/v1/events');
    assert.match(stream.headers['content-type'] ?? '', /^text\/event-stream/u);
    let text = '';
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    const events = (): Coordinates[] =>
      [...text.matchAll(/^event: coordinates\ndata: (.*)\n\n/gmu)].map(([, data = '']) =>
        Coordinates.parse(JSON.parse(data)),
      );
    await until('the first event', () => events().length === 1);
    service.change({ vipHeld: false });
    service.change({ readOnly: true });
    await until('the changes', () => events().length === 3, { deadlineMs: 1_000 });
    assert.deepEqual(
      events().map(({ vipHeld, readOnly }) => [vipHeld, readOnly]),
      [
        [true, false],
        [false, false],
        [false, true],
      ],
    );
    await until('a comment', () => text.includes('\n: alive\n\n'), { deadlineMs: 7_000 });
    stream.destroy();
  });

  it('outlives a moment in which nobody can say what the coordinates are', async (t) => {
    let broken = false;
    const service = await startService(t, {
      coordinates: () => {
        if (broken) throw new Error('inner detail');
        return coordinates({ position: 7 });
      },
    });
    const stream = await open(service, '/v1/events');
    let text = '';
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    await until('the first event', () => text.includes('event: coordinates'));
    broken = true;
    service.change({});
    await until('a comment', () => text.includes(': alive'), { deadlineMs: 2_000 });
    broken = false;
    service.change({});
    await until('the next event', () => text.match(/event: coordinates/gu)?.length === 2);
    assert.equal(service.logged.filter((line) => line.includes('could not be sent')).length, 1);
    stream.destroy();
  });

  it('is for 32 readers, and a place is free again when one leaves', async (t) => {
    const service = await startService(t);
    const streams = await Promise.all(Array.from({ length: 32 }, () => open(service, '/v1/events')));
    assert.ok(streams.every(({ statusCode }) => statusCode === 200));
    assert.equal((await get(service, '/v1/events')).status, 503);
    streams[0]?.destroy();
    await until('a place is free', async () => {
      const stream = await open(service, '/v1/events');
      if (stream.statusCode !== 200) stream.resume();
      return stream.statusCode === 200;
    });
    assert.equal((await get(service, '/v1/coordinates')).status, 200);
    for (const stream of streams) stream.destroy();
    await service.close();
    assert.equal(service.listeners(), 0);
  });

  it('HEAD takes no place', async (t) => {
    const service = await startService(t);
    const { status, body } = await get(service, '/v1/events', { method: 'HEAD' });
    assert.deepEqual([status, body], [200, '']);
  });

  /** A reader that reads nothing yet. */
  async function lazyReader(t: TestContext, service: Service): Promise<Socket> {
    const socket = connect(service.port, '127.0.0.1');
    t.after(() => socket.destroy());
    socket.on('error', () => undefined).pause();
    socket.write(`GET /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n\r\n`);
    for (let count = 1; count <= 1_000; count += 1) {
      service.change({ position: count, gtidBinlogState: '1-1-1,'.repeat(10_000) });
      await new Promise((resolve) => setImmediate(resolve));
    }
    return socket;
  }

  it('gives who reads late the newest, and not all that it missed', async (t) => {
    const service = await startService(t);
    const socket = await lazyReader(t, service);
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => {
      text += part;
    });
    socket.resume();
    await until('the newest', () => text.includes('"position":1000,'));
    const count = text.match(/^event: coordinates$/gmu)?.length ?? 0;
    assert.ok(count > 1 && count < 500, `${count} events were kept`);
  });

  it('cuts off who does not read at all', async (t) => {
    let ahead = 0;
    const clock = { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + ahead };
    const service = await startService(t, { clock });
    const socket = await lazyReader(t, service);
    const closed = new Promise((resolve) => socket.on('close', resolve));
    const isCut = (): boolean => service.logged.some((line) => line.includes('does not read'));
    assert.equal(isCut(), false);
    const cut = (): boolean => {
      ahead += 20_000;
      return isCut();
    };
    await until('the reader is cut off', cut, { deadlineMs: 20_000, intervalMs: 500 });
    socket.resume();
    await closed;
  });

  it('ends when the publisher does', async (t) => {
    const service = await startService(t);
    const stream = await open(service, '/v1/events');
    const ended = new Promise((resolve) => stream.on('close', resolve));
    stream.on('error', () => undefined).resume();
    await service.close();
    await ended;
  });
});
