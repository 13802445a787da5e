import type { FileHandle } from 'node:fs/promises';
import type { BinlogSink } from '../sql/binlog/extract.ts';

/** Bytes that wait to be written before the server is made to wait. */
const ROOM = 4 * 1024 * 1024;

interface Piece {
  readonly bytes: Buffer;
  readonly position: number;
}

/** Writes behind the reader's back, in order, and holds the reader up when the disk is slower than the network. */
export class FileSink implements BinlogSink {
  readonly #file: FileHandle;
  #pieces: Piece[] = [];
  #waiting = 0;
  #writing: Promise<void> = Promise.resolve();
  #busy = false;
  #failure: Error | null = null;

  constructor(file: FileHandle) {
    this.#file = file;
  }

  get failed(): boolean {
    return this.#failure !== null;
  }

  write(bytes: Buffer, position: number): void {
    if (this.failed) return;
    this.#pieces.push({ bytes, position });
    this.#waiting += bytes.length;
    if (!this.#busy) this.#writing = this.#drain();
  }

  pressure(): Promise<void> | null {
    return this.#waiting > ROOM ? this.#writing : null;
  }

  /** Resolves when all is written; rejects with what went wrong on the way. */
  async end(size: number): Promise<void> {
    await this.#writing;
    if (this.#failure !== null) throw this.#failure;
    await this.#file.truncate(size);
    await this.#file.sync();
  }

  /** Small events are put together: one system call for each would be slow. */
  async #drain(): Promise<void> {
    this.#busy = true;
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#pieces.length > 0 && this.#failure === null) {
      const pieces = this.#pieces;
      this.#pieces = [];
      try {
        for (const { bytes, position } of runsOf(pieces)) await writeAll(this.#file, bytes, position);
      } catch (error) {
        this.#failure = error instanceof Error ? error : new Error(String(error));
      }
      this.#waiting -= pieces.reduce((sum, { bytes }) => sum + bytes.length, 0);
    }
    this.#busy = false;
  }
}

/** Pieces that lie behind one another, as one. */
function runsOf(pieces: readonly Piece[]): Piece[] {
  const runs: { parts: Buffer[]; position: number; end: number }[] = [];
  for (const { bytes, position } of pieces) {
    const last = runs.at(-1);
    if (last?.end === position) {
      last.parts.push(bytes);
      last.end += bytes.length;
    } else runs.push({ parts: [bytes], position, end: position + bytes.length });
  }
  return runs.map(({ parts, position }) => ({ bytes: Buffer.concat(parts), position }));
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
}
