import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { inspect } from 'node:util';
import { isMxrError } from '../../../src/errors.ts';
import type { ErrorCode, MxrError } from '../../../src/errors.ts';
import { fetchCoordinates, openConnections } from '../../../src/publisher/client.ts';
import type { FetchOptions, PublisherTarget } from '../../../src/publisher/client.ts';
import { coordinates } from '../../unit/publisher/fixture.ts';
import { TOKEN, http, startScripted, startService, targetOf } from './service.ts';

const ASK = { deadlineMs: 5_000 };
const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' };
const GOOD = JSON.stringify(coordinates());

async function failureOf(target: PublisherTarget, options: FetchOptions = ASK): Promise<MxrError> {
  try {
    await fetchCoordinates(target, options);
  } catch (error) {
    assert.ok(isMxrError(error), String(error));
    assert.ok(!inspect(error, { depth: 10 }).includes(TOKEN), 'the token is in the error');
    return error;
  }
  return assert.fail('it did not fail');
}

async function failureAt(t: TestContext, answer: (socket: Socket) => void): Promise<MxrError> {
  return failureOf(targetOf(await startScripted(t, answer)));
}

describe('reading the coordinates', { timeout: 60_000 }, () => {
  it('gives what the publisher says, below a path too, and asks no proxy', async (t) => {
    const before = process.env['HTTP_PROXY'];
    process.env['HTTP_PROXY'] = 'http://127.0.0.1:1';
    t.after(() => {
      if (before === undefined) delete process.env['HTTP_PROXY'];
      else process.env['HTTP_PROXY'] = before;
    });
    const service = await startService(t);
    assert.deepEqual(await fetchCoordinates(targetOf(service), ASK), coordinates());
    let asked = '';
    const behindPath = await startScripted(t, (socket, text) => {
      asked = text;
      socket.end(http('200 OK', JSON_TYPE, GOOD));
    });
    await fetchCoordinates(targetOf(behindPath, { url: `http://127.0.0.1:${behindPath.port}/publishers/a/` }), ASK);
    assert.match(asked, /^GET \/publishers\/a\/v1\/coordinates HTTP\/1\.1\r\n/u);
  });

  it('uses a connection again, and opens another one when that was closed at this moment', async (t) => {
    const connections = openConnections();
    t.after(() => connections.close());
    let opened = 0;
    const server = await startScripted(t, (socket) => {
      opened += 1;
      const alive = http('200 OK', { ...JSON_TYPE, connection: 'keep-alive' }, GOOD);
      socket.write(alive);
      let answered = 1;
      socket.on('data', () => {
        answered += 1;
        if (answered <= 3) socket.write(alive);
        else socket.destroy();
      });
    });
    for (let count = 0; count < 3; count += 1) await fetchCoordinates(targetOf(server), { ...ASK, connections });
    assert.equal(opened, 1);
    assert.equal((await fetchCoordinates(targetOf(server), { ...ASK, connections })).member, 'hci-a');
    assert.equal(opened, 2);
  });

  const answers: readonly (readonly [string, string, ErrorCode, RegExp])[] = [
    ['401', http('401 Unauthorized', {}, TOKEN), 'AccessDenied', /does not accept the token \(401\).*publisherAuth/u],
    ['403', http(`403 ${TOKEN}`, {}, ''), 'AccessDenied', /\(403\)/u],
    ['429', http('429 Too Many', {}, ''), 'AccessDenied', /\(429\)/u],
    ['404', http('404 Not Found', {}, 'x'), 'ProtocolError', /answers 404/u],
    ['503', http('503 Unavailable', JSON_TYPE, GOOD), 'ProtocolError', /answers 503/u],
    ['a web page', http('200 OK', { 'content-type': 'text/html' }, GOOD), 'ProtocolError', /not application\/json/u],
    ['no type', http('200 OK', {}, GOOD), 'ProtocolError', /not application\/json/u],
    [
      'something compressed',
      http('200 OK', { ...JSON_TYPE, 'content-encoding': 'gzip' }, GOOD),
      'ProtocolError',
      /compressed/u,
    ],
    ['no JSON', http('200 OK', JSON_TYPE, `{"token":"${TOKEN}"`), 'ProtocolError', /is not JSON/u],
    ['other JSON', http('200 OK', JSON_TYPE, '[]'), 'ProtocolError', /not coordinates/u],
    [
      'a field that is out of bounds',
      http('200 OK', JSON_TYPE, JSON.stringify(coordinates({ file: TOKEN.repeat(100) }))),
      'ProtocolError',
      /not coordinates \(file\)/u,
    ],
    ['more than it should', http('200 OK', JSON_TYPE, ' '.repeat(1024 * 1024 + 1)), 'ProtocolError', /1048576 bytes/u],
    ['long headers', http('200 OK', { 'x-long': 'x'.repeat(9_000) }, ''), 'ProtocolError', /does not speak HTTP/u],
    ['another protocol', '5.5.5-10.11.6-MariaDB\n\n', 'ProtocolError', /does not speak HTTP/u],
    ['nothing', '', 'ConnectionLost', /the connection broke/u],
    ['half a body', http('200 OK', { ...JSON_TYPE, 'content-length': '9999' }, GOOD), 'ConnectionLost', /broke/u],
  ];
  for (const [name, answer, code, words] of answers) {
    it(`answered with ${name} is ${code}`, async (t) => {
      const error = await failureAt(t, (socket) => socket.end(answer));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, words);
      assert.match(
        error.message,
        /^could not read the coordinates on publisher of hci-a \(http:\/\/127\.0\.0\.1:\d+\)/u,
      );
    });
  }

  it('follows no redirection', async (t) => {
    const service = await startService(t);
    const location = `http://127.0.0.1:${service.port}/v1/coordinates`;
    const error = await failureAt(t, (socket) => socket.end(http('302 Found', { ...JSON_TYPE, location }, GOOD)));
    assert.equal(error.code, 'ProtocolError');
    assert.match(error.message, /it redirects \(302\)/u);
  });

  it('ends at its deadline, whatever the other side does', async (t) => {
    const drip = (first: string, more = ' '): ((socket: Socket) => void) => {
      return (socket) => {
        socket.write(first);
        const timer = setInterval(() => socket.write(more), 20);
        socket.on('close', () => clearInterval(timer));
      };
    };
    const head = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 99999\r\n\r\n`;
    const behaviours = [
      () => undefined,
      drip('HTTP/1.1 200 OK\r\nx:'),
      drip(head),
      drip('', 'HTTP/1.1 100 Continue\r\n\r\n'),
    ];
    for (const behaviour of behaviours) {
      const server = await startScripted(t, behaviour);
      const start = performance.now();
      const error = await failureOf(targetOf(server), { deadlineMs: 300 });
      assert.equal(error.code, 'Deadline');
      assert.match(error.message, /no answer within 300 ms/u);
      assert.ok(performance.now() - start < 1_500);
    }
  });

  it('ends at once when it is not wanted any more', async (t) => {
    const server = await startScripted(t, () => undefined);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 50);
    const error = await failureOf(targetOf(server), { deadlineMs: 30_000, signal: controller.signal });
    assert.equal(error.code, 'ConnectionLost');
    assert.equal((await failureOf(targetOf(server), { ...ASK, signal: controller.signal })).code, 'ConnectionLost');
  });

  it('says when nobody listens, and when the name is unknown', async (t) => {
    const service = await startService(t);
    await service.close();
    assert.equal((await failureOf(targetOf(service))).code, 'ConnectionRefused');
    const unknown = await failureOf(targetOf(service, { url: 'http://hci-a.invalid:9480' }));
    assert.equal(unknown.code, 'HostUnresolved');
    assert.equal(unknown.retryable, true);
  });

  it('refuses a target that cannot be asked, without showing what it holds', async () => {
    const urls = [
      'hci-a:9480',
      '/v1',
      'ftp://10.0.0.11',
      `https://mxr:${TOKEN}@10.0.0.11`,
      `https://10.0.0.11/?token=${TOKEN}`,
      `https://10.0.0.11/#${TOKEN}`,
    ];
    for (const url of urls) {
      const error = await failureOf(targetOf({ port: 1 }, { url }));
      assert.equal(error.code, 'ConfigInvalid', url);
      assert.match(error.message, /its URL must be https:\/\/HOST:PORT/u);
    }
    for (const token of ['', `${TOKEN}\nhost: evil`, `${TOKEN} `, 'naïve']) {
      const error = await failureOf(targetOf({ port: 1 }, { token }));
      assert.equal(error.code, 'ConfigInvalid', token);
      assert.match(error.message, /token has characters/u);
    }
  });
});
