import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { withLock } from '../../support/lock.ts';
import { ProvisionError, provision } from '../../support/provision.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { mariaDbVersion } from '../../support/versions.ts';

await enterSandbox();
const folder = mkdtempSync(join(tmpdir(), 'mxr-provision-'));
after(() => rmSync(folder, { recursive: true }));

async function withEnvironment<T>(values: Readonly<Record<string, string>>, work: () => Promise<T>): Promise<T> {
  const before = { ...process.env };
  Object.assign(process.env, values);
  try {
    return await work();
  } finally {
    process.env = before;
  }
}

describe('provision', () => {
  it('costs next to nothing once everything is there', async () => {
    const start = performance.now();
    const said: string[] = [];
    const tools = await provision((line) => said.push(line));
    // Generous against 10 ms: it must not start any program that works.
    assert.ok(performance.now() - start < 1_000);
    assert.deepEqual(said, []);
    assert.match(tools.mariadb.server, /\/mariadbd$/);
  });

  it('names the packages when they cannot be fetched, and leaves nothing half done', async (t) => {
    const tools = await provision(() => undefined);
    if (!tools.mariadb.server.startsWith(tools.cache)) return t.skip('this machine has MariaDB installed');
    const cache = join(folder, 'cache');
    // A sandbox has no network.
    const attempt = (): Promise<unknown> => withEnvironment({ MXR_CACHE: cache }, () => provision(() => undefined));
    await assert.rejects(attempt(), (error) => {
      assert.ok(error instanceof ProvisionError);
      assert.match(
        error.message,
        /^not found: mariadbd, .*apt-get .* failed: .*: install the packages mariadb-server-core .*$/,
      );
      return true;
    });
    assert.deepEqual(readdirSync(cache), ['provision.lock']);
  });

  it('says so when there is no place to keep what it makes', async (t) => {
    const tools = await provision(() => undefined);
    if (!tools.mariadb.server.startsWith(tools.cache)) return t.skip('this machine has MariaDB installed');
    const cache = join(folder, 'a-file/cache');
    writeFileSync(join(folder, 'a-file'), '');
    await assert.rejects(
      withEnvironment({ MXR_CACHE: cache }, () => provision(() => undefined)),
      (error) => error instanceof ProvisionError && /a-file.*: set MXR_CACHE to a folder of yours$/.test(error.message),
    );
  });

  it('says that another version of MariaDB cannot be fetched, and why', async (t) => {
    const cache = join(folder, 'versions');
    const log = (): void => undefined;
    const attempt = (): ReturnType<typeof mariaDbVersion> =>
      withEnvironment({ MXR_CACHE: cache }, () => mariaDbVersion('11.8', log));
    if (!readFileSync('/etc/os-release', 'utf8').includes('VERSION_CODENAME=bookworm')) {
      const found = await attempt();
      assert.match('absent' in found ? found.absent : '', /fetched on Debian bookworm only, and this is /);
      return t.skip('not on Debian bookworm');
    }
    await assert.rejects(attempt(), (error) => {
      assert.ok(error instanceof ProvisionError);
      assert.match(error.message, /^MariaDB 11\.8 \(Debian trixie\) cannot be fetched: apt-get .* failed: /);
      return true;
    });
    assert.deepEqual(readdirSync(cache), ['provision.lock']);
  });

  it('names the package of a base program that is missing', async () => {
    const empty = { PATH: folder };
    const tried = withEnvironment(empty, () => provision(() => undefined));
    await assert.rejects(tried, { message: 'not found: unshare. Install the package util-linux.' });
  });
});

describe('withLock', () => {
  it('lets one in at a time', async () => {
    const order: string[] = [];
    const file = join(folder, 'some.lock');
    const entered = Promise.withResolvers<void>();
    const hold = Promise.withResolvers<void>();
    const first = withLock(file, 10_000, async () => {
      order.push('first in');
      entered.resolve();
      await hold.promise;
      order.push('first out');
    });
    await Promise.race([entered.promise, first]);
    try {
      await assert.rejects(
        withLock(file, 1_000, async () => order.push('second in')),
        /somebody else held .*some\.lock for more than 1 s/,
      );
    } finally {
      hold.resolve();
    }
    await first;
    await withLock(file, 10_000, async () => order.push('third in'));
    assert.deepEqual(order, ['first in', 'first out', 'third in']);
  });
});
