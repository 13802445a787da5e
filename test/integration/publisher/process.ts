import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Coordinates, Journal } from '../../../src/api/publisher.ts';
import type { JournalEntry } from '../../../src/api/publisher.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { sandboxDirectory } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { PASSWORD } from '../observe/servers.ts';

const ROOT = join(import.meta.dirname, '../../..');
const END_DEADLINE_MS = 15_000;

export interface PublisherOptions {
  /** Names its directories; a second one with this name goes on with the journal of the first. */
  readonly name: string;
  readonly server: MariaDbServer;
  readonly user?: string;
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Default: in a file. */
  readonly password?: 'file' | 'environment';
  /** Without the right of root to read what is not its own. */
  readonly plain?: boolean;
}

/** It replaces itself by what it runs. */
const PLAIN = ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--inh-caps=-dac_override,-dac_read_search'];

/** A real `mxr publisher` on loopback. */
export class PublisherProcess {
  readonly directory: string;
  readonly lines: Record<string, unknown>[] = [];
  readonly #child: ChildProcess;
  readonly #ended: Promise<unknown>;
  #errors = '';
  #port = 0;

  private constructor(options: PublisherOptions) {
    const { name, server, user = 'mxr_look', flags = [], env = {}, password = 'file', plain = false } = options;
    this.directory = join(sandboxDirectory() ?? '', `publisher-${name}`);
    mkdirSync(this.directory, { recursive: true });
    const file = join(this.directory, 'password');
    writeFileSync(file, `${PASSWORD}\n`, { mode: 0o600 });
    const address = flags.some((flag) => flag.startsWith('--db-socket'))
      ? []
      : [`--db-host=${server.host}`, `--db-port=${server.port}`];
    const args = [
      ...['publisher', '--port=0', `--member=${name}`, `--state-dir=${this.directory}`, `--db-user=${user}`],
      ...(password === 'file' ? [`--db-password-file=${file}`] : []),
      ...address,
      ...flags,
    ];
    const [program = '', ...rest] = [...(plain ? PLAIN : []), process.execPath, join(ROOT, 'src/main.ts'), ...args];
    this.#child = spawn(program, rest, {
      env: {
        PATH: process.env['PATH'],
        ...env,
        ...(password === 'file' ? {} : { MXR_PUBLISHER_DB_PASSWORD: PASSWORD }),
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // A test that failed before it could end it shall end all the same; the sandbox takes it down.
    for (const part of [this.#child, this.#child.stdout, this.#child.stderr]) {
      if (part !== null && 'unref' in part && typeof part.unref === 'function') part.unref();
    }
    this.#ended = once(this.#child, 'close');
    this.#child.stderr?.on('data', (text: Buffer) => (this.#errors += text.toString()));
    if (this.#child.stdout !== null) {
      createInterface({ input: this.#child.stdout }).on('line', (line) => {
        this.lines.push(JSON.parse(line) as Record<string, unknown>);
      });
    }
  }

  static async start(options: PublisherOptions): Promise<PublisherProcess> {
    const publisher = new PublisherProcess(options);
    const listening = await until(`publisher ${options.name} listens`, () => {
      if (publisher.#child.exitCode !== null) return 'ended';
      return publisher.lines.find((line) => line['message'] === 'publishing');
    });
    if (listening === 'ended') {
      await publisher.#ended;
      throw new Error(`publisher ${options.name} ended: ${publisher.output}`);
    }
    publisher.#port = Number(listening['port']);
    return publisher;
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Everything that it has written. */
  get output(): string {
    return this.lines.map((line) => JSON.stringify(line)).join('\n') + this.#errors;
  }

  /** Whether a line of its log has all these fields. */
  said(fields: Readonly<Record<string, unknown>>): boolean {
    return this.lines.some((line) => Object.entries(fields).every(([name, value]) => line[name] === value));
  }

  async coordinates(): Promise<Coordinates> {
    return Coordinates.parse(await this.#get('/v1/coordinates'));
  }

  /** Once they are as wanted; fails with what they were last. */
  async coordinatesWhen(
    what: string,
    check: (now: Coordinates) => boolean | Promise<boolean>,
    deadlineMs = 10_000,
  ): Promise<Coordinates> {
    let last: Coordinates | undefined;
    try {
      return await until(what, async () => ((await check((last = await this.coordinates()))) ? last : undefined), {
        deadlineMs,
        intervalMs: 10,
      });
    } catch (error) {
      throw new Error(`${String(error)}; the last coordinates: ${JSON.stringify(last)}\n${this.output}`, {
        cause: error,
      });
    }
  }

  async journal(): Promise<JournalEntry[]> {
    const entries: JournalEntry[] = [];
    for (let from: number | null = 1; from !== null;) {
      const page = Journal.parse(await this.#get(`/v1/journal?from=${from}`));
      entries.push(...page.entries);
      from = page.next;
    }
    return entries;
  }

  /** What it says of its journal: what is missing, or not trusted. */
  async damage(): Promise<readonly string[]> {
    return Journal.parse(await this.#get('/v1/journal')).damage;
  }

  /** The exit code. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), END_DEADLINE_MS);
    await this.#ended;
    clearTimeout(timer);
    return this.#child.exitCode;
  }

  async #get(path: string): Promise<unknown> {
    const response = await fetch(`${this.url}${path}`, { signal: AbortSignal.timeout(5_000) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json();
  }
}

const WIRE = 'vip-wire';
let hasWire = false;

/** On an interface of this sandbox, which has a network of its own; an address of `lo` is no VIP that a host holds. */
export function moveVip(vip: string, what: 'add' | 'del', dev = WIRE): void {
  if (!hasWire) {
    execFileSync('ip', ['link', 'add', WIRE, 'type', 'veth', 'peer', 'name', `${WIRE}-end`]);
    for (const end of [WIRE, `${WIRE}-end`]) execFileSync('ip', ['link', 'set', end, 'up']);
    hasWire = true;
  }
  const flags = vip.includes(':') ? ['nodad'] : [];
  const prefix = vip.includes(':') ? 128 : 32;
  execFileSync('ip', ['address', what, `${vip}/${prefix}`, 'dev', dev, ...(what === 'add' ? flags : [])], {
    stdio: 'pipe',
  });
}
