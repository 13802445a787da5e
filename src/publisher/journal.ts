import { JournalEntry } from '../api/publisher.ts';
import type { Journal } from '../api/publisher.ts';
import { sleep } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { MxrError } from '../errors.ts';
import { withDeadline } from '../deadline.ts';
import type { Logger } from '../ops/log.ts';
import { JournalDisk } from './journal-disk.ts';
import { lineOf } from './journal-line.ts';
import { Page } from './journal-page.ts';
import { missing, reasonOf } from './journal-scan.ts';
import { Tail } from './journal-tail.ts';

export interface PublisherJournal {
  /**
   * Appends; with `flush` (a change of role, identity or VIP) it is on the disk when this resolves, else at most a
   * second later. Never rejects: what the disk does not take stays in memory, and `damage` says so.
   */
  append(entry: Omit<JournalEntry, 'seq' | 'at'>, options: { readonly flush: boolean }): Promise<void>;
  /** Oldest first, from this number on; null: from the oldest that there is. `limit`: 1 to 1,000. */
  page(from: number | null, limit: number): Promise<Journal>;
  latest(): JournalEntry | null;
  /** What is missing or not trusted, in words; empty: the history is whole. */
  readonly damage: readonly string[];
  readonly counts: JournalCounts;
  close(): Promise<void>;
}

export interface JournalCounts {
  /** Since the process began. */
  readonly appended: number;
  readonly writeErrors: number;
  /** On the disk. */
  readonly bytes: number;
  /** That are not on the disk. */
  readonly inMemory: number;
}

export interface JournalOptions {
  readonly directory: string;
  /** Of all files together; the oldest go first. */
  readonly maxBytes: number;
  readonly clock: Clock;
  readonly log: Logger;
}

const MIN_BYTES = 64 * 1024;
const SYNC_EVERY_MS = 1_000;
/** A disk that takes longer holds the publisher up no more than this. */
const FLUSH_DEADLINE_MS = 5_000;
const PAGE_DEADLINE_MS = 10_000;
/** More than a second brings; beyond it whoever appends waits for the disk. */
const CROWDED = 100;
/** As `Journal` in src/api/publisher.ts has it. */
const MAX_DAMAGE = 16;
const MAX_DAMAGE_CHARS = 1_024;

/**
 * Rejects with `ConfigInvalid` when the directory cannot be used, or when another process uses it. A disk that is full
 * or read-only is no reason to reject.
 */
export async function openJournal(options: JournalOptions): Promise<PublisherJournal> {
  const { directory, maxBytes, log } = options;
  if (!Number.isSafeInteger(maxBytes) || maxBytes < MIN_BYTES) {
    const detail = `its bound is ${maxBytes} bytes: give it at least ${MIN_BYTES}`;
    const call = { operation: 'keep the journal', target: `directory ${directory}` };
    throw new MxrError({ ...call, code: 'ConfigInvalid', detail, retryable: false });
  }
  const journal = new DiskJournal(options, await JournalDisk.open(directory, maxBytes));
  await journal.prepare();
  if (journal.damage.length > 0) log.warn('the journal is not whole', { directory, damage: journal.damage });
  return journal;
}

