import { crc32 } from 'node:zlib';
import { JournalEntry } from '../api/publisher.ts';

/**
 * One entry is one line: the CRC-32 of its JSON in eight hexadecimal digits, a space, the JSON with `seq` first, a line
 * feed. The checksum is there for disks and crashes, not against people: who may write the directory may write anything.
 */

const CRC_CHARS = 8;
const HEADER_CHARS = CRC_CHARS + 1;
const LINE_FEED = 0x0a;
const SEQ = /^\{"seq":(\d{1,15})[,}]/u;

/** A line that is to be written, or was. */
export interface Line {
  readonly seq: number;
  /** With its line feed. */
  readonly bytes: Buffer;
}

export function lineOf(entry: JournalEntry): Line {
  const { seq, ...rest } = entry;
  const json = Buffer.from(JSON.stringify({ seq, ...rest }));
  return { seq, bytes: Buffer.concat([Buffer.from(`${checksum(json)} `), json, Buffer.of(LINE_FEED)]) };
}

/** Each complete line without its line feed, and where the next one begins; what is behind the last line feed is left. */
export function* linesIn(bytes: Buffer): Generator<{ readonly line: Buffer; readonly end: number }, void> {
  let start = 0;
  for (;;) {
    const end = bytes.indexOf(LINE_FEED, start);
    if (end < 0) return;
    yield { line: bytes.subarray(start, end), end: end + 1 };
    start = end + 1;
  }
}

/** The JSON of a line whose checksum is right, with its number; undefined: it is damaged. */
export function verified(line: Buffer): { readonly seq: number; readonly json: Buffer } | undefined {
  const json = line.subarray(HEADER_CHARS);
  if (line.subarray(0, HEADER_CHARS).toString('latin1') !== `${checksum(json)} `) return undefined;
  const seq = SEQ.exec(json.subarray(0, 32).toString('latin1'))?.[1];
  return seq === undefined ? undefined : { seq: Number(seq), json };
}

/** The highest number that a damaged line, or several that became one, shows. It is no evidence of anything. */
export function shownSeq(line: Buffer): number {
  let highest = 0;
  for (const [, digits] of line.toString('latin1').matchAll(/\{"seq":(\d{1,15})/gu)) {
    highest = Math.max(highest, Number(digits));
  }
  return highest;
}

/** Undefined: the JSON is not that of an entry. */
export function entryOf(json: Buffer): JournalEntry | undefined {
  try {
    return JournalEntry.safeParse(JSON.parse(json.toString('utf8'))).data;
  } catch {
    return undefined;
  }
}

function checksum(json: Buffer): string {
  return crc32(json).toString(16).padStart(CRC_CHARS, '0');
}
