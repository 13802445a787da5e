import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { controlPlane, helm, requireControlPlane } from '../../support/kube/build.ts';
import { ProvisionError } from '../../support/provision.ts';

const DEMO = join(import.meta.dirname, '../../demo/main.ts');

/** A compiler in the shape of `go` 1.26, which counts its builds and takes a moment for each. */
const GO = `
case "$1" in
  env) [ "$2" = GOTOOLCHAIN ] && echo "\${FAKE_TOOLCHAIN:-auto}" || echo "\${FAKE_VERSION:-go1.26.0}" ;;
  list) echo one; echo two ;;
  build)
    echo built >> "$FAKE_BUILDS"
    [ -z "$FAKE_FAILURE" ] || { echo "main.go:1: $FAKE_FAILURE" >&2; exit 1; }
    sleep 0.2
    while [ "$1" != -o ]; do shift; done
    printf '#!/bin/sh\\n' > "$2"; chmod +x "$2" ;;
esac
`;

const ENVIRONMENT: NodeJS.ProcessEnv = { ...process.env };

describe('the control plane is provided', () => {
  let dir: string;
  let cache: string;
  const lines: string[] = [];
  const log = (line: string): void => void lines.push(line);
  const builds = (): number => readFileSync(join(dir, 'builds'), 'utf8').trim().split('\n').length;

  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'mxr-build-'));
    cache = join(dir, 'cache');
    mkdirSync(join(dir, 'bin'));
    delete process.env['KUBEBUILDER_ASSETS'];
    for (const name of ['sh', 'cat', 'chmod', 'flock', 'sleep']) symlinkSync(whereIs(name), join(dir, 'bin', name));
    // Nothing else is found, whatever this machine may have of Kubernetes or Go.
    Object.assign(process.env, { PATH: join(dir, 'bin'), MXR_CACHE: cache, FAKE_BUILDS: join(dir, 'builds') });
  });

  afterEach(() => {
    for (const name of Object.keys(process.env)) if (!(name in ENVIRONMENT)) delete process.env[name];
    Object.assign(process.env, ENVIRONMENT);
    rmSync(dir, { recursive: true, force: true });
  });

  function program(folder: string, name: string, script: string): void {
    mkdirSync(join(dir, folder), { recursive: true });
    writeFileSync(join(dir, folder, name), `#!/bin/sh\n${script}`);
    chmodSync(join(dir, folder, name), 0o755);
  }

  test('from KUBEBUILDER_ASSETS, which must be complete', async () => {
    process.env['KUBEBUILDER_ASSETS'] = join(dir, 'assets');
    program('assets', 'etcd', '');
    program('assets', 'kubectl', '');
    await assert.rejects(
      controlPlane(log),
      (error) => error instanceof ProvisionError && /KUBEBUILDER_ASSETS/.test(error.message),
    );
    program('assets', 'kube-apiserver', '');
    assert.equal((await controlPlane(log)).etcd, join(dir, 'assets/etcd'));
  });

  test('from the PATH when all three are there', async () => {
    for (const name of ['kube-apiserver', 'etcd', 'kubectl', 'helm']) program('bin', name, '');
    await requireControlPlane();
    assert.equal((await controlPlane(log)).apiserver, join(dir, 'bin/kube-apiserver'));
    assert.equal(await helm(log), join(dir, 'bin/helm'));
    assert.ok(!existsSync(cache));
  });

  test('built once, however many ask at the same time, and then found', async () => {
    program('bin', 'go', GO);
    const [first, second] = await Promise.all([controlPlane(log), controlPlane(log)]);
    assert.deepEqual(first, second);
    for (const path of [first.apiserver, first.etcd, first.kubectl, await helm(log)]) assert.ok(existsSync(path));
    assert.equal(builds(), 1);
    assert.ok(lines.some((line) => line.startsWith('control plane built')));
    rmSync(join(dir, 'bin/go'));
    assert.deepEqual(await controlPlane(log), first);
  });

  test('a build that fails says why and leaves nothing that looks built', async () => {
    program('bin', 'go', GO);
    process.env['FAKE_FAILURE'] = 'no space left on device';
    await assert.rejects(
      controlPlane(log),
      (error) =>
        error instanceof ProvisionError && /^.*could not be built.*no space left on device.*$/.test(error.message),
    );
    assert.deepEqual(readdirSync(cache), ['controlplane.lock']);
    delete process.env['FAKE_FAILURE'];
    await controlPlane(log);
    assert.equal(builds(), 2);
  });

  test('the demo ends with what set-up lacks, in one paragraph and without a stack', async () => {
    program('bin', 'go', GO);
    for (const name of ['unshare', 'nsenter', 'mount', 'hostname']) symlinkSync(whereIs(name), join(dir, 'bin', name));
    program('bin', 'true', 'exit 0');
    const env: NodeJS.ProcessEnv = { ...process.env, FAKE_FAILURE: 'no space left on device' };
    // Of the sandbox around this test, in which nothing is set up any more.
    delete env['MXR_SANDBOX'];
    // Where MariaDB is not installed it is its download that fails: there is no apt-get on this PATH.
    const said = spawnSync(process.execPath, [DEMO], { env, encoding: 'utf8', timeout: 60_000 });
    assert.equal(said.status, 1, said.stderr);
    assert.match(said.stderr, /^(not found: mariadbd|the Kubernetes API server could not be built).*\n$/);
  });

  test('without a Go that can build it, names what to install and changes nothing', async () => {
    const refuses = async (message: RegExp): Promise<void> => {
      for (const ask of [requireControlPlane, () => controlPlane(log)]) {
        await assert.rejects(ask, (error) => error instanceof ProvisionError && message.test(error.message));
      }
    };
    await refuses(/not found: go.*install Go >= 1\.26/);
    program('bin', 'go', GO);
    Object.assign(process.env, { FAKE_VERSION: 'go1.19.8' });
    await refuses(/go1\.19\.8 is too old.*install Go >= 1\.26/);
    Object.assign(process.env, { FAKE_VERSION: 'go1.25.1', FAKE_TOOLCHAIN: 'local' });
    await refuses(/go1\.25\.1 is too old/);
    assert.ok(!existsSync(cache));
    Object.assign(process.env, { FAKE_TOOLCHAIN: 'auto' });
    await requireControlPlane();
  });
});

function whereIs(program: string): string {
  return execFileSync('sh', ['-c', `command -v ${program}`], { env: ENVIRONMENT, encoding: 'utf8' }).trim();
}
