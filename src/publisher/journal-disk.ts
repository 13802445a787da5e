import { constants } from 'node:fs';
import { open, readdir, stat, unlink } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { JournalEntry } from '../api/publisher.ts';
import type { Line } from './journal-line.ts';
import { lockDirectory } from './journal-lock.ts';
import { firstSeqOf, reasonOf, scanSegment, segmentName } from './journal-scan.ts';
import type { Segment } from './journal-scan.ts';

const SEGMENTS = 4;
/** A page is read out of whole files. */
const MAX_SEGMENT_BYTES = 4 * 1024 * 1024;
/** So many of the newest files are read with care at the start; of the others whoever turns their pages does it. */
const THOROUGH = 4;
const APPEND = constants.O_WRONLY | constants.O_APPEND | constants.O_NOFOLLOW;
const CREATE = APPEND | constants.O_CREAT | constants.O_EXCL;

/**
 * The files of a journal, for one writer. Each call rejects with what the system said; after that `abandon` has to be
 * called, and then everything behind `durableSeq` is to be written again: a page that could not be written back is
 * dropped by the kernel, and a second fdatasync would not say so.
 */
export class JournalDisk {
  readonly #directory: string;
  readonly #lock: FileHandle;
  readonly #maxBytes: number;
  readonly #segmentBytes: number;
  /** Oldest first. */
  readonly #segments: Segment[];
  #handle: FileHandle | null = null;
  /** What is on the disk of the newest file. */
  #durable: { readonly bytes: number; readonly lastSeq: number };
  /** The newest entry that is written, and the newest that survives a crash of the host. */
  writtenSeq: number;
  durableSeq: number;
  readonly last: JournalEntry | null;
  readonly nextSeq: number;

  private constructor(directory: string, lock: FileHandle, maxBytes: number, found: Found) {
    this.#directory = directory;
    this.#lock = lock;
    this.#maxBytes = maxBytes;
    this.#segmentBytes = Math.min(Math.floor(maxBytes / SEGMENTS), MAX_SEGMENT_BYTES);
    this.#segments = found.segments;
    this.last = found.last;
    this.nextSeq = found.nextSeq;
    this.writtenSeq = found.nextSeq - 1;
    this.durableSeq = this.writtenSeq;
    const newest = found.segments.at(-1);
    this.#durable = { bytes: newest?.bytes ?? 0, lastSeq: newest?.lastSeq ?? 0 };
  }

  /** Rejects with `ConfigInvalid` when the directory cannot be used or another process uses it. */
  static async open(directory: string, maxBytes: number): Promise<JournalDisk> {
    const lock = await lockDirectory(directory);
    try {
      return new JournalDisk(directory, lock, maxBytes, await scanAll(directory));
    } catch (error) {
      await lock.close();
      throw error;
    }
  }

  get segments(): readonly Segment[] {
    return this.#segments;
  }

  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Opens the file that is written next, so that a directory that cannot be written is known before the first entry. */
  async prepare(): Promise<void> {
    await this.#openFor({ seq: this.nextSeq, bytes: Buffer.alloc(0) });
  }