class DiskJournal implements PublisherJournal {
  readonly #options: JournalOptions;
  readonly #disk: JournalDisk;
  /** What is not safe on the disk yet, oldest first. */
  readonly #tail = new Tail();
  #latest: JournalEntry | null;
  #nextSeq: number;
  #appended = 0;
  #writeErrors = 0;
  /** Why the disk does not take it; null: it does. */
  #failure: string | null = null;
  #refused: string | null = null;
  #running: Promise<void> = Promise.resolve();
  #waiting: { sync: boolean; readonly done: Promise<void> } | null = null;
  /** Each reads whole files into memory: one after the other. */
  #pages: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  /** Monotonic ms at which the disk was asked last to keep what it has. */
  #syncAskedAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: JournalOptions, disk: JournalDisk) {
    this.#options = options;
    this.#disk = disk;
    this.#latest = disk.last;
    this.#nextSeq = disk.nextSeq;
  }

  async prepare(): Promise<void> {
    try {
      await this.#disk.prepare();
    } catch (error) {
      await this.#failed(error);
    }
  }

  get damage(): readonly string[] {
    const memory = this.#tail.length;
    const all = [
      ...(this.#failure === null ? [] : [`${this.#failure}: ${memory} entries are in memory only`]),
      ...(this.#refused === null ? [] : [this.#refused]),
      ...this.#tail.lost.map(({ from, to }) => `${missing(from, to)}: neither disk nor memory had room for them`),
      ...this.#disk.segments.flatMap((segment) => segment.damage),
    ];
    return boundedDamage(all);
  }

  get counts(): JournalCounts {
    const onDisk = { bytes: this.#disk.bytes, inMemory: this.#tail.length };
    return { appended: this.#appended, writeErrors: this.#writeErrors, ...onDisk };
  }

  latest(): JournalEntry | null {
    return this.#latest;
  }

  async append(
    entry: Omit<JournalEntry, 'seq' | 'at'>,
    { flush }: Parameters<PublisherJournal['append']>[1],
  ): Promise<void> {
    if (this.#closed) return;
    const at = new Date(this.#options.clock.wallMs()).toISOString();
    const checked = JournalEntry.safeParse({ ...entry, seq: this.#nextSeq, at });
    if (!checked.success) {
      this.#refuse(checked.error.issues[0]?.path.map(String).join('.') ?? '');
      return;
    }
    this.#nextSeq += 1;
    this.#appended += 1;
    this.#latest = checked.data;
    this.#tail.push(lineOf(checked.data));
    const wait = flush || this.#tail.length > CROWDED;
    if (!wait) this.#syncSoon();
    const settled = this.#settle(wait);
    if (wait) await this.#bounded(settled);
  }

  page(from: number | null, limit: number): Promise<Journal> {
    const call = { operation: 'read the journal', target: `directory ${this.#options.directory}` };
    return withDeadline({ ...call, ms: PAGE_DEADLINE_MS }, (signal) => {
      const page = this.#pages.then(() => this.#page(new Page(from ?? 1, limit), signal));
      this.#pages = page.catch(() => undefined);
      return page;
    });
  }

  async #page(page: Page, signal: AbortSignal): Promise<Journal> {
    // As it is now: what becomes safe while the files are read leaves the tail.
    const tail = [...this.#tail.lines];
    const segments = this.#disk.segments.map((segment) => ({ ...segment }));
    for (const segment of segments) if (!signal.aborted) await page.read(segment);
    for (const line of tail) page.offer(line);
    return { entries: page.entries, next: page.next, damage: boundedDamage([...this.damage, ...page.damage]) };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#bounded(this.#settle(true));
    await this.#bounded(this.#disk.close());
  }

  /** At most one run is under way and one waits, which then takes everything that was appended until it begins. */
  #settle(sync: boolean): Promise<void> {
    if (this.#waiting !== null) {
      this.#waiting.sync ||= sync;
      return this.#waiting.done;
    }
    const done = this.#running.then(() => {
      const wanted = this.#waiting?.sync === true;
      this.#waiting = null;
      return this.#run(wanted);
    });
    this.#waiting = { sync, done };
    this.#running = done;
    return done;
  }

  async #run(sync: boolean): Promise<void> {
    if (sync && this.#tail.length > 0) this.#syncAskedAt = this.#options.clock.monotonicMs();
    try {
      for (;;) {
        const line = this.#tail.after(this.#disk.writtenSeq);
        if (line === undefined) break;
        await this.#disk.write(line);
      }
      if (sync) await this.#disk.sync();
      this.#tail.drop(this.#disk.durableSeq);
      this.#recovered();
    } catch (error) {
      await this.#failed(error);
    }
    if (sync && this.#tail.length > 0) this.#syncSoon();
  }

  /** A second after the last one, which is now when that was longer ago: what comes once a second is safe at once. */
  #syncSoon(): void {
    if (this.#timer !== null || this.#closed) return;
    const sinceMs = this.#options.clock.monotonicMs() - this.#syncAskedAt;
    const sync = (): void => {
      this.#timer = null;
      void this.#settle(true);
    };
    this.#timer = setTimeout(sync, Math.max(0, SYNC_EVERY_MS - sinceMs)).unref();
  }

  async #bounded(work: Promise<void>): Promise<void> {
    const over = new AbortController();
    const late = sleep(FLUSH_DEADLINE_MS, over.signal).then(() => {
      if (!over.signal.aborted) this.#stuck();
    });
    await Promise.race([work, late]);
    over.abort();
  }

  #stuck(): void {
    if (this.#failure !== null) return;
    this.#failure = `the disk did not take an entry within ${FLUSH_DEADLINE_MS} ms`;
    this.#writeErrors += 1;
    this.#options.log.error('the journal cannot be written and goes on in memory', { reason: this.#failure });
  }

  async #failed(error: unknown): Promise<void> {
    this.#writeErrors += 1;
    const first = this.#failure === null;
    this.#failure = `the directory cannot be written (${reasonOf(error)})`;
    if (first) this.#options.log.error('the journal cannot be written and goes on in memory', { error });
    await this.#disk.abandon();
  }

  #recovered(): void {
    if (this.#failure === null) return;
    this.#failure = null;
    this.#options.log.info('the journal is written again', { nextSeq: this.#nextSeq });
  }

  /** It would be damage to whoever reads it. */
  #refuse(field: string): void {
    this.#writeErrors += 1;
    if (this.#refused === null) this.#options.log.error('an entry does not fit the journal and is left out', { field });
    this.#refused = `an entry was left out, because its ${field} is out of bounds`;
  }
}

function boundedDamage(all: readonly string[]): string[] {
  const texts = all.map((text) => text.slice(0, MAX_DAMAGE_CHARS));
  if (texts.length <= MAX_DAMAGE) return texts;
  return [...texts.slice(0, MAX_DAMAGE - 1), `and ${texts.length - MAX_DAMAGE + 1} more places`];
}
