import type { Gtid } from '../../domain/gtid.ts';
import type { Coordinates } from '../../domain/observation.ts';
import { type FormatDescription, type GtidEvent, parseFormat, parseGtidEvent, parseRotate } from './bodies.ts';
import { type Content, ContentBuilder } from './content.ts';
import { type BinlogEvent, EVENT } from './event.ts';
import { endsGroup } from './group.ts';

export interface Transaction {
  readonly gtid: Gtid;
  /** Where its Gtid event begins. */
  readonly at: Coordinates;
  readonly end: Coordinates;
  /**
   * Wall clock ms (whole seconds) of its first statement, where it was first executed. Not that of the Gtid event: of a
   * transaction of several statements the primary writes the time of the COMMIT there, a replica that of the last one.
   */
  readonly timestamp: number;
  readonly bytes: number;
  readonly standalone: boolean;
  readonly ddl: boolean;
  readonly content: Content;
}

/** The file whose events come now. */
export interface CurrentFile {
  readonly name: string;
  /** Wall clock ms at which it was begun. */
  readonly createdAt: number;
}

interface Open extends GtidEvent {
  readonly at: Coordinates;
  readonly content: ContentBuilder;
  /** Of the Gtid event until its first statement is seen. */
  timestamp: number;
  begun: boolean;
  bytes: number;
}

export interface ReaderOptions {
  /** With the first statement of each transaction, for people. */
  readonly stated: boolean;
}

/** Puts a dump's events together to transactions. A group that its file does not end is dropped, as replicas do. */
export class TransactionReader {
  readonly files: CurrentFile[] = [];
  readonly #options: ReaderOptions;
  #file = '';
  #end = 0;
  #format: FormatDescription | null = null;
  #open: Open | null = null;

  constructor(options: ReaderOptions = { stated: false }) {
    this.#options = options;
  }

  /** After the last event that was read. */
  get end(): Coordinates {
    return { file: this.#file, position: this.#end };
  }

  /** The transaction that this event ends. */
  take(event: BinlogEvent): Transaction | null {
    if (event.type === EVENT.Rotate && event.fake) this.#beginFile(event);
    else if (event.type === EVENT.FormatDescription) this.#describe(event);
    else if (!event.fake) return this.#next(event);
    return null;
  }

  #beginFile(event: BinlogEvent): void {
    const { file, position } = parseRotate(event.body);
    this.#file = file;
    this.#end = position;
    this.#open = null;
  }

  #describe(event: BinlogEvent): void {
    this.#format = parseFormat(event.body);
    this.files.push({ name: this.#file, createdAt: event.timestamp * 1000 });
    // Not where the dump began inside the file: there it says 0.
    if (event.endLogPos > this.#end) this.#end = event.endLogPos;
  }

  #next(event: BinlogEvent): Transaction | null {
    if (this.#format === null) throw new RangeError('an event came before the description of the format');
    const position = event.endLogPos - event.size;
    this.#end = event.endLogPos;
    if (event.type === EVENT.Gtid) {
      const at = { file: this.#file, position };
      const timestamp = event.timestamp * 1000;
      this.#open = {
        ...parseGtidEvent(event),
        at,
        timestamp,
        begun: false,
        content: new ContentBuilder(this.#options),
        bytes: event.size,
      };
      return null;
    }
    const open = this.#open;
    if (open === null) return null;
    open.bytes += event.size;
    if (!open.begun) open.timestamp = event.timestamp * 1000;
    open.begun = true;
    open.content.add(event, this.#format);
    return endsGroup(event, open.standalone, this.#format) ? this.#close(open) : null;
  }

  #close(open: Open): Transaction {
    this.#open = null;
    const { gtid, at, timestamp, bytes, standalone, ddl } = open;
    return { gtid, at, end: this.end, timestamp, bytes, standalone, ddl, content: open.content.finish() };
  }
}
