import type { Clock } from '../clock.ts';
import type { Logger } from '../ops/log.ts';
import { publishedFiles } from '../publisher/binlog-source.ts';
import type { PublisherTarget } from '../publisher/client.ts';
import { proveRange } from '../sql/binlog/prove-range.ts';
import type { BinlogRange, RangeAnswer, RangeQuestion } from '../sql/binlog/range.ts';
import type { Account } from '../sql/source/login.ts';
import { type BinlogSource, type OfferEnd, startBinlogSource } from '../sql/source/server.ts';

/**
 * Fills replicas from the binlog files of a member whose server is dead and whose disk is not: its publisher hands them
 * out, and this process speaks to the replica as that server would.
 */
export interface FileFiller {
  readonly dial: { readonly host: string; readonly port: number };
  /**
   * Whether the files have everything between two places. They are read once for it, from the replica's position on.
   * Rejects with MxrError where the publisher cannot be asked now: that is no answer.
   */
  prove(publisher: PublisherTarget, question: RangeQuestion, signal: AbortSignal): Promise<RangeAnswer>;
  /**
   * Serves what was proven to one replica, once. The replica then gets `CHANGE MASTER` with this host, port and account,
   * by GTID and without TLS, and `START SLAVE UNTIL master_gtid_pos`; what became of it says the replica itself.
   * Rejects with `ConfigInvalid` where the port cannot be had.
   */
  offer(options: FillOffer): Promise<Filling>;
  close(): Promise<void>;
}

export interface FillOffer {
  readonly publisher: PublisherTarget;
  readonly range: BinlogRange;
  /** The address that the replica dials from. */
  readonly replica: string;
  readonly signal: AbortSignal;
}

export interface Filling {
  /** Good for one login. */
  readonly account: Account;
  /** Never rejects. */
  readonly ended: Promise<OfferEnd>;
  sentBytes(): number;
  withdraw(): void;
}

export interface FileFillerOptions {
  /** What replicas dial (MXR_POD_IP, MXR_FILL_PORT). */
  readonly address: string;
  readonly port: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/** An offer that nobody takes, or a replica that takes in less than this, ends some time. */
const LEAST_LIFE_MS = 600_000;
const SLOWEST_BYTES_PER_MS = 1_000;

export function createFileFiller(options: FileFillerOptions): FileFiller {
  return new Filler(options);
}

/** It listens only while something is offered. */
class Filler implements FileFiller {
  readonly #options: FileFillerOptions;
  #source: Promise<BinlogSource> | null = null;
  #closing: Promise<void> = Promise.resolve();
  #offers = 0;

  constructor(options: FileFillerOptions) {
    this.#options = options;
  }

  get dial(): FileFiller['dial'] {
    return { host: this.#options.address, port: this.#options.port };
  }

  prove(publisher: PublisherTarget, question: RangeQuestion, signal: AbortSignal): Promise<RangeAnswer> {
    return proveRange(publishedFiles(publisher), question, signal);
  }

  async offer({ publisher, range, replica, signal }: FillOffer): Promise<Filling> {
    const { clock, log, port } = this.#options;
    this.#offers += 1;
    const listen = { host: null, port };
    this.#source ??= this.#closing.then(() => startBinlogSource({ listen, clock, log }));
    try {
      const source = await this.#source;
      const lifeMs = LEAST_LIFE_MS + range.bytes / SLOWEST_BYTES_PER_MS;
      const offer = source.offer({ files: publishedFiles(publisher), range, replica, lifeMs, signal });
      log.secrets.add(offer.account.password);
      void offer.ended.then((end) => this.#ended(publisher, end, offer.sentBytes()));
      return offer;
    } catch (error) {
      this.#offers -= 1;
      this.#source = null;
      throw error;
    }
  }

  close(): Promise<void> {
    const source = this.#source?.catch(() => null);
    this.#source = null;
    // The next one needs the same port.
    if (source !== undefined) this.#closing = source.then((open) => open?.close());
    return this.#closing;
  }

  #ended({ name }: PublisherTarget, end: OfferEnd, bytes: number): void {
    this.#offers -= 1;
    this.#options.log.info('what a replica lacked was handed out from files', { publisher: name, ...end, bytes });
    if (this.#offers === 0) void this.close();
  }
}
