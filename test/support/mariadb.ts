import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freezeProcess } from './freeze.ts';
import { type Params, type Row, runSql } from './mariadb-sql.ts';
import { REDO_LOG_SIZE, templateDirectory } from './mariadb-template.ts';
import { type MariaDbTools, provision } from './provision.ts';
import { sandboxDirectory } from './sandbox.ts';
import { until } from './wait.ts';

const run = promisify(execFile);
const START_DEADLINE_MS = 30_000;
const STOP_DEADLINE_MS = 30_000;
const SQL_DEADLINE_MS = 30_000;

/** Server options by name: `true` gives `--name`, `false` gives `--skip-name`, anything else `--name=value`. */
export type ServerOptions = Readonly<Record<string, string | number | boolean>>;

export interface MariaDbOptions {
  /** Unique in the sandbox; names the directory, the binlog and the messages. */
  readonly name: string;
  readonly serverId: number;
  /** Address to listen on and to be reached at; default 127.0.0.1. */
  readonly host?: string;
  /** Address to bind when it differs from `host`, e.g. `0.0.0.0` where a VIP comes and goes. */
  readonly bindAddress?: string;
  readonly port: number;
  /** Command prefix that enters the namespaces of its host; default: this process's own. */
  readonly enter?: readonly string[];
  readonly server?: ServerOptions;
  /** What is in its option file; what that says is no argument then. By default it has none. */
  readonly optionFile?: string;
  /** Connection name of the replication that concerns the bench; by default the one without a name. */
  readonly channel?: string;
  /** Of its process, beside what this one has. */
  readonly env?: Readonly<Record<string, string>>;
  /** Another server's, of which only one runs at a time; default: its own. */
  readonly datadir?: string;
  readonly tools: MariaDbTools;
  readonly cache: string;
}

/** One real MariaDB server with a data directory in memory. */
export class MariaDbServer {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly serverId: number;
  readonly channel: string;
  readonly directory: string;
  readonly datadir: string;
  readonly socket: string;
  readonly errorLog: string;
  readonly generalLog: string;
  readonly #options: MariaDbOptions;
  #server: ServerOptions;
  #process: ChildProcess | undefined;
  #frozen = false;

  constructor(options: MariaDbOptions) {
    const sandbox = sandboxDirectory();
    if (sandbox === undefined) throw new Error('database servers run in a sandbox only: call enterSandbox() first');
    this.#options = options;
    this.#server = options.server ?? {};
    this.name = options.name;
    this.host = options.host ?? '127.0.0.1';
    this.port = options.port;
    this.serverId = options.serverId;
    this.channel = options.channel ?? '';
    this.directory = join(sandbox, options.name);
    this.datadir = options.datadir ?? join(this.directory, 'data');
    this.socket = join(this.directory, 'sql.sock');
    this.errorLog = join(this.directory, 'error.log');
    this.generalLog = join(this.directory, 'general.log');
  }

  get running(): boolean {
    return this.#process !== undefined;
  }

  /** Process id of mariadbd itself. */
  get pid(): number {
    const pid = this.#process?.pid;
    if (pid === undefined) throw new Error(`${this.name} is not running`);
    return pid;
  }

