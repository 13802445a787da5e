import type { Gtid } from '../../domain/gtid.ts';
import { type FormatDescription, parseFormat, parseGtidList } from './bodies.ts';
import { EVENT } from './event.ts';
import { type Broken, FileEvents } from './file-events.ts';

/** The binlog files on a disk. Every call rejects with MxrError where they cannot be asked for. */
export interface BinlogFiles {
  /** For messages: `the binlog files of hci-a`. */
  readonly name: string;
  list(signal: AbortSignal): Promise<readonly ListedFile[]>;
  /** `length` null: to its end. */
  read(file: string, from: number, length: number | null, signal: AbortSignal): AsyncIterable<Buffer>;
}

export interface ListedFile {
  readonly name: string;
  readonly size: number;
  readonly encrypted: boolean;
}

/** With what a file begins. */
export interface FileHead {
  readonly name: string;
  readonly size: number;
  /** Wall clock ms (whole seconds). */
  readonly createdAt: number;
  readonly serverId: number;
  readonly format: FormatDescription;
  /** The last GTID per domain and server id before this file; of each domain the newest comes last. */
  readonly before: readonly Gtid[];
  /** The Format_description as a replica gets it. */
  readonly formatEvent: Buffer;
  /** Behind the Gtid_list. */
  readonly end: number;
}

/** The Gtid_list has 16 bytes for each domain and server id. */
const HEAD_BYTES = 65_536;

/** A text says why it is no head. */
export async function readHead(files: BinlogFiles, file: ListedFile, signal: AbortSignal): Promise<FileHead | string> {
  const events = new FileEvents(files.read(file.name, 0, Math.min(HEAD_BYTES, file.size), signal));
  let begin: Pick<FileHead, 'createdAt' | 'serverId' | 'format' | 'formatEvent'> | null = null;
  for await (const { event, bytes } of events) {
    if (event.type === EVENT.FormatDescription) {
      const format = parseFormat(event.body);
      begin = { createdAt: event.timestamp * 1000, serverId: event.serverId, format, formatEvent: bytes };
    } else if (event.type === EVENT.GtidList && begin !== null) {
      const { name, size } = file;
      return { name, size, ...begin, before: parseGtidList(event.body), end: events.at };
    } else break;
  }
  return whyNot(events.broken);
}

function whyNot(broken: Broken | null): string {
  return broken === null ? 'it does not begin as binlog files of MariaDB do' : `${broken.detail} (at ${broken.at})`;
}
