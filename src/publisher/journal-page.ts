import type { JournalEntry } from '../api/publisher.ts';
import { entryOf, linesIn, verified } from './journal-line.ts';
import type { Line } from './journal-line.ts';
import { NOT_OURS, readSegment } from './journal-scan.ts';
import type { Segment } from './journal-scan.ts';

/** Whoever reads a page bounds it to 1 MiB. */
const MAX_PAGE_BYTES = 768 * 1024;
const MAX_DAMAGE = 16;

/** Takes entries in their order until it is full; what does not come in order, or is damaged, is not taken. */
export class Page {
  readonly entries: JournalEntry[] = [];
  readonly damage = new Set<string>();
  /** The number that the next page begins with; null: nothing was left over. */
  next: number | null = null;
  readonly #limit: number;
  #wanted: number;
  #bytes = 0;

  constructor(from: number, limit: number) {
    this.#wanted = from;
    this.#limit = limit;
  }

  async read(segment: Pick<Segment, 'path' | 'bytes' | 'lastSeq'>): Promise<void> {
    if (this.next !== null || segment.lastSeq < this.#wanted) return;
    for (const { line } of linesIn(await readOrNothing(segment))) {
      this.#take(line);
      if (this.next !== null) return;
    }
  }

  offer({ bytes }: Line): void {
    if (this.next === null) this.#take(bytes.subarray(0, -1));
  }

  #take(line: Buffer): void {
    const checked = verified(line);
    if (checked === undefined || checked.seq < this.#wanted) return;
    const entry = entryOf(checked.json);
    if (entry === undefined) {
      if (this.damage.size < MAX_DAMAGE) this.damage.add(`entry ${checked.seq} is left out: ${NOT_OURS}`);
      return;
    }
    const isFull = this.entries.length >= this.#limit || this.#bytes + line.length > MAX_PAGE_BYTES;
    if (isFull && this.entries.length > 0) {
      this.next = entry.seq;
      return;
    }
    this.entries.push(entry);
    this.#bytes += line.length;
    this.#wanted = entry.seq + 1;
  }
}

/** A file that was removed since is one of the oldest, which nobody misses. */
async function readOrNothing({ path, bytes }: Pick<Segment, 'path' | 'bytes'>): Promise<Buffer> {
  try {
    return await readSegment(path, bytes);
  } catch {
    return Buffer.alloc(0);
  }
}
