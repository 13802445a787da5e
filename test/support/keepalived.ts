import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { exec } from './exec.ts';
import { type KeepalivedSettings, runsScripts, writeKeepalivedFiles } from './keepalived-files.ts';
import type { Host } from './net.ts';
import type { Tools } from './provision.ts';
import { until } from './wait.ts';

const STOP_DEADLINE_MS = 10_000;

export interface KeepalivedOptions extends Omit<KeepalivedSettings, 'client'> {
  readonly host: Host;
  readonly tools: Tools;
}

/** keepalived of one host. */
export class Keepalived {
  readonly log: string;
  /** Its configuration, its scripts and what they say. */
  readonly directory: string;
  /** The pipe to which it tells each change of state; there while it runs. */
  readonly fifo: string;
  readonly #options: KeepalivedOptions;
  #process: ChildProcess | undefined;

  constructor(options: KeepalivedOptions) {
    this.#options = options;
    this.directory = join(options.host.directory, 'keepalived');
    this.log = this.#path('keepalived.log');
    this.fifo = this.#path('mxr.fifo');
  }

  get running(): boolean {
    return this.#process !== undefined;
  }

  /** Resolves when it takes part: from then on it hears its peer. */
  async start(): Promise<void> {
    const { host, tools } = this.#options;
    if (this.#process !== undefined) throw new Error(`keepalived runs already on ${host.name}`);
    writeKeepalivedFiles(this.directory, host.name, { ...this.#options, client: tools.mariadb.client });
    const before = this.#logText().length;
    const files = ['-f', this.#path('keepalived.conf'), '-p', this.#path('main.pid'), '-r', this.#path('vrrp.pid')];
    if (!runsScripts()) await this.#startAgent();
    const child = this.#spawn([tools.keepalived, '-n', '-l', '-D', '-P', ...files]);
    this.#process = child;
    child.once('exit', () => {
      if (this.#process === child) this.#process = undefined;
    });
    const entered = /Entering (BACKUP|MASTER|FAULT) STATE/;
    await until(`keepalived of ${host.name} takes part`, () => entered.test(this.#logText().slice(before)));
  }

  /** An orderly end: it says goodbye to the peer and gives the address up at once. */
  async stop(): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
    });
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
    await ended;
    clearTimeout(timer);
  }

  logTail(lines = 30): string {
    return this.#logText().split('\n').slice(-lines).join('\n');
  }

  /** It has to listen before keepalived speaks, and keepalived keeps a pipe that is there. */
  async #startAgent(): Promise<void> {
    if (!existsSync(this.#path('states'))) await exec(['mkfifo', '-m', '600', this.#path('states')]);
    this.#spawn([this.#path('agent.sh')]);
  }

  /** A process on the host that outlives no sandbox and keeps no test alive. */
  #spawn(command: readonly string[]): ChildProcess {
    const [program = '', ...args] = [...this.#options.host.enter, ...command];
    const log = openSync(this.log, 'a');
    const child = spawn(program, args, { stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    child.once('error', () => undefined);
    child.unref();
    return child;
  }

  #path(name: string): string {
    return join(this.directory, name);
  }

  #logText(): string {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8') : '';
  }
}
