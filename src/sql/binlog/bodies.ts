import { inflateSync } from 'node:zlib';
import type { Gtid } from '../../domain/gtid.ts';
import { type BinlogEvent, type Checksum, EVENT } from './event.ts';
import { Reader } from './reader.ts';

/** Parsers of event bodies, in MariaDB's formats (log_event.cc); each throws on what is too short. */

export interface FormatDescription {
  readonly serverVersion: string;
  /** Whether a server start, and not a rotation, began this file. Meaningful only at the beginning of a file. */
  readonly byServerStart: boolean;
  readonly checksum: Checksum;
  /** Bytes of the fixed part of a body, by event type. */
  readonly fixedLength: (type: number) => number;
}

export function parseFormat(body: Buffer): FormatDescription {
  const reader = new Reader(body, 2);
  const serverVersion = reader.text(50).replace(/\0.*$/s, '');
  const byServerStart = reader.u32() !== 0;
  reader.u8();
  const lengths = reader.take(reader.left - 1);
  const algorithm = reader.u8();
  if (algorithm > 1) throw new RangeError(`checksum algorithm ${algorithm}`);
  const checksum = algorithm === 1 ? 'CRC32' : 'NONE';
  return { serverVersion, byServerStart, checksum, fixedLength: (type) => lengths[type - 1] ?? 0 };
}

/** The file that follows. */
export function parseRotate(body: Buffer): { readonly file: string; readonly position: number } {
  const reader = new Reader(body);
  const position = Number(reader.u64());
  return { position, file: reader.rest().toString('utf8') };
}

export interface GtidEvent {
  readonly gtid: Gtid;
  /** The group is one statement that no COMMIT ends. */
  readonly standalone: boolean;
  readonly ddl: boolean;
  readonly preparedXa: boolean;
}

const FL_STANDALONE = 1;
const FL_DDL = 32;
const FL_PREPARED_XA = 64;

export function parseGtidEvent(event: BinlogEvent): GtidEvent {
  const reader = new Reader(event.body);
  const seq = reader.u64();
  const domain = reader.u32();
  const flags = reader.u8();
  return {
    gtid: { domain, serverId: event.serverId, seq },
    standalone: (flags & FL_STANDALONE) !== 0,
    ddl: (flags & FL_DDL) !== 0,
    preparedXa: (flags & FL_PREPARED_XA) !== 0,
  };
}

const GTID_LIST_COUNT = 0x0fff_ffff;

export function parseGtidList(body: Buffer): Gtid[] {
  const reader = new Reader(body);
  const count = reader.u32() & GTID_LIST_COUNT;
  if (reader.left < count * 16) throw new RangeError(`a GTID list of ${count} in ${body.length} bytes`);
  return Array.from({ length: count }, () => {
    const domain = reader.u32();
    const serverId = reader.u32();
    return { domain, serverId, seq: reader.u64() };
  });
}

export interface QueryEvent {
  readonly database: string;
  readonly sql: string;
}

/** Query, Query_compressed, and Execute_load_query, whose fixed part is longer. */
export function parseQuery(event: BinlogEvent, fixedLength: number): QueryEvent {
  const reader = new Reader(event.body);
  reader.take(8);
  const databaseLength = reader.u8();
  reader.take(2);
  const variablesLength = reader.u16();
  reader.take(Math.max(0, fixedLength - 13));
  reader.take(variablesLength);
  const database = reader.text(databaseLength);
  reader.take(1);
  const text = reader.rest();
  const sql = event.type === EVENT.QueryCompressed ? inflate(text) : text;
  return { database, sql: sql.toString('utf8') };
}

/** A hostile server could otherwise make gigabytes of some kilobytes. */
const LONGEST_INFLATED = 256 * 1024 * 1024;

