import type { BinlogFiles } from '../../../src/sql/binlog/files.ts';
import { EVENT } from '../../../src/sql/binlog/event.ts';
import type { Gtid } from '../../../src/domain/gtid.ts';
import { NOW, STANDALONE, eventBytes, formatBody, gtidBody, queryBody, rotateBody } from './binlog-events.ts';
import type { EventFields } from './binlog-events.ts';

export const MAGIC = Buffer.from([0xfe, 0x62, 0x69, 0x6e]);

/** Writes a binlog file as a server would, event by event. */
export class FileBuilder {
  readonly #parts: Buffer[] = [MAGIC];
  readonly #serverId: number;
  #size = MAGIC.length;

  constructor(
    options: {
      readonly createdAt?: number;
      readonly serverId?: number;
      readonly before?: readonly Gtid[];
      readonly byServerStart?: boolean;
    } = {},
  ) {
    this.#serverId = options.serverId ?? 1;
    this.event({
      type: EVENT.FormatDescription,
      timestamp: options.createdAt ?? NOW,
      body: formatBody(1, { created: options.byServerStart === false ? 0 : 1 }),
    });
    this.event({ type: EVENT.GtidList, body: gtidListBody(options.before ?? []) });
  }

  get size(): number {
    return this.#size;
  }

  event(fields: EventFields): this {
    const body = fields.body ?? Buffer.alloc(0);
    const end = this.#size + 19 + body.length + 4;
    return this.bytes(eventBytes({ serverId: this.#serverId, end, ...fields }));
  }

  bytes(bytes: Buffer): this {
    this.#parts.push(bytes);
    this.#size += bytes.length;
    return this;
  }

  /** A group of one statement; `sql` alone where no COMMIT ends it. */
  statement(seq: bigint, sql = 'CREATE TABLE t (a INT)', options: { domain?: number; serverId?: number } = {}): this {
    const { domain = 0, ...rest } = options;
    this.event({ type: EVENT.Gtid, ...rest, body: gtidBody(seq, { domain, flags: STANDALONE }) });
    return this.event({ type: EVENT.Query, ...rest, body: queryBody(sql) });
  }

  /** A group that Xid ends. */
  transaction(
    seq: bigint,
    sql = 'INSERT INTO t VALUES (1)',
    options: { domain?: number; serverId?: number } = {},
  ): this {
    const { domain = 0, ...rest } = options;
    this.event({ type: EVENT.Gtid, ...rest, body: gtidBody(seq, { domain }) });
    // As 11.4 and later write it.
    this.event({ type: EVENT.Query, ...rest, body: queryBody(sql), end: 0 });
    return this.event({ type: EVENT.Xid, ...rest, body: Buffer.alloc(8) });
  }

  /** A group of several events. */
  transactionOf(seq: bigint, texts: readonly string[], type: number = EVENT.Query): this {
    this.event({ type: EVENT.Gtid, body: gtidBody(seq) });
    for (const text of texts) this.event({ type, body: type === EVENT.Query ? queryBody(text) : Buffer.from(text) });
    return this.event({ type: EVENT.Xid, body: Buffer.alloc(8) });
  }

  rotate(file: string): this {
    return this.event({ type: EVENT.Rotate, body: rotateBody(file) });
  }

  /** Without these many bytes at its end. */
  cut(bytes: number): this {
    const whole = this.build();
    this.#parts.splice(0, this.#parts.length, whole.subarray(0, whole.length - bytes));
    this.#size -= bytes;
    return this;
  }

  build(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

export function gtidListBody(gtids: readonly Gtid[]): Buffer {
  const body = Buffer.alloc(4 + gtids.length * 16);
  body.writeUInt32LE(gtids.length, 0);
  for (const [index, { domain, serverId, seq }] of gtids.entries()) {
    body.writeUInt32LE(domain, 4 + index * 16);
    body.writeUInt32LE(serverId, 8 + index * 16);
    body.writeBigUInt64LE(seq, 12 + index * 16);
  }
  return body;
}

/** A file whose events nobody but its server can read. */
export function encryptedFile(): Buffer {
  const format = eventBytes({ type: EVENT.FormatDescription, body: formatBody(1) });
  const start = eventBytes({ type: EVENT.StartEncryption, body: Buffer.alloc(17) });
  return Buffer.concat([MAGIC, format, start, Buffer.alloc(500, 0xa5)]);
}

export interface DiskOptions {
  /** Bytes that come at once. */
  readonly chunk?: number;
  /** The number of the first file. */
  readonly first?: number;
  readonly without?: string;
  /** Bits of one byte that are flipped. */
  readonly change?: { readonly file: string; readonly offset: number; readonly bit: number };
}

/** Files `bin.000001` and so on, as a publisher would hand them out. */
export function diskOf(built: readonly { build(): Buffer }[], options: DiskOptions = {}): BinlogFiles {
  const { chunk = 500, first = 1, without, change } = options;
  const files = built.map((one, index) => ({
    name: `bin.${String(index + first).padStart(6, '0')}`,
    bytes: one.build(),
    encrypted: one.build === encryptedFile,
  }));
  const left = files.filter(({ name }) => name !== without);
  const { bytes } = left.find(({ name }) => name === change?.file) ?? { bytes: null };
  if (bytes !== null && change !== undefined) bytes[change.offset] = (bytes[change.offset] ?? 0) ^ change.bit;
  return {
    name: 'the binlog files of hci-a',
    list: () => Promise.resolve(left.map(({ name, bytes, encrypted }) => ({ name, size: bytes.length, encrypted }))),
    read: (name, from, length) => {
      const bytes = left.find((one) => one.name === name)?.bytes ?? Buffer.alloc(0);
      return chunksOf(bytes.subarray(from, length === null ? undefined : from + length), chunk);
    },
  };
}

async function* chunksOf(bytes: Buffer, size: number): AsyncGenerator<Buffer, void> {
  for (let at = 0; at < bytes.length; at += size) yield await Promise.resolve(bytes.subarray(at, at + size));
}
