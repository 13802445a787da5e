import assert from 'node:assert/strict';
import { symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { isMxrError } from '../../../src/errors.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { fetchBinlogList, readBinlog } from '../../../src/publisher/client-binlog.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { until } from '../../support/wait.ts';
import { temporaryDirectory } from '../../unit/publisher/fixture.ts';
import { FileBuilder, encryptedFile } from '../../unit/sql/binlog-file.ts';
import { AUTHORIZED, get, http, open, startScripted, startService, targetOf } from './service.ts';
import type { Service } from './service.ts';

const MIB = 1_048_576;
const ASK = { deadlineMs: 5_000 };
/** Of more bytes than the kernel keeps for a connection. */
const LARGE = new FileBuilder().bytes(Buffer.alloc(24 * MIB, 7)).build();
const SMALL = new FileBuilder().statement(1n).build();

interface Disk {
  readonly directory: string;
  readonly service: Service;
}

async function startWith(t: TestContext, bytesPerSecond = 1e9): Promise<Disk> {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'bin.000001'), LARGE);
  writeFileSync(join(directory, 'bin.000002'), encryptedFile());
  writeFileSync(join(directory, 'bin.000003'), SMALL);
  writeFileSync(join(directory, 'secret'), 'of nobody else');
  symlinkSync('secret', join(directory, 'bin.000004'));
  const service = await startService(t, { binlog: { directory, baseName: 'bin', bytesPerSecond } });
  return { directory, service };
}

async function bytesOf(...call: Parameters<typeof readBinlog>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of readBinlog(...call)) parts.push(part);
  return Buffer.concat(parts);
}

async function rejects(promise: Promise<unknown>, code: ErrorCode, words: RegExp): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(isMxrError(error, code), String(error));
    assert.match(error.message, words);
    return true;
  });
}

const NEVER = new AbortController().signal;

