import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { freezeProcess, isFrozen } from '../../support/freeze.ts';
import type { Host } from '../../support/net.ts';
import { until } from '../../support/wait.ts';

const MAIN = join(import.meta.dirname, '../../../src/main.ts');
const STOP_DEADLINE_MS = 12_000;

export interface OperatorOptions {
  readonly host: Host;
  readonly kubeconfig: string;
  readonly podName?: string;
  /** The program to run instead of `mxr operator`. */
  readonly program?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Where its lines go, for a person who watches. */
  readonly onLine?: (line: string) => void;
}

/** The real operator, as the image runs it, in a process of its own on the operator's host. */
export class OperatorProcess {
  readonly lines: string[] = [];
  readonly #process: ChildProcess;
  #ended: { code: number | null } | null = null;

  constructor(options: OperatorOptions) {
    const { host, kubeconfig, podName = 'mxr-0', program = [MAIN, 'operator'], env = {}, onLine } = options;
    this.#process = spawn('nsenter', [...host.enter.slice(1), process.execPath, ...program], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: {
        PATH: process.env['PATH'],
        KUBECONFIG: kubeconfig,
        MXR_POD_NAME: podName,
        MXR_POD_NAMESPACE: 'mxr',
        MXR_LEASE_NAMESPACE: 'mxr',
        MXR_NAMESPACES: 'mxr',
        MXR_HTTP_PORT: '8080',
        ...env,
      },
    });
    this.#process.once('exit', (code) => {
      this.#ended = { code };
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream === null) continue;
      createInterface({ input: stream }).on('line', (line) => {
        this.lines.push(line);
        onLine?.(line);
      });
    }
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  get running(): boolean {
    return this.#ended === null;
  }

  /** Resolves when a log line has this message; fails at once when the process has ended. */
  async says(message: string, deadlineMs = 30_000): Promise<void> {
    await until(
      `the operator says "${message}"`,
      () => {
        if (this.#ended !== null) throw new Error(`the operator ended with ${this.#ended.code}: ${this.tail()}`);
        return this.lines.some((line) => line.includes(`"message":"${message}"`));
      },
      { deadlineMs },
    );
  }

  tail(count = 20): string {
    return this.lines.slice(-count).join('\n');
  }

  async stop(): Promise<number | null> {
    if (this.#ended !== null) return this.#ended.code;
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_DEADLINE_MS);
    await exit;
    clearTimeout(timer);
    return this.#ended === null ? null : this.exitCode();
  }

  exitCode(): number | null {
    return this.#ended?.code ?? null;
  }

  async kill9(): Promise<void> {
    if (this.#ended !== null) return;
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exit;
  }

  async freeze(): Promise<void> {
    if (this.#process.pid !== undefined) await freezeProcess(this.#process.pid);
  }

  get frozen(): boolean {
    return isFrozen(this.pid);
  }

  thaw(): void {
    this.#process.kill('SIGCONT');
  }
}
