import { execFile } from 'node:child_process';
import {
  accessSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { writePrograms } from './provision-programs.ts';

const run = promisify(execFile);
const APT_DEADLINE_MS = 300_000;

/** Why packages cannot be fetched here, or `undefined`. */
export function aptMissing(): string | undefined {
  for (const path of ['/usr/bin/apt-get', '/usr/bin/dpkg', '/var/lib/dpkg/status']) {
    if (!existsSync(path)) return 'they can be fetched automatically on Debian and Ubuntu only';
    try {
      accessSync(path);
    } catch {
      return `${path} cannot be read`;
    }
  }
  return undefined;
}

export interface UnpackRequest {
  /** Per package the names it may have, best first. */
  readonly packages: readonly (readonly string[])[];
  /** Appears only when it is complete; holds the packages' files, and `bin/` with runnable programs. */
  readonly root: string;
  /** apt's lines for another release of the distribution; then all its libraries come along, and only they are used. */
  readonly sources?: readonly string[];
  readonly log: (line: string) => void;
}

/**
 * Downloads packages and those of their dependencies that the machine lacks, and unpacks them: no root needed,
 * nothing installed, no service started, apt's own state untouched.
 */
export async function unpackPackages(request: UnpackRequest): Promise<void> {
  const { root, sources, log } = request;
  for (const name of readdirSync(dirname(root)).filter((name) => name.startsWith('unpack-'))) {
    rmSync(join(dirname(root), name), { recursive: true, force: true });
  }
  const work = mkdtempSync(join(dirname(root), 'unpack-'));
  try {
    const env = aptEnvironment(work, sources);
    log('reading the package lists ...');
    await apt(['apt-get', '-q', 'update'], env, work);
    const names = await chooseNames(request.packages, env, work);
    log(`downloading ${names.join(' ')} ...`);
    const plan = await apt(['apt-get', '--simulate', 'install', ...names], env, work);
    const wanted = [...plan.matchAll(/^Inst (\S+) (?:\[\S+\] )?\((\S+) /gm)].map((match) => `${match[1]}=${match[2]}`);
    const downloads = join(work, 'downloads');
    mkdirSync(downloads);
    await apt(['apt-get', '-q', 'download', ...wanted], env, downloads);
    log('unpacking ...');
    const unpacked = join(work, 'root');
    mkdirSync(unpacked);
    for (const file of readdirSync(downloads).filter((name) => name.endsWith('.deb'))) {
      await run('dpkg', ['-x', join(downloads, file), unpacked], { timeout: APT_DEADLINE_MS });
    }
    writePrograms(unpacked, root, sources === undefined ? 'libraries' : 'loader');
    renameSync(unpacked, root);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Where the machine gets its packages of this release, as apt knows them: site, and how it is trusted. */
export async function aptSites(release: string): Promise<{ readonly site: string; readonly options: string }[]> {
  const format = '$(CREATED_BY)|$(RELEASE)|$(CODENAME)|$(COMPONENT)|$(SITE)|$(SIGNED_BY)';
  const env = { ...process.env, LC_ALL: 'C' };
  const lines = (await apt(['apt-get', 'indextargets', '--format', format], env, '/')).split('\n');
  const sites = lines.map((line) => line.split('|')).filter(([by, ...names]) => by === 'Packages' && isMain(names));
  return sites.map(([, , , , site = '', signedBy = '']) => {
    // What apt does not know it leaves as it is.
    return { site, options: signedBy.startsWith('/') ? `[signed-by=${signedBy}] ` : '' };
  });

  function isMain([suite, codename, component]: readonly string[]): boolean {
    return component === 'main' && (suite === release || codename === release);
  }
}

function aptEnvironment(work: string, sources?: readonly string[]): NodeJS.ProcessEnv {
  for (const folder of ['state/lists/partial', 'cache/archives/partial', 'log', 'none']) {
    mkdirSync(join(work, folder), { recursive: true });
  }
  writeFileSync(join(work, 'sources.list'), `${(sources ?? []).join('\n')}\n`);
  writeFileSync(join(work, 'status'), '');
  // Preferences are about the machine's own release.
  const other = [
    `Dir::Etc::sourcelist "${work}/sources.list";`,
    `Dir::Etc::sourceparts "${work}/none";`,
    `Dir::Etc::preferences "${work}/none/preferences";`,
    `Dir::Etc::preferencesparts "${work}/none";`,
  ];
  const configuration = [
    `Dir::State "${work}/state";`,
    `Dir::State::status "${sources === undefined ? '/var/lib/dpkg/status' : join(work, 'status')}";`,
    ...(sources === undefined ? [] : other),
    `Dir::Cache "${work}/cache";`,
    `Dir::Log "${work}/log";`,
    'APT::Sandbox::User "";',
    'Debug::NoLocking "1";',
    'APT::Install-Recommends "0";',
    'APT::Get::Assume-Yes "1";',
    'Acquire::Languages "none";',
    'Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";',
    'Acquire::Retries "2";',
    // Lists that could not be read are an error here, not a warning.
    'APT::Update::Error-Mode "any";',
  ];
  writeFileSync(join(work, 'apt.conf'), `${configuration.join('\n')}\n`);
  return { ...process.env, APT_CONFIG: join(work, 'apt.conf'), LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive' };
}

async function chooseNames(
  packages: readonly (readonly string[])[],
  env: NodeJS.ProcessEnv,
  cwd: string,
): Promise<string[]> {
  const known = new Set((await apt(['apt-cache', 'pkgnames'], env, cwd)).split('\n'));
  return packages.map((names) => {
    const name = names.find((candidate) => known.has(candidate));
    if (name === undefined) throw new Error(`the distribution has none of the packages ${names.join(', ')}`);
    return name;
  });
}

async function apt(command: readonly string[], env: NodeJS.ProcessEnv, cwd: string): Promise<string> {
  const [program, ...args] = command;
  try {
    const done = await run(program ?? '', args, { env, cwd, timeout: APT_DEADLINE_MS, maxBuffer: 64 * 1024 * 1024 });
    return done.stdout;
  } catch (error) {
    const output = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new Error(`${command.slice(0, 3).join(' ')} failed: ${output === '' ? String(error) : cause(output)}`, {
      cause: error,
    });
  }
}

/** apt says the same of every file of a mirror that it cannot reach; its first error is the cause. */
function cause(output: string): string {
  return /^E: (.*)$/m.exec(output)?.[1] ?? output;
}
