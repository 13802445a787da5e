import { type ChildProcess, spawn } from 'node:child_process';
import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Account } from './accounts.ts';
import { HOST_FILES, HOST_SCRIPTS, hostFile, siteConf } from './host-files.ts';
import type { MariaDbServer } from './mariadb.ts';
import { sandboxDirectory } from './sandbox.ts';

/** The account of accounts.sql. */
export const HOST_ACCOUNT: Account = { user: 'keepalived_script', password: 'never-in-an-argument' };

/** What a script did: its exit code, and its words. */
export interface Ran {
  readonly code: number | null;
  readonly said: string;
}

/** Makes the scripts' account as shipped; then with a password, for nobody here is called like it on the host. */
export async function createHostAccount(server: MariaDbServer): Promise<void> {
  await server.sql(hostFile('accounts.sql').replaceAll(/^--.*\n/gmu, ''));
  const { user, password } = HOST_ACCOUNT;
  await server.sql('ALTER USER ?@localhost IDENTIFIED BY ?', [user, password]);
}

/** The shipped scripts of one host, installed as a site installs them. */
export class HostSite {
  readonly directory: string;
  readonly takeovers: string;
  readonly #values: Readonly<Record<string, string | number>>;

  constructor(name: string, client: string, values: Readonly<Record<string, string | number>> = {}) {
    this.directory = join(sandboxDirectory() ?? '', `site-${name}`);
    rmSync(this.directory, { recursive: true, force: true });
    mkdirSync(this.directory, { recursive: true });
    for (const script of HOST_SCRIPTS) copyFileSync(join(HOST_FILES, script), join(this.directory, script));
    this.takeovers = join(this.directory, 'takeovers.log');
    this.#values = {
      CLIENT: client,
      CLIENT_OPTIONS: join(this.directory, 'client.cnf'),
      TAKEOVER_LOG: this.takeovers,
      LOG: join(this.directory, 'said.log'),
      DATADIR: '',
      VIP: '',
      ...values,
    };
    this.site({});
  }

  /** Writes site.conf anew. */
  site(values: Readonly<Record<string, string | number>>): void {
    writeFileSync(join(this.directory, 'site.conf'), siteConf({ ...this.#values, ...values }));
  }

  /** Whom the scripts are at the database. */
  account(socket: string, { user, password }: Account = HOST_ACCOUNT): void {
    const lines = ['[client]', `user=${user}`, `password=${password}`, `socket=${socket}`, ''];
    writeFileSync(join(this.directory, 'client.cnf'), lines.join('\n'), { mode: 0o600 });
  }

  start(script: string): { readonly child: ChildProcess; readonly ended: Promise<Ran> } {
    const path = join(this.directory, `${script}.sh`);
    const child = spawn(path, [join(this.directory, 'site.conf')], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (said += String(text)));
    const ended = new Promise<Ran>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code) => resolve({ code, said }));
    });
    return { child, ended };
  }

  run(script: string): Promise<Ran> {
    return this.start(script).ended;
  }
}
