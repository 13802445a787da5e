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
    options: { readonly createdAt?: number; readonly serverId?: number; readonly before?: readonly Gtid[] } = {},
  ) {
    this.#serverId = options.serverId ?? 1;
    this.event({
      type: EVENT.FormatDescription,
      timestamp: options.createdAt ?? NOW,
      body: formatBody(1, { created: 1 }),
    });
    this.event({ type: EVENT.GtidList, body: gtidListBody(options.before ?? []) });
  }

  get size(): number {
    return this.#size;
  }

  event(fields: EventFields): this {
    const body = fields.body ?? Buffer.alloc(0);
    const end = this.#size + 19 + body.length + 4;
    return this.bytes(eventBytes({ serverId: this.#serverId, ...fields, end }));
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
    this.event({ type: EVENT.Query, ...rest, body: queryBody(sql) });
    return this.event({ type: EVENT.Xid, ...rest, body: Buffer.alloc(8) });
  }

  rotate(file: string): this {
    return this.event({ type: EVENT.Rotate, body: rotateBody(file) });
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
