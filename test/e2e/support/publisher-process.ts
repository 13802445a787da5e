import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Bench } from '../../support/bench.ts';
import type { Member } from '../../support/member.ts';
import { until } from '../../support/wait.ts';

const MAIN = join(import.meta.dirname, '../../../src/main.ts');
export const PUBLISHER_PORT = 9480;
export const PUBLISHER_TOKEN = 'token-of-the-publishers-51c0d8';

/** The real `mxr publisher` on the host of a member, as systemd would run it there. */
export class PublisherProcess {
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #lines: string[] = [];

  private constructor({ vip, accounts }: Bench, { host, name, address }: Member) {
    const directory = join(host.directory, 'publisher');
    mkdirSync(directory, { recursive: true });
    const file = (of: string, text: string): string => {
      writeFileSync(join(directory, of), `${text}\n`, { mode: 0o600 });
      return join(directory, of);
    };
    const flags = [
      `--member=${name}`,
      `--vip=${vip.host}`,
      `--db-host=${address}`,
      `--db-port=${vip.port}`,
      `--db-user=${accounts.look.user}`,
      `--db-password-file=${file('password', accounts.look.password)}`,
      `--token-file=${file('token', PUBLISHER_TOKEN)}`,
      `--state-dir=${directory}`,
      `--port=${PUBLISHER_PORT}`,
    ];
    this.#name = name;
    this.#process = spawn('nsenter', [...host.enter.slice(1), process.execPath, MAIN, 'publisher', ...flags], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'] },
    });
    for (const stream of [this.#process.stdout, this.#process.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#lines.push(line));
    }
  }

  /** Resolves when it listens. */
  static async start(bench: Bench, member: Member): Promise<PublisherProcess> {
    const publisher = new PublisherProcess(bench, member);
    await until(`the publisher of ${member.name} listens`, () => publisher.#listens(), { deadlineMs: 30_000 });
    return publisher;
  }

  async kill9(): Promise<void> {
    if (this.#ended()) return;
    const exit = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await exit;
  }

  #ended(): boolean {
    return this.#process.exitCode !== null || this.#process.signalCode !== null;
  }

  #listens(): boolean {
    if (this.#ended()) throw new Error(`the publisher of ${this.#name} ended: ${this.#lines.join('\n')}`);
    return this.#lines.some((line) => line.includes('"message":"publishing"'));
  }
}
