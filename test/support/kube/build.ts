import { execFile, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';
import { withLock } from '../lock.ts';
import { inOneLine } from '../provision-error.ts';
import { ProvisionError, cacheDirectory } from '../provision.ts';

/** The programs of a control plane, by absolute path. */
export interface ControlPlane {
  readonly apiserver: string;
  readonly etcd: string;
  readonly kubectl: string;
}

export type Log = (line: string) => void;

const run = promisify(execFile);
const MODULE = join(import.meta.dirname, '../controlplane');
const PROGRAMS = ['kube-apiserver', 'etcd', 'kubectl', 'helm'] as const;
type Program = (typeof PROGRAMS)[number];
const BINARY = 'controlplane';
/** Four minutes on two idle cores; a busy or slow machine gets the benefit of the doubt. */
const BUILD_DEADLINE_MS = 3_600_000;
const COMMAND_DEADLINE_MS = 600_000;
const PROGRESS_MS = 5_000;
/** What spares the build. */
const PREBUILT = 'kube-apiserver, etcd and kubectl on the PATH or in KUBEBUILDER_ASSETS, and helm on the PATH';

/**
 * kube-apiserver, etcd and kubectl: from KUBEBUILDER_ASSETS, else all three from the PATH, else built once from Go
 * modules into the cache. The build needs the module proxy, so call this outside the network sandbox; inside, the
 * cached programs are found without any network.
 */
export async function controlPlane(log: Log): Promise<ControlPlane> {
  const given = installed();
  if (given !== undefined) return given;
  const folder = await built(log);
  return { apiserver: join(folder, 'kube-apiserver'), etcd: join(folder, 'etcd'), kubectl: join(folder, 'kubectl') };
}

/** helm: from the PATH, else from the same build as the control plane. */
export async function helm(log: Log): Promise<string> {
  return onPath('helm') ?? join(await built(log), 'helm');
}

/** Throws a ProvisionError when `controlPlane` and `helm` could not be provided; changes nothing, takes a moment. */
export async function requireControlPlane(): Promise<void> {
  if (installed() !== undefined && onPath('helm') !== undefined) return;
  if (executable(join(builtFolder(), BINARY)) === undefined) await requireGo();
}

function installed(): ControlPlane | undefined {
  const assets = process.env['KUBEBUILDER_ASSETS'];
  const find = assets === undefined ? onPath : (name: Program) => executable(join(assets, name));
  const [apiserver, etcd, kubectl] = [find('kube-apiserver'), find('etcd'), find('kubectl')];
  if (apiserver !== undefined && etcd !== undefined && kubectl !== undefined) return { apiserver, etcd, kubectl };
  if (assets === undefined) return undefined;
  throw new ProvisionError(
    `KUBEBUILDER_ASSETS is ${assets}, which lacks kube-apiserver, etcd or kubectl: correct it or unset it`,
  );
}

function builtFolder(): string {
  const hash = createHash('sha256').update(process.arch);
  for (const file of ['go.mod', 'go.sum', 'main.go']) hash.update(readFileSync(join(MODULE, file)));
  return join(cacheDirectory(), `controlplane-${hash.digest('hex').slice(0, 12)}`);
}

async function built(log: Log): Promise<string> {
  const folder = builtFolder();
  if (executable(join(folder, BINARY)) !== undefined) return folder;
  await requireGo();
  await withLock(join(cacheDirectory(), 'controlplane.lock'), BUILD_DEADLINE_MS, async () => {
    if (executable(join(folder, BINARY)) === undefined) await build(folder, log);
  });
  return folder;
}

/** Into a folder of its own that is renamed at the end: what has the final name is complete. */
async function build(folder: string, log: Log): Promise<void> {
  removeLeftovers();
  const work = mkdtempSync(join(cacheDirectory(), 'building-'));
  try {
    log('building the Kubernetes control plane from Go modules, once (4 to 6 minutes on two cores) ...');
    await compile(join(work, BINARY), log);
    for (const name of PROGRAMS) symlinkSync(BINARY, join(work, name));
    renameSync(work, folder);
  } catch (error) {
    rmSync(work, { recursive: true, force: true });
    throw new ProvisionError(
      `the Kubernetes API server could not be built: ${inOneLine(wordsOf(error))}: see to that (needed: a Go module ` +
        `proxy, see GOPROXY, and some 5 GB of disk), or put ${PREBUILT}`,
      { cause: error },
    );
  }
}

/** Of a command that failed its own words. */
function wordsOf(error: unknown): string {
  const words = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
  if (words !== '') return words;
  return error instanceof Error ? error.message : String(error);
}

/** Folders of builds that were killed. The lock is held, so none of them is in use. */
function removeLeftovers(): void {
  mkdirSync(cacheDirectory(), { recursive: true });
  for (const name of readdirSync(cacheDirectory()).filter((entry) => entry.startsWith('building-'))) {
    rmSync(join(cacheDirectory(), name), { recursive: true, force: true });
  }
}

async function compile(output: string, log: Log): Promise<void> {
  const start = performance.now();
  const total = await packageCount();
  const flags = ['-buildvcs=false', '-v', '-trimpath', '-ldflags', linkFlags()];
  const go = spawn('go', ['build', ...flags, '-o', output, '.'], {
    cwd: MODULE,
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly' },
    stdio: ['ignore', 'inherit', 'pipe'],
    timeout: BUILD_DEADLINE_MS,
  });
  let compiled = 0;
  const complaints: string[] = [];
  // With -v the compiler prints one import path per package; everything else on that stream is a complaint.
  createInterface(go.stderr).on('line', (line) => {
    if (/^\S+$/.test(line)) compiled += 1;
    else complaints.push(line);
  });
  const progress = setInterval(() => {
    log(`control plane: ${compiled} of at most ${total} packages compiled, ${elapsed(start)}`);
  }, PROGRESS_MS);
  try {
    await new Promise<void>((resolve, reject) => {
      go.once('error', reject);
      go.once('close', (code) => {
        if (code === 0) resolve();
        else reject(new Error(`go build ended with ${code ?? 'a signal'}: ${complaints.slice(-20).join('\n')}`));
      });
    });
    log(`control plane built, ${elapsed(start)}`);
  } finally {
    clearInterval(progress);
  }
}

/** Also downloads the modules, which is why it may take a minute. */
async function packageCount(): Promise<number> {
  const listed = await run('go', ['list', '-deps', '.'], {
    cwd: MODULE,
    env: { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-mod=readonly' },
    timeout: COMMAND_DEADLINE_MS,
    maxBuffer: 16 * 1024 * 1024,
  });
  return listed.stdout.trim().split('\n').length;
}

/** Without its version linked in, the API server calls itself v0.0.0 and a chart's `kubeVersion` refuses it. */
function linkFlags(): string {
  const version = kubernetesVersion();
  const [major, minor] = version.slice(1).split('.');
  const set = Object.entries({ gitVersion: version, gitMajor: major, gitMinor: minor });
  return ['-s', '-w', ...set.map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`)].join(' ');
}

export function kubernetesVersion(): string {
  const found = /k8s\.io\/kubernetes (v\d+\.\d+\.\d+)/.exec(readFileSync(join(MODULE, 'go.mod'), 'utf8'));
  if (found?.[1] === undefined)
    throw new Error('test/support/controlplane/go.mod names no version of k8s.io/kubernetes');
  return found[1];
}

/** Asks with GOTOOLCHAIN=local, because a plain `go version` inside the module may download a toolchain. */
async function requireGo(): Promise<void> {
  const wanted = /^go (\d+)\.(\d+)/m.exec(readFileSync(join(MODULE, 'go.mod'), 'utf8'));
  const [major, minor] = [Number(wanted?.[1]), Number(wanted?.[2])];
  const cure = `install Go >= ${major}.${minor} (https://go.dev/dl), or put ${PREBUILT}`;
  const version = await goSays(['env', 'GOVERSION'], { GOTOOLCHAIN: 'local' });
  const found = /^go(\d+)\.(\d+)/.exec(version ?? '');
  if (version === undefined || found === null)
    throw new ProvisionError(`not found: go, to build the Kubernetes API server: ${cure}`);
  const [hasMajor, hasMinor] = [Number(found[1]), Number(found[2])];
  if (hasMajor > major || (hasMajor === major && hasMinor >= minor)) return;
  const fetches = hasMajor === 1 && hasMinor >= 21 && (await goSays(['env', 'GOTOOLCHAIN'], {})) !== 'local';
  if (!fetches) throw new ProvisionError(`${version} is too old to build the Kubernetes API server: ${cure}`);
}

async function goSays(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string | undefined> {
  try {
    return (
      await run('go', args, { cwd: '/', env: { ...process.env, ...env }, timeout: COMMAND_DEADLINE_MS })
    ).stdout.trim();
  } catch {
    return undefined;
  }
}

function elapsed(start: number): string {
  const seconds = Math.round((performance.now() - start) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} min`;
}

function onPath(name: Program): string | undefined {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.map((folder) => executable(join(folder, name))).find((path) => path !== undefined);
}

function executable(path: string): string | undefined {
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return undefined;
  }
}
