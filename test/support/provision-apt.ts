import { execFile } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

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
  readonly log: (line: string) => void;
}

/**
 * Downloads packages and those of their dependencies that the machine lacks, and unpacks them: no root needed,
 * nothing installed, no service started, apt's own state untouched.
 */
export async function unpackPackages(request: UnpackRequest): Promise<void> {
  const { root, log } = request;
  for (const name of readdirSync(dirname(root)).filter((name) => name.startsWith('unpack-'))) {
    rmSync(join(dirname(root), name), { recursive: true, force: true });
  }
  const work = mkdtempSync(join(dirname(root), 'unpack-'));
  try {
    const env = aptEnvironment(work);
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
    writePrograms(unpacked, root);
    renameSync(unpacked, root);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function aptEnvironment(work: string): NodeJS.ProcessEnv {
  for (const folder of ['state/lists/partial', 'cache/archives/partial', 'log']) {
    mkdirSync(join(work, folder), { recursive: true });
  }
  const configuration = [
    `Dir::State "${work}/state";`,
    'Dir::State::status "/var/lib/dpkg/status";',
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

/**
 * One small script per program in `bin/`: the unpacked libraries go in front of the machine's own for this program
 * only, and MariaDB is told where its files are. `exec` keeps the process id, so signals reach the program itself.
 */
function writePrograms(unpacked: string, root: string): void {
  mkdirSync(join(unpacked, 'bin.new'));
  const libraries = libraryFolders(unpacked)
    .map((folder) => join(root, folder))
    .join(':');
  for (const folder of ['usr/sbin', 'usr/bin', 'sbin', 'bin']) {
    if (!existsSync(join(unpacked, folder))) continue;
    for (const name of readdirSync(join(unpacked, folder))) {
      const path = join(unpacked, 'bin.new', name);
      if (existsSync(path)) continue;
      const command = `exec "${join(root, folder === 'bin' ? 'bin.deb' : folder, name)}" "$@" ${extraArguments(name, root)}`;
      writeFileSync(path, `#!/bin/sh\nexport LD_LIBRARY_PATH="${libraries}"\n${command.trimEnd()}\n`);
      chmodSync(path, 0o755);
    }
  }
  if (existsSync(join(unpacked, 'bin'))) renameSync(join(unpacked, 'bin'), join(unpacked, 'bin.deb'));
  renameSync(join(unpacked, 'bin.new'), join(unpacked, 'bin'));
}

function extraArguments(program: string, root: string): string {
  const base = `--basedir="${root}/usr"`;
  if (program === 'mariadb-install-db') return base;
  if (program !== 'mariadbd') return '';
  return `${base} --lc-messages-dir="${root}/usr/share/mysql" --plugin-dir="${root}/usr/lib/mysql/plugin"`;
}

function libraryFolders(unpacked: string): string[] {
  const folders: string[] = [];
  for (const base of ['usr/lib', 'lib']) {
    if (!existsSync(join(unpacked, base))) continue;
    for (const name of readdirSync(join(unpacked, base))) {
      if (basename(name).includes('-linux-gnu')) folders.push(join(base, name));
    }
  }
  return folders;
}
