import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import type { Writable } from 'node:stream';

/** Work directory inside the sandbox: a tmpfs, with a short path because unix socket paths end at 107 bytes. */
const WORK = '/run/mxr';
/** After a forwarded signal the processes inside may clean up for this long. */
const GRACE_MS = 20_000;

/**
 * Inside, as process 1 (it reaps orphans). The subshell notices the end of the outer process, however it ended,
 * by the end of its pipe (descriptor 3), and then kills all; a word in the pipe is a signal for the main process.
 */
const INIT = `
mount -t tmpfs -o mode=755 tmpfs /run || exit 70
mkdir -p ${WORK} /run/netns /run/lock
mount --bind /run/netns /run/netns || exit 71
[ ! -d /dev/shm ] || mount -t tmpfs tmpfs /dev/shm || exit 73
ip link set lo up || exit 72
( while read -r signal; do kill -s "$signal" "$(cat ${WORK}/main.pid)"; done; kill -KILL -1 ) <&3 >/dev/null 2>&1 &
sh -c 'echo $$ > ${WORK}/main.pid; exec "$@"' main "$@" 3<&-
exit $?
`;

/**
 * Outside; `exec` keeps the process id, which is how others find the namespaces. Whether there is a user namespace
 * among them ($0) cannot be seen from within, where everybody is root.
 */
const ENTER = 'export MXR_SANDBOX_ENTER="nsenter --target $$ $0--net --mount"; exec unshare "$@"';

export interface SandboxOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly stdio?: 'inherit' | 'pipe';
  /** With `stdio: 'pipe'`: what is written to its input reaches the process inside. */
  readonly hasInput?: boolean;
}

/** A process in namespaces of its own; `signal` reaches it, `kill` ends everything inside. */
export interface Sandboxed {
  readonly process: ChildProcess;
  signal(name: NodeJS.Signals): void;
  kill(): void;
}

/** The work directory when this process runs in a sandbox. */
export function sandboxDirectory(): string | undefined {
  return process.env['MXR_SANDBOX'];
}

/** Inside: what a process outside, of the same user, puts before a command to run it in here. */
export function sandboxEntrance(): string | undefined {
  return process.env['MXR_SANDBOX_ENTER'];
}

/** Runs a command in fresh network, mount and pid namespaces, which end with it and with this process. */
export function spawnInSandbox(program: string, args: readonly string[], options: SandboxOptions = {}): Sandboxed {
  const privileged = process.getuid?.() === 0;
  const user = privileged ? [] : ['--user', '--map-root-user'];
  const flags = [...user, '--net', '--mount', '--pid', '--fork', '--kill-child=KILL', '--mount-proc'];
  const enter = ['-c', ENTER, privileged ? '' : '--user --preserve-credentials '];
  const stdio = options.stdio ?? 'inherit';
  const child = spawn('sh', [...enter, ...flags, 'sh', '-c', INIT, 'sandbox', program, ...args], {
    stdio: [options.hasInput === true ? 'pipe' : stdio === 'inherit' ? 'inherit' : 'ignore', stdio, stdio, 'pipe'],
    env: { ...process.env, ...options.env, MXR_SANDBOX: WORK },
    // A Ctrl-C of the terminal is for this process, which forwards it: inside it would end everything at once.
    detached: true,
  });
  const control = child.stdio[3] as Writable;
  // The other end vanishes with the sandbox; what is written afterwards has nobody to reach.
  control.on('error', () => undefined);
  return {
    process: child,
    signal: (name) => void control.write(`${name.replace('SIG', '')}\n`),
    kill: () => void control.destroy(),
  };
}

/**
 * Runs this very program again inside a sandbox and ends this process with its result; inside, returns the work
 * directory at once. Call it first in whatever uses namespaces. Everything made inside vanishes with the process.
 */
export async function enterSandbox(): Promise<string> {
  const directory = sandboxDirectory();
  if (directory !== undefined) return directory;
  const script = process.argv[1];
  if (script === undefined) throw new Error('there is no script to run again inside a sandbox');
  const inside = spawnInSandbox(process.execPath, [...process.execArgv, script, ...process.argv.slice(2)]);
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      inside.signal(name);
      setTimeout(() => inside.kill(), GRACE_MS).unref();
    });
  }
  const code = await new Promise<number>((resolve, reject) => {
    inside.process.once('error', reject);
    inside.process.once('exit', (status, signal) =>
      resolve(status ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
  process.exit(code);
}