/** MariaDB's compressed block: a byte that says how long the length is, the length (big-endian), then zlib. */
export function inflate(block: Buffer): Buffer {
  const reader = new Reader(block);
  const head = reader.u8();
  if ((head & 0xe0) !== 0x80) throw new RangeError(`compression method ${head}`);
  const lengthBytes = head & 0x07;
  if (lengthBytes < 1 || lengthBytes > 4) throw new RangeError(`a length of ${lengthBytes} bytes`);
  const length = reader.take(lengthBytes).readUIntBE(0, lengthBytes);
  if (length > LONGEST_INFLATED) throw new RangeError(`${length} bytes in one compressed event`);
  return inflateSync(reader.rest(), { maxOutputLength: Math.max(1, length) });
}

export interface TableMap {
  readonly tableId: number;
  /** `database.table` */
  readonly name: string;
  /** Column types and their sizes, as bytes: what row images are encoded by. */
  readonly types: Buffer;
  /** The types alone, and the metadata alone. */
  readonly columns: { readonly types: Buffer; readonly metadata: Buffer };
}

export function parseTableMap(body: Buffer): TableMap {
  const reader = new Reader(body);
  const tableId = reader.take(6).readUIntLE(0, 6);
  reader.take(2);
  const database = reader.shortText();
  reader.take(1);
  const table = reader.shortText();
  reader.take(1);
  const types = reader.take(reader.packed());
  const metadata = reader.take(reader.packed());
  const columns = { types, metadata };
  return { tableId, name: `${database}.${table}`, types: Buffer.concat([types, metadata]), columns };
}

export interface RowsEvent {
  readonly tableId: number;
  readonly change: 'insert' | 'update' | 'delete';
  /** Every column is in every image. */
  readonly whole: boolean;
  /** Which columns are there, as `1` and `0`; of an update before and after. */
  readonly columns: string;
  /** The images themselves, as the server encodes them. */
  readonly rows: Buffer;
}

const CHANGE_BY_TYPE: ReadonlyMap<number, RowsEvent['change']> = new Map([
  ...[23, 30, 166, 169].map((type) => [type, 'insert'] as const),
  ...[24, 31, 167, 170].map((type) => [type, 'update'] as const),
  ...[25, 32, 168, 171].map((type) => [type, 'delete'] as const),
]);

/** Of a table, in MariaDB. */
const MAX_COLUMNS = 4096;

/** `undefined`: not a rows event. */
export function parseRows(event: BinlogEvent): RowsEvent | undefined {
  const change = CHANGE_BY_TYPE.get(event.type);
  if (change === undefined) return undefined;
  const reader = new Reader(event.body);
  const tableId = reader.take(6).readUIntLE(0, 6);
  reader.take(2);
  if (isVersion2(event.type)) reader.take(reader.u16() - 2);
  const width = reader.packed();
  if (width > MAX_COLUMNS) throw new RangeError(`rows of ${width} columns`);
  const bitmaps = [reader.take(Math.ceil(width / 8))];
  if (change === 'update') bitmaps.push(reader.take(Math.ceil(width / 8)));
  const images = bitmaps.map((bitmap) => columnsOf(bitmap, width));
  const rest = reader.rest();
  const compressed = event.type >= EVENT.WriteRowsCompressedV1;
  const rows = compressed ? inflate(rest) : rest;
  const whole = images.every((image) => !image.includes('0'));
  return { tableId, change, whole, columns: images.join(' '), rows };
}

function isVersion2(type: number): boolean {
  return (type >= EVENT.WriteRowsV2 && type <= EVENT.DeleteRowsV2) || type >= EVENT.WriteRowsCompressedV2;
}

/** Bit by bit, because a primary of 10.5 sets the bits behind the last column and its replicas do not. */
function columnsOf(bitmap: Buffer, width: number): string {
  let columns = '';
  for (let column = 0; column < width; column += 1) {
    columns += ((bitmap[Math.floor(column / 8)] ?? 0) & (1 << (column % 8))) === 0 ? '0' : '1';
  }
  return columns;
}
