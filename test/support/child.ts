import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Host } from './net.ts';

const STOP_DEADLINE_MS = 10_000;

/** A program of the bench on one of its hosts: configuration goes in by stdin, JSON lines come out. */
export class HostProgram {
  readonly #process: ChildProcess;
  readonly #ended: Promise<void>;
  #errors = '';

  /** `configuration` may hold passwords: it is neither an argument nor in the environment. */
  constructor(host: Host, script: string, configuration: unknown, onLine: (line: unknown) => void) {
    this.#process = spawn('nsenter', [...host.enter.slice(1), process.execPath, script], {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: true,
    });
    this.#ended = new Promise((resolve, reject) => {
      this.#process.once('error', reject);
      this.#process.once('close', (code) => {
        if (code === 0) resolve();
        else reject(new Error(`${script} ended with ${code ?? 'a signal'}: ${this.#errors}`));
      });
    });
    // Whoever stops it sees the failure; until then it must not end the test process.
    this.#ended.catch(() => undefined);
    this.#process.stderr?.on('data', (text: Buffer) => {
      this.#errors = (this.#errors + text.toString()).slice(-4_000);
    });
    this.#process.stdin?.on('error', () => undefined);
    if (this.#process.stdout !== null) {
      createInterface({ input: this.#process.stdout }).on('line', (line) => onLine(JSON.parse(line)));
    }
    this.send(configuration);
    this.#letGo();
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  send(message: unknown): void {
    this.#process.stdin?.write(`${JSON.stringify(message)}\n`);
  }

  /** Like the servers of a bench, it does not keep a test alive that failed before its end. */
  #letGo(): void {
    const { stdin, stdout, stderr } = this.#process;
    for (const stream of [this.#process, stdin, stdout, stderr]) {
      if (stream !== null && 'unref' in stream && typeof stream.unref === 'function') stream.unref();
    }
  }

  /** Ends its input, which tells it to finish; rejects when it failed. */
  async stop(): Promise<void> {
    this.#process.stdin?.end();
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_DEADLINE_MS);
    try {
      await this.#ended;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Inside such a program: its configuration, and a signal that aborts when it shall end. */
export async function programInput(): Promise<{ configuration: unknown; signal: AbortSignal }> {
  const end = new AbortController();
  const lines = createInterface({ input: process.stdin });
  lines.once('close', () => end.abort());
  const configuration = await new Promise<unknown>((resolve) => {
    lines.once('line', (line) => resolve(JSON.parse(line)));
  });
  return { configuration, signal: end.signal };
}

export function emit(line: unknown): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
