import type { Duplex } from 'node:stream';
import type { SqlFailure } from './errors.ts';
import { serverFailure } from './errors.ts';
import { PacketCutter } from './binlog/packets.ts';
import type { Row } from './port.ts';

/** What became of one statement. */
export type StatementResult = readonly Row[] | SqlFailure;

const COM_QUERY = 0x03;
const HEADER = 4;
const LONGEST = 0xffffff - 1;
const [OK, LOCAL_FILE, EOF, ERROR] = [0x00, 0xfb, 0xfe, 0xff];
const NULL = 0xfb;
const MORE_RESULTS = 0x0008;
const NAME_IS_AFTER = 4;

interface Waiting {
  readonly done: (result: StatementResult) => void;
  names: string[];
  /** Column definitions that are still to come; null: before the first packet of a result. */
  missing: number | null;
  inRows: boolean;
  rows: Row[];
}

/**
 * Statements and their rows on the stream of a session that is logged in. mysql2 asks one after the other, and makes
 * objects of every column of every result; a look is four statements, a thousand times a second. Here statements are
 * sent as they come, and the server answers them in order. Every cell stays the text that the server wrote.
 */
export class Statements {
  readonly #stream: Duplex;
  readonly #onBroken: (failure: SqlFailure) => void;
  readonly #cutter = new PacketCutter();
  readonly #waiting: Waiting[] = [];
  readonly #onData = (chunk: Buffer): void => this.#take(chunk);
  #corked = false;

  /** `onBroken`: what the server sends cannot be understood; the session is of no use any more. */
  constructor(stream: Duplex, onBroken: (failure: SqlFailure) => void) {
    this.#stream = stream;
    this.#onBroken = onBroken;
    stream.on('data', this.#onData);
  }

  /** `done` is called once, when the answer is complete; not when the stream ends before. */
  send(sql: string, done: (result: StatementResult) => void): void {
    const text = Buffer.from(sql);
    if (text.length >= LONGEST) {
      done({ code: 'ProtocolError', retryable: false, detail: 'the statement is too long' });
      return;
    }
    const packet = Buffer.allocUnsafe(HEADER + 1 + text.length);
    packet.writeUIntLE(1 + text.length, 0, 3);
    packet.writeUInt8(0, 3);
    packet.writeUInt8(COM_QUERY, HEADER);
    text.copy(packet, HEADER + 1);
    this.#waiting.push({ done, names: [], missing: null, inRows: false, rows: [] });
    this.#corkForNow();
    this.#stream.write(packet);
  }

  /** Leaves the stream to somebody else. */
  release(): void {
    this.#stream.off('data', this.#onData);
  }

  /** What is sent in one go leaves in one system call. */
  #corkForNow(): void {
    if (this.#corked) return;
    this.#corked = true;
    this.#stream.cork();
    process.nextTick(() => {
      this.#corked = false;
      this.#stream.uncork();
    });
  }

  #take(chunk: Buffer): void {
    try {
      this.#cutter.push(chunk, (payload) => this.#packet(payload));
    } catch (error) {
      const detail = `its answer is malformed: ${error instanceof Error ? error.message : 'unknown'}`;
      this.#onBroken({ code: 'ProtocolError', retryable: false, detail });
    }
  }

  #packet(payload: Buffer): boolean {
    const [current] = this.#waiting;
    if (payload[0] === ERROR) {
      // A server that ends a session says so without having been asked.
      if (current === undefined) this.#onBroken(failureIn(payload));
      else this.#end(failureIn(payload));
      return true;
    }
    if (current === undefined) throw new RangeError('a packet that nobody asked for');
    if (current.missing === null) this.#begin(current, payload);
    else if (current.missing > 0) {
      current.names.push(columnName(payload));
      current.missing -= 1;
    } else if (!current.inRows) current.inRows = expectEof(payload);
    else if (payload[0] === EOF && payload.length < 9) this.#resultOver(current, payload.readUInt16LE(3));
    else current.rows.push(rowOf(payload, current.names));
    return true;
  }

  #begin(current: Waiting, payload: Buffer): void {
    if (payload[0] === OK) {
      const inserted = lengthAt(payload, lengthAt(payload, 1).next).next;
      this.#resultOver(current, payload.readUInt16LE(inserted));
      return;
    }
    if (payload[0] === LOCAL_FILE) throw new RangeError('it asks for a file of this machine');
    current.names = [];
    current.missing = lengthAt(payload, 0).value;
    current.inRows = false;
  }

  #resultOver(current: Waiting, status: number): void {
    current.missing = null;
    if ((status & MORE_RESULTS) === 0) this.#end(current.rows);
  }

  #end(result: StatementResult): void {
    this.#waiting.shift()?.done(result);
  }
}

function failureIn(payload: Buffer): SqlFailure {
  const hasState = payload[3] === 0x23;
  return serverFailure(payload.readUInt16LE(1), payload.toString('utf8', hasState ? 9 : 3));
}

function expectEof(payload: Buffer): true {
  if (payload[0] !== EOF || payload.length >= 9) throw new RangeError('columns that do not end');
  return true;
}

interface Length {
  readonly value: number;
  readonly next: number;
}

/** A length-encoded integer (https://mariadb.com/docs/server/reference/clientserver-protocol/protocol-data-types). */
function lengthAt(payload: Buffer, at: number): Length {
  const first = payload.readUInt8(at);
  if (first < NULL) return { value: first, next: at + 1 };
  if (first === 0xfc) return { value: payload.readUInt16LE(at + 1), next: at + 3 };
  if (first === 0xfd) return { value: payload.readUIntLE(at + 1, 3), next: at + 4 };
  if (first === 0xfe) return { value: Number(payload.readBigUInt64LE(at + 1)), next: at + 9 };
  throw new RangeError(`a length that begins with ${first}`);
}

/** Catalog, schema, table, original table, then the name. */
function columnName(payload: Buffer): string {
  let at = 0;
  for (let skipped = 0; skipped < NAME_IS_AFTER; skipped += 1) {
    const { value, next } = lengthAt(payload, at);
    at = next + value;
  }
  const { value, next } = lengthAt(payload, at);
  return textAt(payload, next, value);
}

function rowOf(payload: Buffer, names: readonly string[]): Row {
  const row: Record<string, string | null> = {};
  let at = 0;
  for (const name of names) {
    if (payload[at] === NULL) {
      row[name] = null;
      at += 1;
      continue;
    }
    const { value, next } = lengthAt(payload, at);
    row[name] = textAt(payload, next, value);
    at = next + value;
  }
  if (at !== payload.length) throw new RangeError('a row of another length');
  return row;
}

function textAt(payload: Buffer, at: number, length: number): string {
  if (at + length > payload.length) throw new RangeError('a text that is longer than its packet');
  return payload.toString('utf8', at, at + length);
}
