import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { aptMissing, unpackPackages } from './provision-apt.ts';
import { withLock } from './lock.ts';
import { ProvisionError, inOneLine } from './provision-error.ts';

export { ProvisionError } from './provision-error.ts';

/** Programs of one MariaDB version, by absolute path; each runs as it is, no environment needed. */
export interface MariaDbTools {
  readonly server: string;
  readonly installDb: string;
  readonly client: string;
}

/** What the benches run, by absolute path. */
export interface Tools {
  readonly mariadb: MariaDbTools;
  readonly mariadbBinlog: string;
  readonly keepalived: string;
  readonly nft: string;
  readonly ip: string;
  /** Where set-up keeps what it has made, e.g. the data directory templates. */
  readonly cache: string;
}

interface Need {
  /** Each must be found, or the packages are fetched. */
  readonly programs: readonly string[];
  /** Alternatives, best first: names differ between releases. */
  readonly packages: readonly (readonly string[])[];
}

const NEEDS: readonly Need[] = [
  {
    programs: ['mariadbd', 'mariadb-install-db', 'mariadb'],
    packages: [
      ['mariadb-server-core', 'mariadb-server-core-10.6', 'mariadb-server-core-10.5'],
      ['mariadb-client-core', 'mariadb-client-core-10.6', 'mariadb-client-core-10.5'],
    ],
  },
  {
    programs: ['mariadb-binlog'],
    packages: [['mariadb-client', 'mariadb-client-10.6', 'mariadb-client-10.5']],
  },
  { programs: ['keepalived'], packages: [['keepalived']] },
  { programs: ['nft'], packages: [['nftables']] },
  { programs: ['ip'], packages: [['iproute2']] },
];
/** Part of Debian and Ubuntu themselves; nothing works without them. */
const BASE = {
  unshare: 'util-linux',
  nsenter: 'util-linux',
  flock: 'util-linux',
  mount: 'mount',
  hostname: 'hostname',
  sh: 'dash',
} as const;

const LOCK_DEADLINE_MS = 600_000;

export function cacheDirectory(): string {
  return process.env['MXR_CACHE'] ?? join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'mxr');
}

/** Brings every program that the benches need, from the PATH or from the distribution's packages. Idempotent. */
export async function provision(log: (line: string) => void): Promise<Tools> {
  requireBase();
  const missing = NEEDS.filter((need) => need.programs.some((program) => findProgram(program) === undefined));
  const cache = cacheDirectory();
  if (missing.length === 0) return toolsFrom((program) => requireFound(program, findProgram(program)), cache);
  const root = join(cache, `root-${rootKey(missing)}`);
  if (!existsSync(join(root, 'bin'))) {
    const packages = missing.flatMap((need) => need.packages);
    const programs = missing.flatMap((need) => need.programs).join(', ');
    const names = packages.map((names) => names[0]).join(' ');
    const unable = aptMissing();
    if (unable !== undefined) {
      throw new ProvisionError(`not found: ${programs}. Install the packages ${names} (${unable}).`);
    }
    await withLock(join(cache, 'provision.lock'), LOCK_DEADLINE_MS, async () => {
      if (existsSync(join(root, 'bin'))) return;
      try {
        await unpackPackages({ packages, root, log });
      } catch (error) {
        const why = inOneLine(error instanceof Error ? error.message : String(error));
        throw new ProvisionError(
          `not found: ${programs}, and the packages could not be fetched (${why}): install the packages ${names}, ` +
            'or try again where the package mirror can be reached',
          { cause: error },
        );
      }
    });
  }
  const fetched = new Set(missing.flatMap((need) => need.programs));
  return toolsFrom((program) => {
    return requireFound(program, fetched.has(program) ? executable(join(root, 'bin', program)) : findProgram(program));
  }, cache);
}

function toolsFrom(path: (program: string) => string, cache: string): Tools {
  return {
    mariadb: { server: path('mariadbd'), installDb: path('mariadb-install-db'), client: path('mariadb') },
    mariadbBinlog: path('mariadb-binlog'),
    keepalived: path('keepalived'),
    nft: path('nft'),
    ip: path('ip'),
    cache,
  };
}

/** Fails, before anything is changed, on a machine where no namespace can be made or a base program is missing. */
function requireBase(): void {
  for (const [program, name] of Object.entries(BASE)) {
    if (findProgram(program) === undefined)
      throw new ProvisionError(`not found: ${program}. Install the package ${name}.`);
  }
  if (process.env['MXR_SANDBOX'] !== undefined) return;
  const flags = process.getuid?.() === 0 ? ['--net', '--mount', '--pid', '--fork'] : ['-Urnm', '--pid', '--fork'];
  const tried = spawnSync('unshare', [...flags, 'true'], { encoding: 'utf8', cwd: tmpdir() });
  if (tried.status !== 0) {
    throw new ProvisionError(
      `this machine does not let us make namespaces (${tried.error?.message ?? inOneLine(tried.stderr)}): run as root, or allow user namespaces ` +
        '(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)',
    );
  }
}

/** What is unpacked depends on what is missing and on the release, so either change leads to a root of its own. */
function rootKey(missing: readonly Need[]): string {
  const release = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const text = JSON.stringify([process.arch, release, missing.map((need) => need.packages)]);
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

/** Unprivileged users often have no sbin in their PATH, where these programs live. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
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

function requireFound(program: string, path: string | undefined): string {
  if (path === undefined)
    throw new ProvisionError(`the fetched packages hold no ${program}: remove the cache and try again`);
  return path;
}
