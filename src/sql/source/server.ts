import { type Server, type Socket, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../clock.ts';
import { MxrError } from '../../errors.ts';
import type { Logger } from '../../ops/log.ts';
import type { BinlogFiles } from '../binlog/files.ts';
import type { BinlogRange } from '../binlog/range.ts';
import { type Account, makeAccount } from './login.ts';
import { type Delivery, serveReplica } from './session.ts';

export interface BinlogSourceOptions {
  /** Port 0: any free one. Null: every address. */
  readonly listen: { readonly host: string | null; readonly port: number };
  readonly clock: Clock;
  readonly log: Logger;
}

export interface OfferOptions {
  readonly files: BinlogFiles;
  readonly range: BinlogRange;
  /** The address that the replica dials from; nobody else gets so much as a greeting. */
  readonly replica: string;
  /** How long the offer stands, the sending included. */
  readonly lifeMs: number;
  readonly signal: AbortSignal;
}

/** How an offer ended; what the replica made of it, only the replica can say. */
export type OfferEnd =
  { readonly kind: 'Sent' } | { readonly kind: 'Failed'; readonly detail: string } | { readonly kind: 'Withdrawn' };

export interface Offer {
  /** Good for one login. */
  readonly account: Account;
  readonly port: number;
  /** Never rejects. */
  readonly ended: Promise<OfferEnd>;
  sentBytes(): number;
  /** Ends it, and the connection with it. */
  withdraw(): void;
}

/** A source of binlog events for replicas that are filled: one account, one address, one range and one connection each. */
export interface BinlogSource {
  readonly port: number;
  offer(options: OfferOptions): Offer;
  close(): Promise<void>;
}

const MAX_CONNECTIONS = 64;
const KEEP_ALIVE_MS = 10_000;

/** Resolves when it listens; rejects with `ConfigInvalid` when it cannot. */
export async function startBinlogSource(options: BinlogSourceOptions): Promise<BinlogSource> {
  const source = new Source(options);
  await source.listen();
  return source;
}

class Source implements BinlogSource {
  readonly #options: BinlogSourceOptions;
  readonly #server: Server;
  readonly #offers = new Set<OpenOffer>();
  readonly #sockets = new Set<Socket>();

  constructor(options: BinlogSourceOptions) {
    this.#options = options;
    this.#server = createServer({ noDelay: true }, (socket) => this.#connected(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async listen(): Promise<void> {
    const { host, port } = this.#options.listen;
    await new Promise<void>((resolve, reject) => {
      const fail = ({ code }: NodeJS.ErrnoException): void => reject(cannotListen(port, code ?? 'unknown'));
      this.#server.once('error', fail);
      this.#server.listen({ port, ...(host === null ? {} : { host }) }, () => {
        this.#server.off('error', fail);
        resolve();
      });
    });
    this.#server.on('error', (error) => this.#options.log.error('the binlog source failed', { error }));
  }

  offer(options: OfferOptions): Offer {
    const offer = new OpenOffer(options, this.port);
    this.#offers.add(offer);
    void offer.ended.then(() => this.#offers.delete(offer));
    return offer;
  }

  async close(): Promise<void> {
    for (const offer of this.#offers) offer.withdraw();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
  }

  #connected(socket: Socket): void {
    const peer = plainAddress(socket.remoteAddress ?? '');
    const offers = [...this.#offers].filter(({ replica }) => replica === peer);
    const version = offers[0]?.version;
    if (version === undefined) {
      socket.on('error', () => undefined).destroy();
      this.#options.log.debug('a connection that nobody waits for was closed', { peer });
      return;
    }
    this.#sockets.add(socket);
    socket.on('close', () => this.#sockets.delete(socket)).setKeepAlive(true, KEEP_ALIVE_MS);
    serveReplica({
      socket,
      clock: this.#options.clock,
      version,
      logIn: (check) => offers.find((offer) => offer.isFree && check(offer.account))?.take(socket) ?? null,
    });
  }
}

class OpenOffer implements Offer {
  readonly account = makeAccount();
  readonly replica: string;
  readonly version: string;
  readonly port: number;
  readonly ended: Promise<OfferEnd>;
  readonly #options: OfferOptions;
  readonly #abort = new AbortController();
  #end: (end: OfferEnd) => void = () => undefined;
  #taken: Socket | null = null;
  #sent = 0;

  constructor(options: OfferOptions, port: number) {
    const { replica, range, lifeMs, signal } = options;
    this.#options = options;
    this.port = port;
    this.replica = plainAddress(replica);
    this.version = range.parts[0]?.head.format.serverVersion ?? 'MariaDB';
    const onAbort = (): void => this.withdraw();
    const timer = setTimeout(onAbort, lifeMs);
    this.ended = new Promise((resolve) => {
      this.#end = (end) => {
        clearTimeout(timer);
        signal.removeEventListener('abort', onAbort);
        resolve(end);
        // Whoever hung up is sent nothing more, and the files are read no further for it.
        this.#abort.abort();
      };
    });
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  }

  get isFree(): boolean {
    return this.#taken === null && !this.#abort.signal.aborted;
  }

  take(socket: Socket): Delivery {
    this.#taken = socket;
    const { files, range } = this.#options;
    return {
      account: this.account,
      files,
      range,
      signal: this.#abort.signal,
      onSent: (bytes) => {
        this.#sent += bytes;
      },
      onEnd: (trouble) => {
        this.#end(trouble === null ? { kind: 'Sent' } : { kind: 'Failed', detail: trouble });
      },
    };
  }

  sentBytes(): number {
    return this.#sent;
  }

  withdraw(): void {
    this.#end({ kind: 'Withdrawn' });
    this.#taken?.destroy();
  }
}

/** Of an IPv4 peer of a socket that listens on every address of both kinds. */
function plainAddress(address: string): string {
  return address.replace(/^::ffff:(?=\d+\.)/iu, '');
}

function cannotListen(port: number, code: string): MxrError {
  const detail =
    code === 'EADDRINUSE'
      ? 'another process listens there; choose another one with MXR_FILL_PORT'
      : `the system said ${code}`;
  return new MxrError({ operation: 'listen', target: `port ${port}`, code: 'ConfigInvalid', detail, retryable: false });
}
