import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withLock } from './lock.ts';
import { aptMissing, aptSites, unpackPackages } from './provision-apt.ts';
import { type MariaDbTools, ProvisionError, cacheDirectory } from './provision.ts';
import { sandboxDirectory } from './sandbox.ts';

/** The oldest and the newest version that mxr promises to work with, beside the one of all other tests. */
export const OTHER_VERSIONS = ['10.5', '11.8'] as const;
export type OtherVersion = (typeof OTHER_VERSIONS)[number];

/** `own`: the one of all other tests. */
export const VERSIONS = ['10.5', 'own', '11.8'] as const satisfies readonly (OtherVersion | 'own')[];
export type VersionName = (typeof VERSIONS)[number];

/** What the two members run, and what the replicas. */
export interface VersionPair {
  readonly source: VersionName;
  readonly replicas: VersionName;
}

export const OWN = 'own/own';

/** Its programs, or why this machine cannot have them. */
export type VersionTools = { readonly tools: MariaDbTools } | { readonly absent: string };

/** The release next to which the versions were tried: of others the mirror and the loader may differ. */
const HOME = 'bookworm';
const RELEASES: Readonly<Record<OtherVersion, { readonly codename: string; readonly packages: readonly string[] }>> = {
  '10.5': { codename: 'bullseye', packages: ['mariadb-server-core-10.5', 'mariadb-client-core-10.5'] },
  '11.8': { codename: 'trixie', packages: ['mariadb-server-core', 'mariadb-client-core'] },
};
const PROGRAMS = ['mariadbd', 'mariadb-install-db', 'mariadb'];
const LOCK_DEADLINE_MS = 600_000;
/** apt's words for a mirror that does not carry the release (any more). */
const NOT_CARRIED = /does not have a Release file/;

/** `SOURCE/REPLICAS`, for example `10.5/11.8`. */
export function versionPairOf(text: string): VersionPair {
  const [source, replicas, ...rest] = text.split('/').map((name) => VERSIONS.find((one) => one === name));
  if (source !== undefined && replicas !== undefined && rest.length === 0) return { source, replicas };
  throw new Error(`"${text}" is no pair of versions: SOURCE/REPLICAS, each one of ${VERSIONS.join(', ')}`);
}

/** The programs of the pair and of the replicas, which must be here; `own` are those of this machine. */
export async function programsOf(
  { source, replicas }: VersionPair,
  own: MariaDbTools,
): Promise<{ readonly mariadb: MariaDbTools; readonly replicas: MariaDbTools }> {
  return { mariadb: await programs(source, own), replicas: await programs(replicas, own) };
}

/** Why this machine cannot have one of the two; false: it has both. */
export async function absentOf({ source, replicas }: VersionPair): Promise<string | false> {
  for (const name of OTHER_VERSIONS.filter((one) => one === source || one === replicas)) {
    const found = await mariaDbVersion(name, () => undefined);
    if ('absent' in found) return `MariaDB ${name}: ${found.absent}`;
  }
  return false;
}

async function programs(version: VersionName, own: MariaDbTools): Promise<MariaDbTools> {
  if (version === 'own') return own;
  const found = await mariaDbVersion(version, () => undefined);
  if ('absent' in found) throw new Error(`MariaDB ${version}: ${found.absent}`);
  return found.tools;
}

/**
 * MariaDB of another Debian release, unpacked into the cache with all its libraries. Fetching needs the network, so call
 * this outside the sandbox first; inside, what is cached is found without any.
 */
export async function mariaDbVersion(version: OtherVersion, log: (line: string) => void): Promise<VersionTools> {
  const release = osRelease();
  if (release !== `debian ${HOME}`) return { absent: `fetched on Debian ${HOME} only, and this is ${release}` };
  const root = rootOf(version);
  // Outside, the mirror is asked again.
  if (sandboxDirectory() !== undefined && existsSync(absentFile(root))) {
    return { absent: readFileSync(absentFile(root), 'utf8') };
  }
  if (!existsSync(join(root, 'bin'))) {
    const absent = await fetched(version, root, log);
    if (absent !== undefined) return { absent };
  }
  const [server = '', installDb = '', client = ''] = PROGRAMS.map((program) => join(root, 'bin', program));
  return { tools: { server, installDb, client } };
}

async function fetched(version: OtherVersion, root: string, log: (line: string) => void): Promise<string | undefined> {
  const unable = aptMissing();
  if (unable !== undefined) throw new ProvisionError(`MariaDB ${version} cannot be fetched: ${unable}`);
  mkdirSync(cacheDirectory(), { recursive: true });
  return withLock(join(cacheDirectory(), 'provision.lock'), LOCK_DEADLINE_MS, async () => {
    if (existsSync(join(root, 'bin'))) return undefined;
    rmSync(absentFile(root), { force: true });
    const { codename, packages } = RELEASES[version];
    try {
      const sources = await sourcesOf(codename);
      log(`fetching MariaDB ${version} from Debian ${codename}:`);
      await unpackPackages({ packages: packages.map((name) => [name]), root, sources, log });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (!NOT_CARRIED.test(why)) {
        throw new ProvisionError(`MariaDB ${version} (Debian ${codename}) cannot be fetched: ${why}`, { cause: error });
      }
      writeFileSync(absentFile(root), `the mirror of this machine has no Debian ${codename}`);
      return readFileSync(absentFile(root), 'utf8');
    }
    return undefined;
  });
}

/** From the mirror that this machine uses for its own release. */
async function sourcesOf(codename: string): Promise<string[]> {
  const sites = await aptSites(HOME);
  if (sites.length === 0) throw new Error(`apt has no source of ${HOME} main`);
  return [...new Set(sites.map(({ site, options }) => `deb ${options}${site} ${codename} main`))];
}

function rootOf(version: OtherVersion): string {
  const key = createHash('sha256')
    .update(JSON.stringify([process.arch, RELEASES[version]]))
    .digest('hex')
    .slice(0, 12);
  return join(cacheDirectory(), `mariadb-${version}-${key}`);
}

function absentFile(root: string): string {
  return `${root}.absent`;
}

function osRelease(): string {
  const text = existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
  const value = (name: string): string => new RegExp(`^${name}="?([^"\n]*)`, 'm').exec(text)?.[1] ?? 'unknown';
  return `${value('ID')} ${value('VERSION_CODENAME')}`;
}
