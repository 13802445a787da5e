import assert from 'node:assert/strict';
import { appendFileSync, copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { connect } from 'node:tls';
import { isMxrError } from '../../../src/errors.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { fetchCoordinates } from '../../../src/publisher/client.ts';
import type { PublisherTarget } from '../../../src/publisher/client.ts';
import type { TlsFiles } from '../../../src/publisher/server-tls.ts';
import { collectingLog, temporaryDirectory } from '../../unit/publisher/fixture.ts';
import { makeCertificates } from '../../support/certificates.ts';
import { until } from '../../support/wait.ts';
import { TOKEN, startService, targetOf } from './service.ts';

interface Pair extends TlsFiles {
  readonly ca: string;
}

function pairFor(t: TestContext, subjectAltName: string): Pair {
  const { server, ca } = makeCertificates(temporaryDirectory(t), subjectAltName);
  return { certFile: server['ssl-cert'], keyFile: server['ssl-key'], ca };
}

const ASK = { deadlineMs: 5_000 };

async function refusedWith(target: PublisherTarget, code: ErrorCode, words: RegExp): Promise<void> {
  await assert.rejects(fetchCoordinates(target, ASK), (error) => {
    assert.ok(isMxrError(error, code), String(error));
    assert.match(error.message, words);
    assert.ok(!error.message.includes(TOKEN));
    return true;
  });
}

describe('a publisher over TLS', { timeout: 60_000 }, () => {
  it('is read by who has its CA, by address and by name', async (t) => {
    const tls = pairFor(t, 'IP:127.0.0.1,DNS:localhost');
    const service = await startService(t, { tls });
    for (const host of ['127.0.0.1', 'localhost']) {
      const url = `https://${host}:${service.port}`;
      assert.equal((await fetchCoordinates(targetOf(service, { url, ca: tls.ca }), ASK)).member, 'hci-a');
    }
  });

  it('is not read under another CA, another name, or none, whatever the environment says', async (t) => {
    const before = process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    t.after(() => {
      if (before === undefined) delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
      else process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = before;
    });
    const named = pairFor(t, 'DNS:hci-a.example');
    const service = await startService(t, { tls: named });
    const url = `https://127.0.0.1:${service.port}`;
    await refusedWith(targetOf(service, { url, ca: pairFor(t, 'IP:127.0.0.1').ca }), 'TlsRefused', /the CA/u);
    await refusedWith(targetOf(service, { url, ca: null }), 'TlsRefused', /the CA/u);
    await refusedWith(targetOf(service, { url, ca: named.ca }), 'TlsRefused', /does not name the host/u);
    await refusedWith(targetOf(service, { url, ca: 'no certificate' }), 'TlsRefused', /not a certificate in PEM/u);
    const halfPem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
    await refusedWith(targetOf(service, { url, ca: halfPem }), 'TlsRefused', /TLS was refused/u);
  });

  it('is not read over plain HTTP, and a plain one not over TLS', async (t) => {
    const tls = pairFor(t, 'IP:127.0.0.1');
    const encrypted = await startService(t, { tls });
    await refusedWith(targetOf(encrypted), 'ConnectionLost', /the connection broke/u);
    const plain = await startService(t);
    const url = `https://127.0.0.1:${plain.port}`;
    await refusedWith(targetOf(plain, { url, ca: tls.ca }), 'TlsRefused', /does it speak TLS on this port/u);
  });

  it('speaks no TLS before 1.2', async (t) => {
    const tls = pairFor(t, 'IP:127.0.0.1');
    const service = await startService(t, { tls });
    const old = connect({
      host: '127.0.0.1',
      port: service.port,
      ca: tls.ca,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    const code = await new Promise((resolve) => {
      old.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
      old.on('secureConnect', () => resolve('connected'));
    });
    old.destroy();
    assert.equal(code, 'ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION');
  });

  it('takes a new certificate without a restart, and keeps the old one while the new one is no good', async (t) => {
    const first = pairFor(t, 'IP:127.0.0.1');
    const second = pairFor(t, 'IP:127.0.0.1');
    const directory = temporaryDirectory(t);
    const files = { certFile: join(directory, 'tls.crt'), keyFile: join(directory, 'tls.key') };
    copyFileSync(first.certFile, files.certFile);
    copyFileSync(first.keyFile, files.keyFile);
    const { log, lines } = collectingLog();
    const service = await startService(t, { tls: files, tlsEveryMs: 50, log });
    const url = `https://127.0.0.1:${service.port}`;
    const ask = (ca: string): Promise<unknown> => fetchCoordinates(targetOf(service, { url, ca }), ASK);
    await ask(first.ca);

    copyFileSync(second.certFile, files.certFile);
    const complaints = (): number => lines.filter((line) => line.includes('is no good')).length;
    await until('the mismatch is said', () => complaints() === 1);
    await ask(first.ca);
    writeFileSync(files.keyFile, 'garbage');
    await until('the garbage is said', () => complaints() === 2);
    await ask(first.ca);

    copyFileSync(second.keyFile, files.keyFile);
    await until('the new certificate is in force', async () => {
      await ask(second.ca);
      return true;
    });
    await refusedWith(targetOf(service, { url, ca: first.ca }), 'TlsRefused', /the CA/u);
    assert.equal(complaints(), 2);
  });

  it('does not start with files that are no good, and names them', async (t) => {
    const good = pairFor(t, 'IP:127.0.0.1');
    const other = pairFor(t, 'IP:127.0.0.1');
    const large = join(temporaryDirectory(t), 'large.pem');
    appendFileSync(large, Buffer.alloc(1024 * 1024 + 1));
    const wrong: readonly (readonly [TlsFiles, string])[] = [
      [{ ...good, keyFile: other.keyFile }, 'not that of the certificate'],
      [{ ...good, keyFile: good.certFile }, good.certFile],
      [{ ...good, keyFile: '/nowhere/tls.key' }, '/nowhere/tls.key: it cannot be read (ENOENT)'],
      [{ ...good, certFile: large }, large],
    ];
    for (const [tls, words] of wrong) {
      await assert.rejects(startService(t, { tls }), (error) => {
        assert.ok(isMxrError(error, 'ConfigInvalid'));
        assert.ok(error.message.includes(words), error.message);
        return true;
      });
    }
  });
});