  /** Starts the server (a first start gets a fresh data directory) and resolves once it answers on its socket. */
  async start(): Promise<void> {
    if (this.#process !== undefined) throw new Error(`${this.name} is running already`);
    if (!existsSync(this.datadir)) await this.wipe();
    const [program = '', ...args] = [...(this.#options.enter ?? []), this.#options.tools.server, ...this.#arguments()];
    const log = openSync(this.errorLog, 'a');
    const child = spawn(program, args, {
      stdio: ['ignore', log, log],
      cwd: this.directory,
      env: { ...process.env, ...this.#options.env },
      // Out of the terminal's reach: Ctrl-C is for the bench, which ends its servers itself.
      detached: true,
    });
    closeSync(log);
    // A test that failed before it could close its bench shall end all the same; its sandbox takes the rest down.
    child.unref();
    this.#process = child;
    this.#frozen = false;
    child.once('exit', () => {
      if (this.#process === child) this.#process = undefined;
    });
    child.once('error', () => undefined);
    try {
      await until(`${this.name} answers on its socket`, () => this.#answers(child), { deadlineMs: START_DEADLINE_MS });
      if (this.#process !== child) throw new Error(`${this.name} ended while it was starting`);
    } catch (error) {
      await this.kill9();
      throw new Error(`${this.name} did not start; the end of its error log:\n${this.logTail()}`, { cause: error });
    }
  }

  /** A clean shutdown. */
  async stop(): Promise<void> {
    if (this.#process === undefined) return;
    this.thaw();
    await this.#end('SIGTERM');
  }

  /** A crash of the process. */
  async kill9(): Promise<void> {
    if (this.#process !== undefined) await this.#end('SIGKILL');
  }

  /** Starts again, cleanly; `server` changes options from now on. */
  async restart(server: ServerOptions = {}): Promise<void> {
    await this.stop();
    this.configure(server);
    await this.start();
  }

  /** Changes options for the next start. */
  configure(server: ServerOptions): void {
    this.#server = { ...this.#server, ...server };
  }

  /** The process stays, holds its sockets and answers nothing. */
  async freeze(): Promise<void> {
    this.#frozen = true;
    await freezeProcess(this.pid);
  }

  thaw(): void {
    if (this.#frozen && this.#process !== undefined) process.kill(this.pid, 'SIGCONT');
    this.#frozen = false;
  }

  /** Replaces the data directory by an empty one; the server must not run. */
  async wipe(): Promise<void> {
    const template = await templateDirectory(this.#options.tools, this.#options.cache);
    rmSync(this.datadir, { recursive: true, force: true });
    mkdirSync(this.directory, { recursive: true });
    await run('cp', ['-a', template, this.datadir]);
  }

  /** Runs statements (`;` between them) as root over the unix socket; returns the rows of the last result set. */
  sql(text: string, params: Params = [], deadlineMs = SQL_DEADLINE_MS): Promise<Row[]> {
    return runSql({ name: this.name, socketPath: this.socket, user: 'root' }, text, params, deadlineMs);
  }

  /** The first row, or an error. */
  async row(text: string, params: Params = []): Promise<Row> {
    const [row] = await this.sql(text, params);
    if (row === undefined) throw new Error(`${this.name}: no row for ${text}`);
    return row;
  }

  /** The last lines of the error log. */
  logTail(lines = 30): string {
    if (!existsSync(this.errorLog)) return '(there is none)';
    return readFileSync(this.errorLog, 'utf8').split('\n').slice(-lines).join('\n');
  }

  #arguments(): string[] {
    const { name, server, port, bindAddress } = { ...this.#options, server: this.#server };
    const options: ServerOptions = {
      // First, because it sets the names of the other logs.
      'log-basename': name,
      'skip-name-resolve': true,
      'innodb-buffer-pool-size': '64M',
      'innodb-log-file-size': REDO_LOG_SIZE,
      user: 'root',
      datadir: this.datadir,
      // Servers of other sandboxes can have the same process id, and temporary tables are named by it.
      tmpdir: this.directory,
      socket: this.socket,
      'pid-file': join(this.directory, 'mariadbd.pid'),
      'log-error': this.errorLog,
      'general-log-file': this.generalLog,
      'log-bin': `${name}-bin`,
      'binlog-format': 'MIXED',
      'server-id': this.serverId,
      'bind-address': bindAddress ?? this.host,
      port,
      ...server,
    };
    const { optionFile } = this.#options;
    const own = Object.entries(options);
    if (optionFile === undefined) return ['--no-defaults', ...own.map(([key, value]) => argument(key, value))];
    const path = join(this.directory, 'my.cnf');
    writeFileSync(path, optionFile);
    const said = new Set([...optionFile.matchAll(/^([a-z]\w*)/gmu)].map(([, name = '']) => name.replaceAll('_', '-')));
    const left = own.filter(([key]) => !said.has(key));
    return [`--defaults-file=${path}`, ...left.map(([key, value]) => argument(key, value))];
  }

  /** Also true when there is nothing left to wait for. */
  async #answers(child: ChildProcess): Promise<boolean> {
    if (this.#process !== child) return true;
    await this.sql('SELECT 1', [], 2_000);
    return true;
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#process;
    if (child === undefined) return;
    const ended = new Promise<void>((resolve) => {
      child.once('exit', () => resolve());
    });
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
    await ended;
    clearTimeout(timer);
    this.#process = undefined;
    this.#frozen = false;
  }
}

/** A running server on loopback with a free port, for tests that need no hosts; the test stops it. */
export async function startMariaDb(
  options: Partial<Pick<MariaDbOptions, 'name' | 'serverId' | 'port' | 'host' | 'server' | 'tools' | 'env'>> = {},
): Promise<MariaDbServer> {
  const tools = await provision(() => undefined);
  const port = options.port ?? (await freePort());
  const server = new MariaDbServer({
    name: `db-${port}`,
    serverId: port,
    tools: tools.mariadb,
    ...options,
    port,
    cache: tools.cache,
  });
  await server.start();
  return server;
}

/** A TCP port of 127.0.0.1 that nobody listens on. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}

function argument(name: string, value: string | number | boolean): string {
  const option = name.replaceAll('_', '-');
  if (value === true) return `--${option}`;
  return value === false ? `--skip-${option}` : `--${option}=${value}`;
}
