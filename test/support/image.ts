import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';

/** What a Dockerfile makes, as far as a machine without a container engine can tell: files, and how they are run. */
export interface Image {
  /** Its root; only what the Dockerfile put there, nothing of the base image. */
  readonly root: string;
  readonly env: Readonly<Record<string, string>>;
  readonly user: string;
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
}

interface Stage {
  readonly root: string;
  workdir: string;
  user: string;
  readonly env: Record<string, string>;
  entrypoint: readonly string[];
  cmd: readonly string[];
}

interface Build {
  readonly context: string;
  readonly into: string;
  readonly allowed: readonly string[];
  readonly stages: Map<string, Stage>;
  readonly mariadbBinlog: string;
}

const BUILD_DEADLINE_MS = 240_000;

/** Does what each line of the Dockerfile says, in a directory per stage. A line that it does not know is an error. */
export function buildImage(context: string, into: string, mariadbBinlog: string): Image {
  const build: Build = { context, into, allowed: allowedIn(context), stages: new Map(), mariadbBinlog };
  let stage: Stage | undefined;
  for (const line of linesOf(readFileSync(join(context, 'Dockerfile'), 'utf8'))) {
    const [instruction = '', rest = ''] = splitOnce(line);
    if (instruction === 'FROM') stage = begin(build, rest);
    else if (stage === undefined) throw new Error(`${line}: before FROM`);
    else carryOut(build, stage, instruction, rest);
  }
  if (stage === undefined) throw new Error('the Dockerfile has no FROM');
  const { root, env, user, entrypoint, cmd } = stage;
  return { root, env, user, entrypoint, command: [...entrypoint, ...cmd] };
}

function linesOf(text: string): string[] {
  const lines = text.replaceAll('\\\n', ' ').split('\n');
  return lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
}

function splitOnce(line: string): string[] {
  const space = line.indexOf(' ');
  return [line.slice(0, space), line.slice(space + 1).trim()];
}

/** The names that .dockerignore lets in: it forbids all, and then names them. */
function allowedIn(context: string): string[] {
  const [all, ...rest] = linesOf(readFileSync(join(context, '.dockerignore'), 'utf8'));
  if (all !== '*') throw new Error('.dockerignore is expected to begin with *');
  return rest.filter((line) => line.startsWith('!')).map((line) => line.slice(1));
}

function begin({ stages, into }: Build, rest: string): Stage {
  const name = / AS (\S+)$/.exec(rest)?.[1] ?? `stage${stages.size}`;
  const root = join(into, name);
  mkdirSync(root, { recursive: true });
  const stage: Stage = { root, workdir: '/', user: '0:0', env: {}, entrypoint: [], cmd: [] };
  stages.set(name, stage);
  return stage;
}

function carryOut(build: Build, stage: Stage, instruction: string, rest: string): void {
  switch (instruction) {
    case 'WORKDIR':
      stage.workdir = rest;
      mkdirSync(join(stage.root, rest), { recursive: true });
      break;
    case 'COPY':
      copy(build, stage, rest);
      break;
    case 'RUN':
      run(stage, rest, build.mariadbBinlog);
      break;
    case 'ENV':
      Object.assign(stage.env, Object.fromEntries([rest.split('=', 2)]));
      break;
    case 'USER':
      stage.user = rest;
      break;
    case 'ENTRYPOINT':
      stage.entrypoint = JSON.parse(rest) as string[];
      break;
    case 'CMD':
      stage.cmd = JSON.parse(rest) as string[];
      break;
    case 'EXPOSE':
      break;
    default:
      throw new Error(`${instruction} ${rest}: this instruction is not known here`);
  }
}

function copy({ stages, context, allowed }: Build, stage: Stage, rest: string): void {
  const from = /^--from=(\S+) /.exec(rest)?.[1];
  const words = rest.replace(/^--from=\S+ /, '').split(/\s+/);
  const [to = '', ...sources] = words.toReversed();
  const base = from === undefined ? context : stages.get(from)?.root;
  if (base === undefined) throw new Error(`COPY ${rest}: there is no stage ${from}`);
  for (const source of sources) {
    if (from === undefined && !allowed.includes(source)) throw new Error(`.dockerignore keeps ${source} out`);
    const target = join(stage.root, resolve(stage.workdir, to), to.endsWith('/') ? source : '');
    cpSync(join(base, source), target, { recursive: true, verbatimSymlinks: true });
  }
}

/** Its libraries are those of this machine, as all of the base image are. */
const LIBRARIES =
  'apt-get update && apt-get install --yes --no-install-recommends libssl3 && rm -rf /var/lib/apt/lists/*';
const BINLOG_TOOL = 'apt-get update && apt-get download mariadb-client && dpkg-deb -x mariadb-client_*.deb /mariadb';

/** Packages come from npm's cache where they can: it was filled when this checkout was set up. */
function run(stage: Stage, command: string, mariadbBinlog: string): void {
  if (command === LIBRARIES) return;
  if (command === BINLOG_TOOL) {
    // What set-up fetched of the same package: nothing can be downloaded here.
    const unpacked = join(dirname(mariadbBinlog), '../usr/bin/mariadb-binlog');
    const target = join(stage.root, 'mariadb/usr/bin/mariadb-binlog');
    cpSync(existsSync(unpacked) ? unpacked : mariadbBinlog, target, { recursive: true, dereference: true });
    return;
  }
  if (!command.startsWith('npm ci ')) throw new Error(`RUN ${command}: it is not known here`);
  const args = [...command.split(/\s+/).slice(1), '--prefer-offline'];
  execFileSync('npm', args, { cwd: join(stage.root, stage.workdir), stdio: 'pipe', timeout: BUILD_DEADLINE_MS });
}

export interface ContainerOptions {
  readonly image: Image;
  /** Instead of the image's arguments. */
  readonly args?: readonly string[];
  /** Instead of the image's program and arguments. */
  readonly command?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** More files in the container, by absolute path. */
  readonly files?: Readonly<Record<string, string>>;
}

/**
 * The command that runs the image as its user, on a root file system on which nothing can be written: what the image
 * has, Node.js as the base image has it, the libraries of this machine. Needs a mount namespace to end in.
 */
export function containerCommand(options: ContainerOptions, root: string): readonly string[] {
  const { image, args, command, env = {}, files = {} } = options;
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, path, '..'), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const variables = Object.entries({ PATH: '/node:/usr/bin', ...image.env, ...env }).map(([k, v]) => `${k}=${v}`);
  const program = args === undefined ? image.command : [...image.entrypoint, ...args];
  const node = join(process.execPath, '..');
  const words = ['env', '-i', ...variables, ...(command ?? program)];
  return ['unshare', '--mount', 'sh', '-ec', SETUP, 'sh', root, image.root, node, image.user, ...words];
}

/** Everything is mounted read-only, also /tmp: the image declares no path that it writes to. */
const SETUP = `
root=$1; image=$2; node=$3; user=$4; shift 4
mount --bind "$root" "$root"
mkdir -p "$root/proc" "$root/dev" "$root/tmp"
chmod 1777 "$root/tmp"
show() {
  mkdir -p "$root/$2"
  mount --bind "$1" "$root/$2"
  mount -o remount,bind,ro "$root/$2"
}
for dir in usr lib lib64 bin etc; do [ -e "/$dir" ] && show "/$dir" "$dir"; done
show "$image/app" app
show "$image/usr/local/bin" usr/local/bin
show "$node" node
mount --rbind /proc "$root/proc"
for device in null urandom; do touch "$root/dev/$device"; mount --bind "/dev/$device" "$root/dev/$device"; done
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" "$root" "$@"
`;
