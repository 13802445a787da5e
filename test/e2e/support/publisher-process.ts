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
import type { PublisherSite, ShippedProgram } from '../../support/host-publisher.ts';
import { publisherOfCompose, publisherOfUnit } from '../../support/host-publisher.ts';
import type { Member } from '../../support/member.ts';
import { shifted } from '../../support/shifted.ts';
import { until } from '../../support/wait.ts';

const LYING = join(import.meta.dirname, 'lying-publisher-main.ts');
export const PUBLISHER_PORT = 9480;
export const PUBLISHER_TOKEN = 'token-of-the-publishers-51c0d8';

/** As the unit does; another user than root has no number in the namespace of the bench. */
const WITHOUT_CAPABILITIES = ['setpriv', '--bounding-set=-all', '--no-new-privs'] as const;

/** The real `mxr publisher` on the host of a member, started as the files of examples/hosts start it. */
export class PublisherProcess {
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #lines: string[] = [];

  private constructor({ host, name }: Member, { program, env }: ShippedProgram) {
    this.#name = name;
    const words = [...host.enter.slice(1), ...WITHOUT_CAPABILITIES, process.execPath, ...program];
    this.#process = spawn('nsenter', words, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], ...env },
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#lines.push(line));
    }
  }

  /** By the shipped systemd unit. Resolves when it listens; over TLS where it has a certificate. */
  static async start(
    bench: Bench,
    member: Member,
    certificate?: Certificates,
    flags: readonly string[] = [],
  ): Promise<PublisherProcess> {
    const { program, env } = publisherOfUnit(siteOf(bench, member, certificate));
    return PublisherProcess.#listening(member, { program: [...program, ...flags], env });
  }

  /** By the shipped docker-compose.yaml. */
  static async startOfCompose(bench: Bench, member: Member): Promise<PublisherProcess> {
    return PublisherProcess.#listening(member, publisherOfCompose(siteOf(bench, member)));
  }

  /** By the shipped unit, on a host whose wall clock is off. */
  static async withClock(bench: Bench, member: Member, hours: number): Promise<PublisherProcess> {
    const { program, env } = publisherOfUnit(siteOf(bench, member));
    const clock = shifted(hours);
    return PublisherProcess.#listening(member, {
      program: [...clock.flags, ...program],
      env: { ...env, ...clock.env },
    });
  }

  /** One that says this instead of the truth. */
  static async lying(member: Member, coordinates: Coordinates): Promise<PublisherProcess> {
    const file = fileOf(member, 'lies', JSON.stringify(coordinates));
    return PublisherProcess.#listening(member, { program: [LYING, file, String(PUBLISHER_PORT)], env: {} });
  }

  static async #listening(member: Member, program: ShippedProgram): Promise<PublisherProcess> {
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

function siteOf(bench: Bench, member: Member, certificate?: Certificates): PublisherSite {
  const { vip, accounts } = bench;
  const tls =
    certificate === undefined
      ? {}
      : { 'tls.crt': { file: certificate.server['ssl-cert'] }, 'tls.key': { file: certificate.server['ssl-key'] } };
  return {
    values: {
      MXR_PUBLISHER_MEMBER: member.name,
      MXR_PUBLISHER_LISTEN_HOST: member.address,
      MXR_PUBLISHER_PEER_URL: urlOf(bench.other(member)),
      MXR_PUBLISHER_PORT: PUBLISHER_PORT,
      MXR_PUBLISHER_VIP: vip.host,
      MXR_PUBLISHER_DB_SOCKET: member.db.socket,
      MXR_PUBLISHER_DB_USER: accounts.look.user,
      MXR_PUBLISHER_NOTIFY_FIFO: member.keepalived.fifo,
    },
    secrets: { token: { text: PUBLISHER_TOKEN }, 'database-password': { text: accounts.look.password }, ...tls },
    directory: join(member.host.directory, 'publisher'),
  };
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
