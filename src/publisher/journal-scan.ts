import { constants } from 'node:fs';
import { lstat, open } from 'node:fs/promises';
import { join } from 'node:path';
import type { JournalEntry } from '../api/publisher.ts';
import { entryOf, linesIn, shownSeq, verified } from './journal-line.ts';
import { systemCode } from '../errors.ts';

/** A file of the journal; its name has the number of its first entry. */
export interface Segment {
  readonly name: string;
  readonly path: string;
  /** How much of it is ours to read; what is behind that was torn, or is not safe on the disk and will be cut off. */
  bytes: number;
  /** The last entry in it; 0: none. */
  lastSeq: number;
  /** Nothing more is written to it. */
  readonly sealed: boolean;
  readonly damage: readonly string[];
}

export interface Scan {
  readonly segment: Segment;
  readonly last: JournalEntry | null;
  /** The number of the next entry; null: nobody knows what is in this file. */
  readonly nextSeq: number | null;
  /** No entry in it has this number or a higher one. */
  readonly freeSeq: number;
}

const NAME = /^journal-(\d{15})\.jsonl$/u;
/** Nothing of ours is that large; it would be read into memory. */
const MAX_SEGMENT_BYTES = 64 * 1024 * 1024;
/** One file cannot use up all that a person would read. */
const MAX_DAMAGE = 8;
export const NOT_OURS = 'it is not an entry of this version';

export function segmentName(firstSeq: number): string {
  return `journal-${String(firstSeq).padStart(15, '0')}.jsonl`;
}

/** Undefined: not a file of the journal. */
export function firstSeqOf(name: string): number | undefined {
  const digits = NAME.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

export interface ScanOptions {
  /** The number of its first entry; null where nobody knows. */
  readonly expected: number | null;
  /** A line without an end is what a crash leaves, but only at the end of this one. */
  readonly newest: boolean;
  /** Whether each entry is compared with the schema, which takes ten times as long as its checksum. */
  readonly thorough: boolean;
}

/** Reads one file from begin to end. */
export async function scanSegment(directory: string, name: string, options: ScanOptions): Promise<Scan> {
  const path = join(directory, name);
  const first = firstSeqOf(name) ?? 1;
  const expected = options.expected ?? first;
  try {
    const bytes = await readSegment(path, MAX_SEGMENT_BYTES);
    const found = scanBytes(name, bytes, { ...options, expected });
    const { end, last, damage } = found;
    const segment = { name, path, bytes: end, lastSeq: found.lastSeq, sealed: !options.newest, damage };
    const nextSeq = Math.max(found.nextSeq, first);
    return { segment, last, nextSeq, freeSeq: nextSeq };
  } catch (error) {
    const size = await sizeOf(path);
    const damage = [`${name} cannot be read (${reasonOf(error)}): what is in it is missing`];
    // An entry takes more than a byte.
    const freeSeq = Math.max(expected, first + size);
    const segment = { name, path, bytes: size, lastSeq: 0, sealed: true, damage };
    return { segment, last: null, nextSeq: null, freeSeq };
  }
}

interface Found {
  readonly end: number;
  readonly last: JournalEntry | null;
  /** 0: none. */
  readonly lastSeq: number;
  readonly nextSeq: number;
  readonly damage: readonly string[];
}

function scanBytes(name: string, bytes: Buffer, options: ScanOptions & { readonly expected: number }): Found {
  const damage: string[] = [];
  let next = options.expected;
  let last: { readonly seq: number; readonly json: Buffer } | null = null;
  let end = 0;
  let number = 0;
  let unread = 0;
  // The number of an entry that cannot be read any more is not given to another one.
  let free = 0;
  for (const { line, end: lineEnd } of linesIn(bytes)) {
    number += 1;
    end = lineEnd;
    const where = `${name} line ${number}`;
    const checked = verified(line);
    if (checked === undefined || (options.thorough && entryOf(checked.json) === undefined)) {
      const why = checked === undefined ? 'its checksum is wrong' : NOT_OURS;
      damage.push(`${where} is damaged (${why}): what stands before it in this file is not known to be without gaps`);
      unread += 1;
      const shown = shownSeq(line);
      if (shown < next + bytes.length) free = Math.max(free, shown + 1);
    } else if (checked.seq < next) {
      damage.push(`${where} is left out: entry ${checked.seq} stands where ${next} or a later one belongs`);
    } else {
      // What a damaged line stood for is said already.
      if (checked.seq > next + unread) damage.push(`${missing(next, checked.seq - 1)} before ${where}`);
      unread = 0;
      next = checked.seq + 1;
      last = checked;
    }
  }
  if (end < bytes.length && !options.newest)
    damage.push(`${name} line ${number + 1} is cut off, and it is not the newest`);
  return {
    end,
    last: last === null ? null : (entryOf(last.json) ?? null),
    lastSeq: last?.seq ?? 0,
    nextSeq: Math.max(next + unread, free),
    damage: bounded(damage, name),
  };
}

export function missing(from: number, to: number): string {
  return from === to ? `entry ${from} is missing` : `entries ${from} to ${to} are missing`;
}

function bounded(damage: readonly string[], name: string): readonly string[] {
  if (damage.length <= MAX_DAMAGE) return damage;
  return [...damage.slice(0, MAX_DAMAGE - 1), `${name} has ${damage.length - MAX_DAMAGE + 1} more places like these`];
}

/** The first `limit` bytes. Rejects for what is not a regular file, and never follows a link. */
export async function readSegment(path: string, limit: number): Promise<Buffer> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw new Error('it is not a regular file');
    if (stat.size > MAX_SEGMENT_BYTES) throw new Error(`it has more than ${MAX_SEGMENT_BYTES} bytes`);
    const buffer = Buffer.alloc(Math.min(stat.size, limit));
    let filled = 0;
    while (filled < buffer.length) {
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  } finally {
    await handle.close();
  }
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await lstat(path)).size;
  } catch {
    return 0;
  }
}

/** `ENOSPC` and its kind where the system said so, else the sentence. */
export function reasonOf(error: unknown): string {
  return systemCode(error) ?? (error instanceof Error ? error.message : String(error));
}
