import { crc32 } from 'node:zlib';

/** With what each binlog file begins. */
export const MAGIC = Buffer.from([0xfe, 0x62, 0x69, 0x6e]);

/** Event types of MariaDB 10.5 to 11.8 that have a meaning here (log_event.h, enum Log_event_type); others are skipped. */
export const EVENT = {
  Query: 2,
  Stop: 3,
  Rotate: 4,
  Intvar: 5,
  AppendBlock: 9,
  DeleteFile: 11,
  Rand: 13,
  UserVar: 14,
  FormatDescription: 15,
  Xid: 16,
  BeginLoadQuery: 17,
  ExecuteLoadQuery: 18,
  TableMap: 19,
  WriteRowsV1: 23,
  UpdateRowsV1: 24,
  DeleteRowsV1: 25,
  Incident: 26,
  Heartbeat: 27,
  WriteRowsV2: 30,
  UpdateRowsV2: 31,
  DeleteRowsV2: 32,
  XaPrepare: 38,
  AnnotateRows: 160,
  BinlogCheckpoint: 161,
  Gtid: 162,
  GtidList: 163,
  StartEncryption: 164,
  QueryCompressed: 165,
  WriteRowsCompressedV1: 166,
  UpdateRowsCompressedV1: 167,
  DeleteRowsCompressedV1: 168,
  WriteRowsCompressedV2: 169,
  UpdateRowsCompressedV2: 170,
  DeleteRowsCompressedV2: 171,
} as const;

/** One event as the server sent it. */
export interface BinlogEvent {
  /** Seconds since the epoch; 0 in events that the server made for this dump. */
  readonly timestamp: number;
  readonly type: number;
  readonly serverId: number;
  /** Bytes in the file, header and checksum included. */
  readonly size: number;
  /** Offset of the end in its file, modulo 2^32; 0 where it says nothing. */
  readonly endLogPos: number;
  readonly flags: number;
  /** Not in any file: made by the dump itself to say where it is. */
  readonly fake: boolean;
  /** Between header and checksum. Valid only until the visitor returns. */
  readonly body: Buffer;
}

export const HEADER = 19;
export const CHECKSUM = 4;
/** The byte before the checksum of a Format_description: the algorithm of the events that follow. */
const CHECKSUM_NONE = 0;

export type Checksum = 'CRC32' | 'NONE' | 'unknown';

/**
 * Splits one event of the wire. `unknown` is for the first event, which comes before the Format_description that says
 * whether there are checksums: one that fits is one.
 */
export function parseEvent(bytes: Buffer, checksum: Checksum): BinlogEvent {
  if (bytes.length < HEADER) throw new RangeError(`an event of ${bytes.length} bytes`);
  const size = bytes.readUInt32LE(9);
  if (size !== bytes.length) throw new RangeError(`an event of ${bytes.length} bytes says that it has ${size}`);
  const type = bytes.readUInt8(4);
  const timestamp = bytes.readUInt32LE(0);
  return {
    timestamp,
    type,
    serverId: bytes.readUInt32LE(5),
    size,
    endLogPos: bytes.readUInt32LE(13),
    flags: bytes.readUInt16LE(17),
    fake: timestamp === 0,
    body: bytes.subarray(HEADER, checkedEnd(bytes, type, checksum)),
  };
}

/** Where the body ends; throws when the checksum is wrong. */
function checkedEnd(bytes: Buffer, type: number, checksum: Checksum): number {
  const end = bytes.length - CHECKSUM;
  if (checksum === 'NONE' && type !== EVENT.FormatDescription) return bytes.length;
  const fits = end >= HEADER && crc32(bytes.subarray(0, end)) === bytes.readUInt32LE(end);
  if (fits) return end;
  // It has room for a checksum also where there are none.
  if (type === EVENT.FormatDescription && bytes.readUInt8(end - 1) === CHECKSUM_NONE) return end;
  if (checksum === 'unknown' && type !== EVENT.FormatDescription) return bytes.length;
  throw new RangeError(`the checksum of an event of type ${type} is wrong`);
}
