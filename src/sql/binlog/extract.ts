import type { Gtid } from '../../domain/gtid.ts';
import { formatGtid } from '../../domain/gtid.ts';
import type { Coordinates } from '../../domain/observation.ts';
import type { SqlTarget } from '../port.ts';
import { parseGtidEvent } from './bodies.ts';
import type { DumpLimits } from './dump.ts';
import { readDump } from './dump.ts';
import { encodeEvent, encodeFormat, encodeGtidList } from './encode.ts';
import type { BinlogEvent } from './event.ts';
import { EVENT, MAGIC } from './event.ts';
import { lateError, refusedError } from './refused.ts';
import { TransactionReader } from './transactions.ts';

/** Where the bytes of the new file go. */
export interface BinlogSink {
  /** Bytes for this offset: what was written there and behind it before counts no more. */
  write(bytes: Buffer, position: number): void;
  /** Nothing more can be written. */
  readonly failed: boolean;
  /** Resolves when there is room again; null: there is. */
  pressure(): Promise<void> | null;
}

export interface ExtractOptions {
  readonly from: Coordinates;
  /** The last of each domain before that place. */
  readonly before: readonly Gtid[];
  readonly selects: (gtid: Gtid) => boolean;
  readonly limits: DumpLimits;
  readonly sink: BinlogSink;
  /** Of the new file. */
  readonly maxSize: number;
}

export interface Extracted {
  readonly count: number;
  /** Of the new file. */
  readonly size: number;
  readonly first: string;
  readonly last: string;
  /** Wall clock ms (whole seconds). */
  readonly firstAt: number;
  readonly lastAt: number;
  /** Why it ends too early: the new file would have become too large, or too much had to be read for it; null: it does not. */
  readonly cut: 'size' | 'read' | null;
}

const OPERATION = 'read the transactions that are to be saved';

/** Copies whole transactions of a server's binlog into a binlog file of their own. */
export async function extract(target: SqlTarget, options: ExtractOptions): Promise<Extracted> {
  const { from, sink, maxSize, limits } = options;
  const writer = new ExtractWriter(options);
  const reader = new TransactionReader();
  const done = await readDump(
    target,
    from,
    { ...limits, annotated: true, pressure: () => sink.pressure() },
    (event) => {
      const ended = reader.take(event);
      writer.take(event, ended === null ? null : ended.timestamp);
      return !sink.failed && writer.size <= maxSize;
    },
  );
  if (done.end === 'refused') throw refusedError(target, OPERATION, done);
  if (done.end === 'time') throw lateError(target, OPERATION, limits);
  return writer.result(writer.size > maxSize ? 'size' : done.end === 'bytes' ? 'read' : null);
}

class ExtractWriter {
  readonly #options: ExtractOptions;
  #position = 0;
  /** After the last whole transaction. */
  #complete = 0;
  #format: Buffer | null = null;
  #open: Gtid | null = null;
  #count = 0;
  #ends: { first: string; firstAt: number; last: string; lastAt: number } | null = null;

  constructor(options: ExtractOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#position;
  }

  /** `endedAt`: of the transaction that this event ends. */
  take(event: BinlogEvent, endedAt: number | null): void {
    if (event.type === EVENT.FormatDescription) return this.#begin(event);
    if (event.fake || this.#format === null) return;
    if (event.type === EVENT.Gtid) {
      this.#drop();
      const { gtid } = parseGtidEvent(event);
      this.#open = this.#options.selects(gtid) ? gtid : null;
    }
    if (this.#open === null) return;
    this.#append(encodeEvent(event, this.#position));
    if (endedAt !== null) this.#end(this.#open, endedAt);
  }

  /** Also where the server begins another file: after an upgrade it describes other events. */
  #begin(event: BinlogEvent): void {
    this.#drop();
    const described = encodeFormat({ ...event, timestamp: 0 }, 0);
    if (this.#format?.equals(described) === true) return;
    const isFirst = this.#format === null;
    this.#format = described;
    if (isFirst) this.#append(MAGIC);
    this.#append(encodeFormat(event, this.#position));
    if (isFirst) this.#append(encodeGtidList(this.#options.before, event, this.#position));
    this.#complete = this.#position;
  }

  /** A group that its file does not end is none: the server was killed in the middle of it. */
  #drop(): void {
    this.#open = null;
    this.#position = this.#complete;
  }

  #append(bytes: Buffer): void {
    this.#options.sink.write(bytes, this.#position);
    this.#position += bytes.length;
  }

  #end(gtid: Gtid, at: number): void {
    const text = formatGtid(gtid);
    this.#ends = { ...(this.#ends ?? { first: text, firstAt: at }), last: text, lastAt: at };
    this.#count += 1;
    this.#complete = this.#position;
    this.#open = null;
  }

  result(cut: Extracted['cut']): Extracted {
    const ends = this.#ends ?? { first: '', firstAt: 0, last: '', lastAt: 0 };
    return { count: this.#count, size: this.#complete, ...ends, cut };
  }
}
