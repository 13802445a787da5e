import { crc32 } from 'node:zlib';
import type { Gtid } from '../../domain/gtid.ts';
import type { BinlogEvent } from './event.ts';
import { CHECKSUM, EVENT, HEADER } from './event.ts';

/** The other direction of `event.ts`: events as they stand in a binlog file, each with a CRC32 checksum. */

const ALGORITHM_CRC32 = 1;
/** In the body of a Format_description: behind the version of the format and the one of the server. */
const CREATED_AT = 52;

type Parts = Pick<BinlogEvent, 'timestamp' | 'type' | 'serverId' | 'flags' | 'body'>;

/** As an event that begins at this offset of its file. Copies the body. */
export function encodeEvent({ timestamp, type, serverId, flags, body }: Parts, position: number): Buffer {
  const size = HEADER + body.length + CHECKSUM;
  const bytes = Buffer.alloc(size);
  bytes.writeUInt32LE(timestamp, 0);
  bytes.writeUInt8(type, 4);
  bytes.writeUInt32LE(serverId, 5);
  bytes.writeUInt32LE(size, 9);
  bytes.writeUInt32LE((position + size) % 2 ** 32, 13);
  bytes.writeUInt16LE(flags, 17);
  body.copy(bytes, HEADER);
  bytes.writeUInt32LE(crc32(bytes.subarray(0, size - CHECKSUM)), size - CHECKSUM);
  return bytes;
}

/**
 * A server's own, for a file that is complete and has checksums. The time at which its own file was begun is left out:
 * `mariadb-binlog` would roll back there what the reader's session has open.
 */
export function encodeFormat(event: BinlogEvent, position: number): Buffer {
  const body = Buffer.from(event.body);
  body.writeUInt32LE(0, CREATED_AT);
  body.writeUInt8(ALGORITHM_CRC32, body.length - 1);
  return encodeEvent({ ...event, flags: 0, body }, position);
}

/** What came before: the last of each domain. */
export function encodeGtidList(gtids: readonly Gtid[], like: BinlogEvent, position: number): Buffer {
  const body = Buffer.alloc(4 + 16 * gtids.length);
  body.writeUInt32LE(gtids.length, 0);
  for (const [index, { domain, serverId, seq }] of gtids.entries()) {
    const at = 4 + 16 * index;
    body.writeUInt32LE(domain, at);
    body.writeUInt32LE(serverId, at + 4);
    body.writeBigUInt64LE(seq, at + 8);
  }
  const { timestamp, serverId } = like;
  return encodeEvent({ timestamp, type: EVENT.GtidList, serverId, flags: 0, body }, position);
}
