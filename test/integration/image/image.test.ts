import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { z } from 'zod';
import { buildImage, containerCommand, type ContainerOptions, type Image } from '../../support/image.ts';
import { provision } from '../../support/provision.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';

const sandbox = await enterSandbox();
const { mariadbBinlog } = await provision(() => undefined);
const REPOSITORY = join(import.meta.dirname, '../../..');
const PORT = '18080';
/** Nobody listens there. */
const NO_API = { KUBERNETES_SERVICE_HOST: '127.0.0.1', KUBERNETES_SERVICE_PORT: '18443' };
const ACCOUNT = '/var/run/secrets/kubernetes.io/serviceaccount';
const POD = { MXR_POD_NAME: 'mxr-0', MXR_POD_NAMESPACE: 'mxr', MXR_POD_UID: 'u-1', MXR_NAMESPACES: 'mxr' };
/** In a user namespace there may be one user only, and it owns everything: then nobody else can be played. */
const OTHERS = Number(readFileSync('/proc/self/uid_map', 'utf8').trim().split(/\s+/)[2]) > 65_532;

describe('what the Dockerfile makes', { timeout: 300_000, skip: OTHERS ? false : 'there is one user only' }, () => {
  let image: Image;

  before(() => {
    chmodSync(sandbox, 0o755);
    image = buildImage(REPOSITORY, join(sandbox, 'image'), mariadbBinlog);
  });

  function container(options: Omit<ContainerOptions, 'image'>): readonly [program: string, args: string[]] {
    const root = mkdtempSync(join(sandbox, 'root-'));
    chmodSync(root, 0o755);
    const [program = '', ...args] = containerCommand({ image, ...options }, root);
    return [program, args];
  }

  function runs(options: Omit<ContainerOptions, 'image'>): { code: number | null; out: string; err: string } {
    const done = spawnSync(...container(options), { encoding: 'utf8', timeout: 30_000 });
    return { code: done.status, out: done.stdout, err: done.stderr };
  }

  test('the program and its packages, no package of development, no user with rights', () => {
    assert.equal(image.user, '65532:65532');
    assert.deepEqual(image.command, ['node', '/app/src/main.ts', 'operator']);
    const app = join(image.root, 'app');
    assert.deepEqual(readdirSync(app).sort(), ['LICENSE', 'node_modules', 'package.json', 'src']);
    const Lock = z.object({
      packages: z.record(z.string(), z.object({ dev: z.boolean().optional(), optional: z.boolean().optional() })),
    });
    const { packages } = Lock.parse(JSON.parse(readFileSync(join(REPOSITORY, 'package-lock.json'), 'utf8')));
    const unneeded = Object.entries(packages).filter(([, { dev, optional }]) => dev === true || optional === true);
    assert.deepEqual(
      unneeded.map(([path]) => path).filter((path) => existsSync(join(app, path))),
      [],
    );
  });

  test('it starts as its user, who can write nowhere', () => {
    const { code, out, err } = runs({ args: ['--version'] });
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /^mxr \d+\.\d+\.\d+\n$/);
    for (const path of ['/app/x', '/tmp/x', '/x', '/etc/x', '/usr/x', '/node/x']) {
      const { code: failed, err: why } = runs({ command: ['/usr/bin/touch', path] });
      assert.notEqual(failed, 0, path);
      assert.match(why, /Read-only file system/);
    }
    assert.equal(runs({ command: ['/usr/bin/id', '-u'] }).out, '65532\n');
  });

  test('it has the tool that makes a saved binlog readable', () => {
    const { code, out, err } = runs({ command: ['/usr/local/bin/mariadb-binlog', '--version'] });
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /mariadb-binlog .*Ver/);
  });

  test('what is missing or misspelt is one clear line', () => {
    const unknown = runs({ env: { MXR_HTTP_PROT: '1' } });
    assert.equal(unknown.code, 2);
    assert.match(unknown.err, /MXR_HTTP_PROT/);
    const nowhere = runs({ env: { ...POD, MXR_HTTP_PORT: PORT } });
    assert.notEqual(nowhere.code, 0);
    assert.match(nowhere.out + nowhere.err, /KUBECONFIG|in-cluster|cluster/i);
    assert.doesNotMatch(nowhere.out + nowhere.err, /EROFS|EACCES/);
  });

  test('without an API server it lives, is not ready and says why, and ends at SIGTERM', async (t) => {
    const files = { [`${ACCOUNT}/token`]: 'token', [`${ACCOUNT}/ca.crt`]: '', [`${ACCOUNT}/namespace`]: 'mxr' };
    const running = spawn(...container({ env: { ...POD, ...NO_API, MXR_HTTP_PORT: PORT }, files }), { stdio: 'pipe' });
    let said = '';
    for (const stream of [running.stdout, running.stderr]) stream.on('data', (text) => (said += String(text)));
    const ended = new Promise((resolve) => running.once('exit', (code) => resolve(code)));
    t.after(() => running.kill('SIGKILL'));
    const get = async (path: string): Promise<Response> => fetch(`http://127.0.0.1:${PORT}${path}`);
    const alive = until('it is alive', async () => (await get('/livez')).status === 200, { deadlineMs: 60_000 });
    await Promise.race([alive, ended.then((code) => assert.fail(`it ended with ${String(code)}: ${said}`))]);
    assert.equal((await get('/readyz')).status, 503);
    assert.equal((await get('/metrics')).status, 200);
    await until(`it says that nobody answers: ${said}`, () => /ECONNREFUSED|refused/i.test(said));
    assert.doesNotMatch(said, /EROFS|EACCES|EPERM/);
    running.kill('SIGTERM');
    assert.equal(await ended, 0, said);
  });
});
