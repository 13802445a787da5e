import { crc32 } from 'node:zlib';
import type { GtidPosition } from '../../domain/gtid.ts';
import { CHECKSUM, EVENT, HEADER } from '../binlog/event.ts';
import type { FileHead } from '../binlog/files.ts';

/** Events that are in no file: a source makes them to say where it is. */

const ARTIFICIAL = 0x20;
const LOG_POS = 13;
/** Of a Format_description: when its server started, whereupon replicas drop their temporary tables. */
const CREATED = HEADER + 2 + 50;
const UNTIL_REACHED = 1 << 28;

export interface FakeEvents {
  readonly serverId: number;
  readonly checksum: 'CRC32' | 'NONE';
}

/** The events that follow are of this file. */
export function rotateTo(as: FakeEvents, file: string): Buffer {
  const position = Buffer.alloc(8);
  position.writeBigUInt64LE(4n);
  return fake(as, EVENT.Rotate, Buffer.concat([position, Buffer.from(file)]), 0);
}

/** Nothing new, but the source is there. */
export function heartbeat(as: FakeEvents, file: string, position: number): Buffer {
  return fake(as, EVENT.Heartbeat, Buffer.from(file), position);
}

/** The place up to which the replica wanted to come is reached; its threads stop. */
export function untilReached(as: FakeEvents, until: GtidPosition, position: number): Buffer {
  const body = Buffer.alloc(4 + until.size * 16);
  body.writeUInt32LE(until.size | UNTIL_REACHED, 0);
  for (const [index, { domain, serverId, seq }] of [...until.values()].entries()) {
    body.writeUInt32LE(domain, 4 + index * 16);
    body.writeUInt32LE(serverId, 8 + index * 16);
    body.writeBigUInt64LE(seq, 12 + index * 16);
  }
  return fake(as, EVENT.GtidList, body, position);
}

/** As a source sends it that begins in the middle of a file: it is no restart, and no place of its own. */
export function formatInside({ formatEvent }: FileHead): Buffer {
  const bytes = Buffer.from(formatEvent);
  bytes.writeUInt32LE(0, LOG_POS);
  bytes.writeUInt32LE(0, CREATED);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, -CHECKSUM)), bytes.length - CHECKSUM);
  return bytes;
}

function fake({ serverId, checksum }: FakeEvents, type: number, body: Buffer, position: number): Buffer {
  const length = HEADER + body.length + (checksum === 'CRC32' ? CHECKSUM : 0);
  const bytes = Buffer.alloc(length);
  bytes[4] = type;
  bytes.writeUInt32LE(serverId, 5);
  bytes.writeUInt32LE(length, 9);
  bytes.writeUInt32LE(position % 0x1_0000_0000, LOG_POS);
  bytes.writeUInt16LE(ARTIFICIAL, 17);
  body.copy(bytes, HEADER);
  if (checksum === 'CRC32') bytes.writeUInt32LE(crc32(bytes.subarray(0, -CHECKSUM)), length - CHECKSUM);
  return bytes;
}
