import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Host } from './net.ts';
import type { Tools } from './provision.ts';
import { until } from './wait.ts';

const STOP_DEADLINE_MS = 10_000;

export interface KeepalivedOptions {
  readonly host: Host;
  readonly tools: Tools;
  readonly vip: string;
  readonly priority: number;
  readonly advertSeconds: number;
  /** Whether the host with the higher priority takes the address back as soon as it can. */
  readonly preempt: boolean;
  /** Failed checks in a row, one a second, before the host gives the address up; more lets a database restart in place. */
  readonly fall: number;
  /** Local socket of the database whose health decides. */
  readonly socket: string;
  /** Shell text to run on entering a state; `$SQL` runs a statement on the local database. */
  readonly notify: Readonly<Partial<Record<NotifyState, string>>>;
}

export type NotifyState = 'master' | 'backup' | 'fault' | 'stop';

/** keepalived of one host, configured the way people configure it for a database pair. */
export class Keepalived {
  readonly log: string;
  readonly #options: KeepalivedOptions;
  readonly #directory: string;
  #process: ChildProcess | undefined;

  constructor(options: KeepalivedOptions) {
    this.#options = options;
    this.#directory = join(options.host.directory, 'keepalived');
    this.log = join(this.#directory, 'keepalived.log');
  }

  get running(): boolean {
    return this.#process !== undefined;
  }

  /** Resolves when it takes part: from then on it hears its peer. */
  async start(): Promise<void> {
    if (this.#process !== undefined) throw new Error(`keepalived runs already on ${this.#options.host.name}`);
    this.#write();
    const { host, tools } = this.#options;
    const files = ['-f', this.#path('keepalived.conf'), '-p', this.#path('main.pid'), '-r', this.#path('vrrp.pid')];
    const [program = '', ...args] = [...host.enter, tools.keepalived, '-n', '-l', '-D', '-P', ...files];
    const before = this.#logText().length;
    const log = openSync(this.log, 'a');
    const child = spawn(program, args, { stdio: ['ignore', log, log], detached: true });
    closeSync(log);
    child.unref();
    this.#process = child;
    child.once('error', () => undefined);
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

  #logText(): string {
    return existsSync(this.log) ? readFileSync(this.log, 'utf8') : '';
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  #write(): void {
    const { tools, socket, notify } = this.#options;
    mkdirSync(this.#directory, { recursive: true });
    const client = `"${tools.mariadb.client}" --no-defaults --connect-timeout=1 -u root -S "${socket}" -N -B -e`;
    const scripts: Record<string, string> = { check: '$SQL "SELECT 1"', ...notify };
    for (const [name, text] of Object.entries(scripts)) {
      const body = text.replaceAll('$SQL', client);
      writeFileSync(this.#path(`${name}.sh`), `#!/bin/sh\nexec >>"${this.#path('scripts.log')}" 2>&1\n${body}\n`);
      chmodSync(this.#path(`${name}.sh`), 0o755);
    }
    writeFileSync(this.#path('keepalived.conf'), this.#configuration());
  }

  #configuration(): string {
    const { host, vip, priority, advertSeconds, preempt, fall, notify } = this.#options;
    // In a user namespace / belongs to nobody, and keepalived would find every script's path insecure.
    const rootIsOurs = statSync('/').uid === 0;
    const notifies = Object.keys(notify).map((state) => `  notify_${state} "${this.#path(`${state}.sh`)}"`);
    return `global_defs {
  router_id ${host.name}
  script_user root
${rootIsOurs ? '  enable_script_security\n' : ''}}
vrrp_script database {
  script "${this.#path('check.sh')}"
  interval 1
  timeout 2
  fall ${fall}
  rise 1
}
vrrp_instance pair {
  state BACKUP
  interface eth0
  virtual_router_id 51
  priority ${priority}
  advert_int ${advertSeconds}
${preempt ? '' : '  nopreempt\n'}  virtual_ipaddress {
    ${vip}/24 dev eth0
  }
  track_script {
    database
  }
${notifies.join('\n')}
}
`;
  }
}
