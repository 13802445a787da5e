import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Coordinates } from '../../../src/api/publisher.ts';
import { fetchCoordinates } from '../../../src/publisher/client.ts';
import type { Bench } from '../../support/bench.ts';
import type { Certificates } from '../../support/certificates.ts';
import type { Member } from '../../support/member.ts';
import { until } from '../../support/wait.ts';

const MAIN = join(import.meta.dirname, '../../../src/main.ts');
const LYING = join(import.meta.dirname, 'lying-publisher-main.ts');
export const PUBLISHER_PORT = 9480;
export const PUBLISHER_TOKEN = 'token-of-the-publishers-51c0d8';

/** The real `mxr publisher` on the host of a member, with the settings of examples/hosts. */
export class PublisherProcess {
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #lines: string[] = [];

  private constructor({ host, name }: Member, program: readonly string[]) {
    this.#name = name;
    this.#process = spawn('nsenter', [...host.enter.slice(1), process.execPath, ...program], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] },
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#lines.push(line));
    }
  }

  /** Resolves when it listens; over TLS where it has a certificate. */
  static async start(
    bench: Bench,
    member: Member,
    certificate?: Certificates,
    flags: readonly string[] = [],
  ): Promise<PublisherProcess> {
    const tls = certificate === undefined ? [] : tlsFlags(certificate);
    return PublisherProcess.#listening(member, [MAIN, 'publisher', ...flagsOf(bench, member), ...tls, ...flags]);
  }

  /** One that says this instead of the truth. */
  static async lying(member: Member, coordinates: Coordinates): Promise<PublisherProcess> {
    const file = fileOf(member, 'lies', JSON.stringify(coordinates));
    return PublisherProcess.#listening(member, [LYING, file, String(PUBLISHER_PORT)]);
  }

  static async #listening(member: Member, program: readonly string[]): Promise<PublisherProcess> {
    const publisher = new PublisherProcess(member, program);
    await until(`the publisher of ${member.name} listens`, () => publisher.#listens(), { deadlineMs: 30_000 });
    return publisher;
  }

  /** Resolves when a line of its log has this message. */
  async says(message: string): Promise<void> {
    const part = `"message":"${message}"`;
    const said = (): boolean => this.#lines.some((line) => line.includes(part));
    await until(`the publisher of ${this.#name} says "${message}"`, said);
  }

  async kill9(): Promise<void> {
    if (this.#ended()) return;
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exit;
  }

  get running(): boolean {
    return !this.#ended();
  }

  #ended(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  #listens(): boolean {
    if (this.#ended()) throw new Error(`the publisher of ${this.#name} ended: ${this.#lines.join('\n')}`);
    return this.#lines.some((line) => line.includes('"message":"publishing"'));
  }
}

function flagsOf(bench: Bench, member: Member): readonly string[] {
  const { vip, accounts } = bench;
  const directory = join(member.host.directory, 'publisher');
  return [
    `--member=${member.name}`,
    `--vip=${vip.host}`,
    `--db-socket=${member.db.socket}`,
    `--db-user=${accounts.look.user}`,
    `--db-password-file=${fileOf(member, 'password', accounts.look.password)}`,
    `--token-file=${fileOf(member, 'token', PUBLISHER_TOKEN)}`,
    `--peer-url=${urlOf(bench.other(member))}`,
    `--notify-fifo=${member.keepalived.fifo}`,
    `--state-dir=${directory}`,
    `--port=${PUBLISHER_PORT}`,
  ];
}

function tlsFlags({ server }: Certificates): readonly string[] {
  return [`--tls-cert-file=${server['ssl-cert']}`, `--tls-key-file=${server['ssl-key']}`];
}

function fileOf({ host }: Member, name: string, text: string): string {
  const directory = join(host.directory, 'publisher');
  mkdirSync(directory, { recursive: true });
  writeFileSync(join(directory, name), `${text}\n`, { mode: 0o600 });
  return join(directory, name);
}

/** What the publisher of a member says now; asked from the operator's host. */
export async function published(member: Member): Promise<Coordinates> {
  return fetchCoordinates(
    { name: `publisher of ${member.name}`, url: urlOf(member), token: PUBLISHER_TOKEN, ca: null },
    { deadlineMs: 5_000 },
  );
}

/** The spec of a resource whose members have publishers. */
export function publishing({ members }: Bench, scheme: 'http' | 'https' = 'http'): Record<string, unknown> {
  const source = members.map((member) => {
    return { name: member.name, host: member.address, publisher: { url: urlOf(member, scheme) } };
  });
  return { members: source, publisherAuth: { secretName: 'orders-publisher' } };
}

function urlOf({ address }: Member, scheme = 'http'): string {
  return `${scheme}://${address}:${PUBLISHER_PORT}`;
}
