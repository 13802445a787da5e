import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { inNetns } from './daemon.ts';
import { type Servers, adminKubeconfigFile } from './servers.ts';

const DEADLINE_MS = 60_000;

/** kubectl as the administrator, from the namespace of the servers. Its caches stay in the bench's directory. */
export function runKubectl(servers: Servers, args: readonly string[], stdin = ''): Promise<string> {
  const { binaries, dir, netns } = servers;
  const env = { HOME: dir, KUBECONFIG: adminKubeconfigFile(dir) };
  return runTool(inNetns(netns, [binaries.kubectl, ...args]), { stdin, env });
}

export interface ToolOptions {
  readonly stdin?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a command to its end, within a minute, and resolves with its stdout. A failure carries its stderr. */
export async function runTool(command: readonly string[], options: ToolOptions = {}): Promise<string> {
  const [program, ...args] = command;
  const child = spawn(program ?? '', args, {
    env: { ...process.env, ...options.env },
    stdio: 'pipe',
    timeout: DEADLINE_MS,
    killSignal: 'SIGKILL',
  });
  // A command that ends without reading its input breaks the pipe; its exit code tells what matters.
  child.stdin.on('error', () => undefined);
  child.stdin.end(options.stdin ?? '');
  const ended = new Promise<number | string>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve(code ?? signal ?? 'no exit code'));
  });
  const [code, stdout, stderr] = await Promise.all([ended, text(child.stdout), text(child.stderr)]);
  if (code !== 0) throw new Error(`${command.slice(0, 4).join(' ')} ... failed (${code}): ${stderr.trim()}`);
  return stdout;
}