  async write(line: Line): Promise<void> {
    if (line.bytes.length > this.#segmentBytes) throw new Error('the entry is larger than a file of the journal');
    const { handle, segment } = await this.#openFor(line);
    await this.#makeRoom(line.bytes.length);
    let done = 0;
    while (done < line.bytes.length) done += (await handle.write(line.bytes, done)).bytesWritten;
    segment.bytes += line.bytes.length;
    segment.lastSeq = line.seq;
    this.writtenSeq = line.seq;
  }

  async sync(): Promise<void> {
    const segment = this.#segments.at(-1);
    if (this.#handle === null || segment === undefined || this.durableSeq === this.writtenSeq) return;
    const { bytes, lastSeq } = segment;
    const written = this.writtenSeq;
    await this.#handle.datasync();
    if ((await this.#handle.stat()).nlink === 0) throw new Error(`somebody removed ${segment.name}`);
    this.#durable = { bytes, lastSeq };
    this.durableSeq = written;
  }

  /** Forgets what is not safe on the disk; the next write cuts it off. */
  async abandon(): Promise<void> {
    const segment = this.#segments.at(-1);
    if (segment !== undefined) Object.assign(segment, this.#durable);
    this.writtenSeq = this.durableSeq;
    await this.#letGo();
  }

  async close(): Promise<void> {
    await this.#letGo();
    await this.#lock.close();
  }

  async #letGo(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    try {
      await handle?.close();
    } catch {
      // The descriptor is gone all the same, and what was not written is written again.
    }
  }

  async #openFor(line: Line): Promise<{ handle: FileHandle; segment: Segment }> {
    const newest = this.#segments.at(-1);
    if (newest !== undefined && this.#hasRoom(newest, line)) {
      this.#handle ??= await reopen(newest);
      if (this.#handle !== null) return { handle: this.#handle, segment: newest };
      const damage = [...newest.damage, `somebody removed or cut ${newest.name} while it was in use`];
      this.#segments.splice(-1, 1, { ...newest, sealed: true, damage });
    }
    await this.sync();
    await this.#letGo();
    const segment = await this.#create(line.seq);
    if (this.#handle === null) throw new Error('the new file is not open');
    return { handle: this.#handle, segment };
  }

  #hasRoom(segment: Segment, line: Line): boolean {
    return !segment.sealed && (segment.bytes === 0 || segment.bytes + line.bytes.length <= this.#segmentBytes);
  }

  async #create(seq: number): Promise<Segment> {
    const name = segmentName(seq);
    const path = join(this.#directory, name);
    await this.#requireLocked();
    this.#handle = await open(path, CREATE, 0o600);
    const segment: Segment = { name, path, bytes: 0, lastSeq: 0, sealed: false, damage: [] };
    this.#segments.push(segment);
    this.#durable = { bytes: 0, lastSeq: 0 };
    await this.#lock.sync();
    return segment;
  }

  /** Another directory of the same name is not locked, and another publisher may use it. */
  async #requireLocked(): Promise<void> {
    const [ours, there] = await Promise.all([this.#lock.stat(), stat(this.#directory)]);
    if (ours.ino === there.ino && ours.dev === there.dev) return;
    throw new Error('somebody replaced the directory: start the publisher again');
  }

  /** Never the newest file, which is being written. */
  async #makeRoom(bytes: number): Promise<void> {
    while (this.bytes + bytes > this.#maxBytes) {
      const [oldest, ...rest] = this.#segments;
      if (oldest === undefined || rest.length === 0) return;
      await remove(oldest.path);
      this.#segments.shift();
    }
  }
}

interface Found {
  readonly segments: Segment[];
  readonly last: JournalEntry | null;
  readonly nextSeq: number;
}

async function scanAll(directory: string): Promise<Found> {
  const names = (await readdir(directory)).filter((name) => firstSeqOf(name) !== undefined).sort();
  const segments: Segment[] = [];
  let last: JournalEntry | null = null;
  let expected: number | null = null;
  let nextSeq = 1;
  const thorough = new Set(names.slice(-THOROUGH));
  for (const name of names) {
    const newest = name === names.at(-1);
    const scan = await scanSegment(directory, name, { expected, newest, thorough: thorough.has(name) });
    segments.push(scan.segment);
    last = scan.last ?? last;
    expected = scan.nextSeq;
    nextSeq = scan.freeSeq;
  }
  return { segments, last, nextSeq };
}

/** To write behind what is known to be good; null: that is not there any more. */
async function reopen(segment: Segment): Promise<FileHandle | null> {
  const handle = await openExisting(segment.path);
  if (handle === null) return null;
  try {
    const { size } = await handle.stat();
    if (size >= segment.bytes) {
      if (size > segment.bytes) await handle.truncate(segment.bytes);
      return handle;
    }
    await handle.close();
    return null;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function openExisting(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, APPEND);
  } catch (error) {
    if (reasonOf(error) === 'ENOENT') return null;
    throw error;
  }
}

async function remove(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    // A directory of such a name is not ours, and its size is not that of a journal.
    if (!['ENOENT', 'EISDIR'].includes(reasonOf(error))) throw error;
  }
}
