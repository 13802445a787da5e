import { parseFormat } from './bodies.ts';
import { type BinlogEvent, type Checksum, EVENT, HEADER, MAGIC, parseEvent } from './event.ts';

/** One event of a file. */
export interface FileEvent {
  /** Offset of its first byte. */
  readonly at: number;
  /** As in the file, header and checksum included. */
  readonly bytes: Buffer;
  readonly event: BinlogEvent;
}

/** The first place of a file that is no event any more. */
export interface Broken {
  readonly at: number;
  /** `torn`: the file just ends there, as after a crash. */
  readonly kind: 'torn' | 'damaged';
  readonly detail: string;
}

const FLAGS = 17;
const IN_USE = 1;
const U32 = 0x1_0000_0000;
/** An event is held in memory as a whole. */
const LARGEST_EVENT = 64 * 1024 * 1024;

/**
 * The events of a binlog file, each checked: size, checksum, and that it says of itself where it stands. It ends at the
 * end of the file or at the first place that is not right, which `broken` then names.
 */
export class FileEvents {
  readonly #bytes: AsyncIterable<Buffer>;
  #at: number;
  #checksum: Checksum;
  #broken: Broken | null = null;

  /** From 0, or from an event on: then `checksum` is what the head of the file says. */
  constructor(bytes: AsyncIterable<Buffer>, from: { readonly at: number; readonly checksum: Checksum } = START) {
    this.#bytes = bytes;
    this.#at = from.at;
    this.#checksum = from.checksum;
  }

  /** Known once the events have ended. */
  get broken(): Broken | null {
    return this.#broken;
  }

  /** Behind the last event that was right. */
  get at(): number {
    return this.#at;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<FileEvent, void> {
    const cutter = new EventCutter(this.#at === 0);
    for await (const chunk of this.#bytes) {
      for (const bytes of cutter.push(chunk)) {
        if (typeof bytes === 'string') return this.#end('damaged', bytes);
        if (bytes === MAGIC) this.#at = MAGIC.length;
        else {
          const next = this.#next(bytes);
          if (typeof next === 'string') return this.#end('damaged', next);
          yield next;
        }
      }
    }
    if (cutter.isInside) this.#end('torn', 'it ends in the middle of an event');
  }

  #next(bytes: Buffer): FileEvent | string {
    const at = this.#at;
    // It says that a server has the file open, or had when it died; the checksum is that without it.
    if (bytes.readUInt8(4) === EVENT.FormatDescription) bytes[FLAGS] = bytes.readUInt8(FLAGS) & ~IN_USE;
    try {
      const event = parseEvent(bytes, this.#checksum);
      // 11.4 and later leave it out inside of transactions.
      if (event.endLogPos !== 0 && event.endLogPos !== (at + bytes.length) % U32)
        return `an event says that it ends at ${event.endLogPos}`;
      if (event.type === EVENT.FormatDescription) this.#checksum = parseFormat(event.body).checksum;
      this.#at = at + bytes.length;
      return { at, bytes, event };
    } catch (error) {
      return error instanceof RangeError ? error.message : 'it cannot be read';
    }
  }

  #end(kind: Broken['kind'], detail: string): void {
    this.#broken = { at: this.#at, kind, detail };
  }
}

const START = { at: 0, checksum: 'unknown' } as const;
const EMPTY = Buffer.alloc(0);

/** Cuts chunks into events; each byte is copied once at most. A text says what is wrong, and ends it. */
class EventCutter {
  #atMagic: boolean;
  #head: Buffer = EMPTY;
  #event: Buffer | null = null;
  #filled = 0;

  constructor(atMagic: boolean) {
    this.#atMagic = atMagic;
  }

  get isInside(): boolean {
    return this.#event !== null || this.#head.length > 0;
  }

  *push(chunk: Buffer): Generator<Buffer | string, void> {
    let at = 0;
    while (at < chunk.length) {
      if (this.#event === null) {
        const wanted = this.#atMagic ? MAGIC.length : HEADER;
        const more = chunk.subarray(at, at + wanted - this.#head.length);
        this.#head = Buffer.concat([this.#head, more]);
        at += more.length;
        if (this.#head.length < wanted) return;
        const begun = this.#begin();
        if (begun !== null) yield begun;
        if (typeof begun === 'string') return;
        if (this.#event === null) continue;
      }
      const copied = chunk.copy(this.#event, this.#filled, at, at + this.#event.length - this.#filled);
      at += copied;
      this.#filled += copied;
      if (this.#filled < this.#event.length) return;
      yield this.#event;
      this.#event = null;
    }
  }

  /** With a whole head. */
  #begin(): Buffer | string | null {
    const head = this.#head;
    this.#head = EMPTY;
    if (this.#atMagic) {
      this.#atMagic = false;
      return head.equals(MAGIC) ? MAGIC : 'it does not begin like a binlog file';
    }
    const size = head.readUInt32LE(9);
    if (size < HEADER) return `an event that says that it has ${size} bytes`;
    if (size > LARGEST_EVENT) return `an event of ${size} bytes: more than ${LARGEST_EVENT} are not read from files`;
    this.#event = Buffer.alloc(size);
    head.copy(this.#event);
    this.#filled = HEADER;
    return null;
  }
}
