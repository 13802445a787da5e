import { crc32, deflateSync } from 'node:zlib';
import { EVENT } from '../../../src/sql/binlog/event.ts';
import { ok, packet, scriptedServer, speaksMariaDb } from './scripted-server.ts';
import type { ScriptedServer } from './scripted-server.ts';

export interface EventFields {
  readonly type: number;
  readonly body?: Buffer;
  readonly timestamp?: number;
  readonly serverId?: number;
  readonly end?: number;
  readonly flags?: number;
}

export const NOW = 1_800_000_000;

/** One event with a right checksum. */
export function eventBytes(fields: EventFields): Buffer {
  const body = fields.body ?? Buffer.alloc(0);
  const bytes = Buffer.alloc(19 + body.length + 4);
  bytes.writeUInt32LE(fields.timestamp ?? NOW, 0);
  bytes.writeUInt8(fields.type, 4);
  bytes.writeUInt32LE(fields.serverId ?? 1, 5);
  bytes.writeUInt32LE(bytes.length, 9);
  bytes.writeUInt32LE(fields.end ?? 0, 13);
  bytes.writeUInt16LE(fields.flags ?? 0, 17);
  body.copy(bytes, 19);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4);
  return bytes;
}

export function rotateBody(file: string, position = 4): Buffer {
  const offset = Buffer.alloc(8);
  offset.writeBigUInt64LE(BigInt(position));
  return Buffer.concat([offset, Buffer.from(file)]);
}

export function formatBody(checksum: number, options: { version?: string; created?: number } = {}): Buffer {
  const body = Buffer.alloc(57 + 171 + 1);
  body.writeUInt16LE(4, 0);
  body.write(options.version ?? '10.11.19-MariaDB-log', 2);
  body.writeUInt32LE(options.created ?? 0, 52);
  body.writeUInt8(19, 56);
  body[57 + EVENT.Query - 1] = 13;
  body[body.length - 1] = checksum;
  return body;
}

export function gtidBody(seq: bigint, options: { domain?: number; flags?: number } = {}): Buffer {
  const body = Buffer.alloc(19);
  body.writeBigUInt64LE(seq, 0);
  body.writeUInt32LE(options.domain ?? 0, 8);
  body.writeUInt8(options.flags ?? 12, 12);
  return body;
}

export const STANDALONE = 1;

export function queryBody(sql: string | Buffer, database = 'shop'): Buffer {
  const fixed = Buffer.alloc(13);
  fixed.writeUInt8(database.length, 8);
  return Buffer.concat([fixed, Buffer.from(`${database}\0`), Buffer.from(sql)]);
}

/** As MariaDB compresses: how long the length is, the length, then zlib. */
export function compressed(text: Buffer): Buffer {
  const head = Buffer.from([0x82, 0, 0]);
  head.writeUInt16BE(text.length, 1);
  return Buffer.concat([head, deflateSync(text)]);
}

export function tableMapBody(tableId: number, name: string, types: readonly number[]): Buffer {
  const id = Buffer.alloc(8);
  id.writeUIntLE(tableId, 0, 6);
  const names = Buffer.from(`\x04shop\0${String.fromCharCode(name.length)}${name}\0`, 'latin1');
  return Buffer.concat([id, names, Buffer.from([types.length, ...types, 0, 0])]);
}

export interface Rows {
  readonly tableId: number;
  readonly width: number;
  readonly columns: readonly number[];
  readonly rows: Buffer;
}

export function rowsBody({ tableId, width, columns, rows }: Rows): Buffer {
  const id = Buffer.alloc(8);
  id.writeUIntLE(tableId, 0, 6);
  return Buffer.concat([id, Buffer.from([width, ...columns]), rows]);
}

export function dumpBegin(file = 'bin.000001'): Buffer[] {
  return [
    eventBytes({ type: EVENT.Rotate, timestamp: 0, flags: 0x20, body: rotateBody(file) }),
    eventBytes({ type: EVENT.FormatDescription, end: 256, body: formatBody(1, { created: 1 }) }),
    eventBytes({ type: EVENT.GtidList, end: 285, body: Buffer.alloc(4) }),
  ];
}

export const EOF = Buffer.from([0xfe, 0, 0, 2, 0]);

/** A server that answers every dump with these payloads, an event's `0` before it included. */
export function dumpServer(payloads: readonly Buffer[]): Promise<ScriptedServer> {
  return scriptedServer(
    speaksMariaDb((statement, socket) => {
      if (statement.startsWith('SET ')) socket.write(ok(1));
      else for (const [index, payload] of payloads.entries()) socket.write(packet((index + 1) & 0xff, payload));
    }),
  );
}

export function payloads(events: readonly Buffer[]): Buffer[] {
  return events.map((event) => Buffer.concat([Buffer.from([0]), event]));
}
