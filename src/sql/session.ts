import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Connection } from 'mysql2';
import { type SqlContext, type SqlFailure, failureOf, sqlError } from './errors.ts';
import type { Greeting } from './greeting.ts';
import type { Row, SqlSession, SqlTarget, StatementOptions } from './port.ts';

export interface SessionParts {
  readonly target: SqlTarget;
  /** The TCP socket itself, below TLS: destroying it is the only thing that ends everything at once. */
  readonly socket: Socket;
  readonly connection: Connection;
  readonly greeting: Greeting;
  readonly encrypted: boolean;
}

type Settle = (failure: SqlFailure) => void;

/** Tells the server that we leave, so that its error log does not fill with "aborted connection". */
const COM_QUIT = Buffer.from([1, 0, 0, 0, 1]);

export class Session implements SqlSession {
  readonly target: SqlTarget;
  readonly connectionId: number;
  readonly serverVersion: string;
  readonly encrypted: boolean;
  readonly #socket: Socket;
  readonly #connection: Connection;
  readonly #pending = new Set<Settle>();
  readonly #listeners = new Set<(why: string) => void>();
  #death: SqlFailure | null = null;
  #takenOver = false;

  constructor(parts: SessionParts) {
    this.target = parts.target;
    this.connectionId = parts.greeting.connectionId;
    this.serverVersion = parts.greeting.serverVersion;
    this.encrypted = parts.encrypted;
    this.#socket = parts.socket;
    this.#connection = parts.connection;
    this.#connection.on('error', (error: unknown) => this.#die(failureOf(error)));
    this.#socket.once('close', () => this.#die(lost('the server closed the connection')));
    // The last one to see an error on the socket; whoever spoke on it has reported it already.
    this.#socket.on('error', (error) => this.#die(failureOf(error)));
    if (this.#socket.destroyed) this.#die(lost('the server closed the connection'));
  }

  get alive(): boolean {
    return this.#death === null;
  }

  async query(
    sql: string,
    params: readonly (string | number | null)[],
    options: StatementOptions,
  ): Promise<readonly Row[]> {
    const context = { ...this.#context(options.operation), secrets: this.#secrets(sql, params) };
    if (this.#death !== null) throw sqlError(lost(`the session is gone: ${this.#death.detail}`), context);
    return new Promise((resolve, reject) => {
      const settle = this.#expect(options, (failure) => reject(sqlError(failure, context)));
      if (this.#death !== null) return;
      this.#connection.query(sql, [...params], (error, result) => {
        if (error === null) {
          if (settle.release()) resolve(rowsOf(result));
        } else if (error.fatal === true) this.#die(failureOf(error));
        else settle.fail(failureOf(error));
      });
    });
  }

  destroy(): void {
    if (this.#death === null && this.#pending.size === 0 && !this.#takenOver) this.#stream().write(COM_QUIT);
    this.#die(lost('it was closed by mxr'));
  }

  onDead(listener: (why: string) => void): void {
    if (this.#death === null) this.#listeners.add(listener);
    else listener(this.#death.detail);
  }

  /**
   * The stream below the protocol (TLS included), which mysql2 stops reading: for COM_BINLOG_DUMP, whose packets mysql2
   * cannot parse. Nothing else may be asked on this session any more.
   */
  takeOver(): Duplex {
    this.#takenOver = true;
    const stream = this.#stream();
    stream.removeAllListeners('data');
    return stream;
  }

  /** mysql2 does not declare its `stream`: our own socket, or the TLS socket that it put around ours. */
  #stream(): Duplex {
    return (this.#connection as unknown as { readonly stream: Duplex }).stream;
  }

  /** One deadline and one signal for one statement; whichever comes first takes the whole session with it. */
  #expect(options: StatementOptions, reject: Settle): { release(): boolean; fail: Settle } {
    const { deadlineMs, signal } = options;
    const onAbort = (): void => this.#give(fail, lost('it was abandoned'));
    const timer = setTimeout(() => this.#give(fail, late(deadlineMs)), deadlineMs);
    const release = (): boolean => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      return this.#pending.delete(fail);
    };
    const fail: Settle = (failure) => {
      if (release()) reject(failure);
    };
    this.#pending.add(fail);
    signal?.addEventListener('abort', onAbort, { once: true });
    if (signal?.aborted === true) onAbort();
    return { release, fail };
  }

  #give(fail: Settle, failure: SqlFailure): void {
    fail(failure);
    this.#die(lost(`an earlier statement failed: ${failure.detail}`));
  }

  #die(failure: SqlFailure): void {
    if (this.#death !== null) return;
    this.#death = failure;
    this.#socket.destroy();
    for (const fail of this.#pending) fail(failure);
    for (const listener of this.#listeners) listener(failure.detail);
    this.#listeners.clear();
  }

  #context(operation: string): SqlContext {
    return { operation, target: describe(this.target), secrets: [this.target.password] };
  }

  #secrets(sql: string, params: readonly (string | number | null)[]): string[] {
    const texts = params.filter((param) => typeof param === 'string');
    return [this.target.password, ...(/password|identified/i.test(sql) ? texts : [])];
  }
}

export function describe(target: SqlTarget): string {
  return `${target.name} (${target.socketPath ?? `${target.host}:${target.port}`})`;
}

export function late(deadlineMs: number): SqlFailure {
  return { code: 'Deadline', retryable: true, detail: `no answer within ${deadlineMs} ms` };
}

export function lost(detail: string): SqlFailure {
  return { code: 'ConnectionLost', retryable: true, detail };
}

/** The rows of one result set; statements without one answer with a header, which is no row. */
function rowsOf(result: unknown): readonly Row[] {
  if (!Array.isArray(result)) return [];
  return result.filter((row) => !Array.isArray(row)).map((row) => ({ ...(row as Row) }));
}