describe('binlog files over HTTP', { timeout: 60_000 }, () => {
  it('are listed and read, in whole and in part', async (t) => {
    const { service } = await startWith(t);
    const target = targetOf(service);
    assert.deepEqual(await fetchBinlogList(target, ASK), [
      { name: 'bin.000001', size: LARGE.length, encrypted: false },
      { name: 'bin.000002', size: encryptedFile().length, encrypted: true },
      { name: 'bin.000003', size: SMALL.length, encrypted: false },
    ]);
    const whole = await bytesOf(target, { name: 'bin.000001', from: 0, length: null }, NEVER);
    assert.ok(whole.equals(LARGE));
    const parts = [
      [4, 10],
      [SMALL.length - 3, 100],
      [SMALL.length, null],
      [0, 1],
    ] as const;
    for (const [from, length] of parts) {
      const part = await bytesOf(target, { name: 'bin.000003', from, length }, NEVER);
      assert.deepEqual(part, SMALL.subarray(from, length === null ? undefined : from + length));
    }
    const head = await open(service, '/v1/binlog/bin.000003', { method: 'HEAD', headers: AUTHORIZED });
    assert.equal(head.headers['content-length'], String(SMALL.length));
  });

  it('and nothing else of the directory', async (t) => {
    const { service } = await startWith(t);
    const names = ['secret', 'bin.000004', '..%2fbin.000003', '%2e%2e', 'bin.000003%00', '.', 'bin.%30'];
    for (const name of names) {
      const { status, body } = await get(service, `/v1/binlog/${name}`);
      assert.notEqual(status, 200, name);
      assert.doesNotMatch(body, /of nobody else/u, name);
    }
    for (const query of ['from=-1', 'from=x', 'length=0', 'from=1&from=2', 'length=1e3']) {
      assert.equal((await get(service, `/v1/binlog/bin.000003?${query}`)).status, 400, query);
    }
    assert.equal((await get(service, '/v1/binlog/bin.000003', { method: 'DELETE' })).status, 405);
  });

  it('only with the token, and only where somebody asked for it', async (t) => {
    const { service } = await startWith(t);
    for (const path of ['/v1/binlog', '/v1/binlog/bin.000003']) {
      assert.equal((await get(service, path, { headers: {} })).status, 401, path);
    }
    const plain = await startService(t);
    await rejects(fetchBinlogList(targetOf(plain), ASK), 'BinlogRefused', /set MXR_PUBLISHER_BINLOG there/u);
    assert.equal((await get(plain, '/v1/binlog/bin.000003')).status, 404);
  });

  it('do not start without a token, or beyond loopback without TLS', async (t) => {
    const directory = temporaryDirectory(t);
    const binlog = { directory, baseName: 'bin', bytesPerSecond: 1e9 };
    const words = /with a token only, and beyond loopback only over TLS/u;
    await rejects(startService(t, { binlog, token: null }), 'ConfigInvalid', words);
    await rejects(startService(t, { binlog, listen: { host: '0.0.0.0', port: 0 } }), 'ConfigInvalid', words);
    const { server } = makeCertificates(directory, 'IP:127.0.0.1');
    const tls = { certFile: server['ssl-cert'], keyFile: server['ssl-key'] };
    await startService(t, { binlog, tls, listen: { host: '0.0.0.0', port: 0 } });
  });

  it('say in a sentence why not: encrypted, gone, shorter than it was', async (t) => {
    const { service } = await startWith(t);
    const target = targetOf(service);
    const read = (name: string, from = 0): Promise<Buffer> => bytesOf(target, { name, from, length: null }, NEVER);
    await rejects(read('bin.000002'), 'BinlogRefused', /encrypted \(encrypt_binlog\).*only its own server/u);
    assert.match((await get(service, '/v1/binlog/bin.000002')).body, /replicas cannot be filled from it/u);
    await rejects(read('bin.000009'), 'BinlogRefused', /no such binlog file/u);
    await rejects(read('bin.000003', SMALL.length + 1), 'BinlogRefused', /shorter than it was/u);
  });

  it('are sent no faster than allowed, to all readers together', async (t) => {
    const { service } = await startWith(t, 4 * MIB);
    const since = performance.now();
    const part = { name: 'bin.000001', from: 0, length: 2 * MIB };
    await Promise.all([1, 2].map(() => bytesOf(targetOf(service), part, NEVER)));
    const tookMs = performance.now() - since;
    assert.ok(tookMs > 800, `4 MiB in ${tookMs} ms`);
  });

  it('a few at once; one whose reader went away makes room again', async (t) => {
    const { service } = await startWith(t);
    const slow = await Promise.all([1, 2, 3, 4].map(() => open(service, '/v1/binlog/bin.000001')));
    for (const response of slow) response.on('error', () => undefined);
    const busy = await get(service, '/v1/binlog/bin.000003');
    assert.deepEqual([busy.status, busy.headers['retry-after']], [503, '1']);
    slow[0]?.destroy();
    await until('there is room again', async () => (await get(service, '/v1/binlog/bin.000003')).status === 200);
    for (const response of slow) response.destroy();
    await until('all rooms are free', async () => {
      const some = await Promise.all([1, 2, 3, 4].map(() => get(service, '/v1/binlog/bin.000003')));
      return some.every(({ status }) => status === 200);
    });
  });

  it('end when the token is another one, and the reader says that it is not all', async (t) => {
    const { service } = await startWith(t);
    const reading = readBinlog(targetOf(service), { name: 'bin.000001', from: 0, length: null }, NEVER);
    assert.equal((await reading.next()).done, false);
    service.setToken('the-next-token');
    const rest = async (): Promise<void> => {
      for await (const part of reading) assert.ok(part.length > 0);
    };
    await rejects(rest(), 'ConnectionLost', /the connection broke|in the middle/u);
  });

  it('a file that becomes shorter meanwhile breaks off and is not passed off as whole', async (t) => {
    const { service, directory } = await startWith(t, 8 * MIB);
    const reading = readBinlog(targetOf(service), { name: 'bin.000001', from: 0, length: null }, NEVER);
    assert.equal((await reading.next()).done, false);
    truncateSync(join(directory, 'bin.000001'), MIB);
    const rest = async (): Promise<void> => {
      for await (const part of reading) assert.ok(part.length > 0);
    };
    await rejects(rest(), 'ConnectionLost', /broke|in the middle/u);
  });

  it('a reader that gives up ends at once', async (t) => {
    const { service } = await startWith(t, MIB);
    const abort = new AbortController();
    const reading = readBinlog(targetOf(service), { name: 'bin.000001', from: 0, length: null }, abort.signal);
    await reading.next();
    abort.abort();
    await rejects(
      bytesOf(targetOf(service), { name: 'bin.000003', from: 0, length: 1 }, abort.signal),
      'ConnectionLost',
      /./u,
    );
    await assert.rejects(async () => {
      for await (const part of reading) assert.ok(part.length > 0);
    });
  });

  it('from something that is no publisher: a list that is none, more than was asked for', async (t) => {
    const liar = await startScripted(t, (socket, asked) => {
      const type = { 'content-type': asked.includes('bin.000001') ? 'application/octet-stream' : 'application/json' };
      const files = JSON.stringify({ files: [{ name: '../../etc/passwd', size: 4, encrypted: false }] });
      socket.end(http('200 OK', type, asked.includes('bin.000001') ? 'x'.repeat(100) : files));
    });
    await rejects(
      fetchBinlogList(targetOf(liar), ASK),
      'ProtocolError',
      /not a list of binlog files \(files\.0\.name\)/u,
    );
    const part = { name: 'bin.000001', from: 0, length: 10 };
    await rejects(bytesOf(targetOf(liar), part, NEVER), 'ProtocolError', /more than was asked for/u);
  });
});
