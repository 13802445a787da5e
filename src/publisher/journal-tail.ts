import type { Line } from './journal-line.ts';

/** While a disk is full this is all that is kept. */
const MAX_LINES = 1_000;
const MAX_BYTES = 8 * 1024 * 1024;
const MAX_LOST = 4;

export interface Lost {
  readonly from: number;
  readonly to: number;
}

/** What is not safe on the disk, oldest first, within bounds; `lost` is what the bounds cost. */
export class Tail {
  #lines: Line[] = [];
  #bytes = 0;
  #lost: Lost[] = [];

  get lines(): readonly Line[] {
    return this.#lines;
  }

  get length(): number {
    return this.#lines.length;
  }

  get lost(): readonly Lost[] {
    return this.#lost;
  }

  push(line: Line): void {
    this.#lines.push(line);
    this.#bytes += line.bytes.length;
    while (this.#lines.length > 1 && (this.#lines.length > MAX_LINES || this.#bytes > MAX_BYTES)) this.#loseOldest();
  }

  /** The first one behind this number. */
  after(seq: number): Line | undefined {
    return this.#lines.find((line) => line.seq > seq);
  }

  /** These are safe. */
  drop(upTo: number): void {
    this.#lines = this.#lines.filter((line) => line.seq > upTo);
    this.#bytes = this.#lines.reduce((sum, { bytes }) => sum + bytes.length, 0);
  }

  #loseOldest(): void {
    const line = this.#lines.shift();
    if (line === undefined) return;
    this.#bytes -= line.bytes.length;
    const last = this.#lost.at(-1);
    const joined = last?.to === line.seq - 1 ? { from: last.from, to: line.seq } : undefined;
    if (joined !== undefined) this.#lost.splice(-1, 1, joined);
    else this.#lost = [...this.#lost, { from: line.seq, to: line.seq }].slice(-MAX_LOST);
  }
}
