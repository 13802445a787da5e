import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { createFileFiller } from '../../../src/act/file-filler.ts';
import type { FileFiller } from '../../../src/act/file-filler.ts';
import { systemClock } from '../../../src/clock.ts';
import { parsePosition } from '../../../src/domain/gtid.ts';
import type { PublisherTarget } from '../../../src/publisher/client.ts';
import type { BinlogRange } from '../../../src/sql/binlog/range.ts';
import { openSession } from '../../../src/sql/connection.ts';
import { freePort } from '../../support/mariadb.ts';
import { until } from '../../support/wait.ts';
import { collectingLog, temporaryDirectory } from '../../unit/publisher/fixture.ts';
import { FileBuilder } from '../../unit/sql/binlog-file.ts';
import { startService, targetOf } from './service.ts';

const NEVER = new AbortController().signal;
const CONNECT = { deadlineMs: 3_000 };

interface Set {
  readonly filler: FileFiller;
  readonly port: number;
  readonly publisher: PublisherTarget;
  readonly lines: string[];
  readonly range: BinlogRange;
}

function position(text: string) {
  return parsePosition(text) ?? assert.fail(text);
}

async function start(t: TestContext, port: number): Promise<Set> {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'bin.000001'), new FileBuilder().statement(1n).transaction(2n).build());
  const service = await startService(t, { binlog: { directory, baseName: 'bin', bytesPerSecond: 1e9 } });
  const publisher = targetOf(service);
  const { log, lines } = collectingLog();
  const filler = createFileFiller({ address: '127.0.0.1', port, clock: systemClock, log });
  t.after(() => filler.close());
  const question = { from: position('0-1-1'), until: position('0-1-2'), fromAt: null, untilAt: null };
  const answer = await filler.prove(publisher, { ...question, serverId: 1, remembered: [] }, NEVER);
  assert.ok(answer.kind === 'Range', JSON.stringify(answer));
  return { filler, port, publisher, lines, range: answer.range };
}

describe('replicas are filled from published files', { timeout: 60_000 }, () => {
  it('at an address that listens only as long as something is offered', async (t) => {
    const { filler, port, publisher, range, lines } = await start(t, await freePort());
    const tls = { mode: 'Disabled' } as const;
    const nobody = { name: 'source', host: '127.0.0.1', port, user: 'x', password: 'y', tls };
    await assert.rejects(openSession(nobody, CONNECT), { code: 'ConnectionRefused' });
    const offers = [1, 2].map(() => filler.offer({ publisher, range, replica: '127.0.0.1', signal: NEVER }));
    const [one, other] = await Promise.all(offers);
    assert.ok(one !== undefined && other !== undefined);
    assert.deepEqual(filler.dial, { host: '127.0.0.1', port });
    assert.notEqual(one.account.user, other.account.user);
    for (const { account } of [one, other]) {
      (await openSession({ ...nobody, ...account }, CONNECT)).destroy();
    }
    assert.deepEqual(
      (await Promise.all([one.ended, other.ended])).map(({ kind }) => kind),
      ['Failed', 'Failed'],
    );
    await until('nobody listens any more', () =>
      openSession(nobody, CONNECT).then(
        () => false,
        (error: { code?: string }) => error.code === 'ConnectionRefused',
      ),
    );
    const again = await filler.offer({ publisher, range, replica: '127.0.0.1', signal: NEVER });
    (await openSession({ ...nobody, ...again.account }, CONNECT)).destroy();
    const logged = lines.join('');
    for (const { account } of [one, other, again]) assert.ok(!logged.includes(account.password));
  });

  it('says so where the port cannot be had, and takes it when it can', async (t) => {
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(0, resolve));
    const address = taken.address();
    assert.ok(typeof address === 'object' && address !== null);
    const { filler, publisher, range } = await start(t, address.port);
    const offer = { publisher, range, replica: '127.0.0.1', signal: NEVER };
    await assert.rejects(filler.offer(offer), { code: 'ConfigInvalid', message: /MXR_FILL_PORT/u });
    await new Promise((resolve) => taken.close(resolve));
    const made = await filler.offer(offer);
    made.withdraw();
    assert.deepEqual(await made.ended, { kind: 'Withdrawn' });
  });

  it('not where the publisher cannot be asked: that is no answer', async (t) => {
    const { filler, publisher } = await start(t, await freePort());
    const question = { from: position('0-1-1'), until: position('0-1-2'), fromAt: null, untilAt: null, serverId: 1 };
    const ask = (target: PublisherTarget) => filler.prove(target, { ...question, remembered: [] }, NEVER);
    await assert.rejects(ask({ ...publisher, token: 'wrong' }), { code: 'AccessDenied' });
    const plain = await startService(t);
    await assert.rejects(ask(targetOf(plain)), { code: 'BinlogRefused', message: /MXR_PUBLISHER_BINLOG/u });
    await assert.rejects(ask(targetOf({ port: await freePort() })), { code: 'ConnectionRefused' });
  });
});
