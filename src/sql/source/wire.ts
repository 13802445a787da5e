import type { Socket } from 'node:net';

/** The client/server protocol of MariaDB from the side of the server, as far as a replica needs it. */

/** A payload that long goes on in the next packet. */
const FULL = 0xffffff;
const UTF8 = 33;
const VAR_STRING = 253;
const NO_FLAGS = Buffer.from([0, 0]);
const AUTOCOMMIT = Buffer.from([2, 0]);

/** Numbers packets and cuts what is longer than one. */
export class Wire {
  readonly #socket: Socket;
  #sequence = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** The number of the next packet: one more than that of what it answers. */
  answer(sequence: number): void {
    this.#sequence = sequence;
  }

  send(...payloads: readonly Buffer[]): void {
    for (const payload of payloads) this.#write([payload]);
  }

  /** One payload in pieces; resolves when the peer has room for more, or is gone. */
  async sendPieces(pieces: readonly Buffer[]): Promise<void> {
    if (this.#write(pieces)) return;
    const socket = this.#socket;
    await new Promise<void>((resolve) => {
      if (socket.destroyed) return resolve();
      const done = (): void => {
        socket.off('drain', done);
        socket.off('close', done);
        resolve();
      };
      socket.on('drain', done);
      socket.on('close', done);
    });
  }

  #write(pieces: readonly Buffer[]): boolean {
    let left = pieces.reduce((sum, piece) => sum + piece.length, 0);
    let queue = [...pieces];
    let more = true;
    for (;;) {
      const length = Math.min(left, FULL);
      const header = Buffer.alloc(4);
      header.writeUIntLE(length, 0, 3);
      header[3] = this.#sequence;
      this.#sequence = (this.#sequence + 1) & 0xff;
      const { taken, rest } = take(queue, length);
      this.#socket.cork();
      for (const part of [header, ...taken]) more = this.#socket.write(part);
      this.#socket.uncork();
      queue = rest;
      left -= length;
      if (length < FULL) return more;
    }
  }
}

function take(pieces: readonly Buffer[], length: number): { taken: Buffer[]; rest: Buffer[] } {
  const taken: Buffer[] = [];
  const rest: Buffer[] = [];
  let left = length;
  for (const piece of pieces) {
    const part = Math.min(left, piece.length);
    if (part > 0) taken.push(piece.subarray(0, part));
    if (part < piece.length) rest.push(piece.subarray(part));
    left -= part;
  }
  return { taken, rest };
}

export const OK = Buffer.concat([Buffer.from([0, 0, 0]), AUTOCOMMIT, NO_FLAGS]);
export const EOF = Buffer.concat([Buffer.from([0xfe]), NO_FLAGS, AUTOCOMMIT]);

export function errorPacket(errno: number, state: string, text: string): Buffer {
  const head = Buffer.alloc(3, 0xff);
  head.writeUInt16LE(errno, 1);
  return Buffer.concat([head, Buffer.from(`#${state}${text}`)]);
}

/** A result of text columns with one row, or none. */
export function resultOf(columns: readonly string[], row: readonly string[] | null): Buffer[] {
  const rows = row === null ? [] : [Buffer.concat(row.map(lengthEncoded))];
  return [Buffer.from([columns.length]), ...columns.map(columnOf), EOF, ...rows, EOF];
}

function columnOf(name: string): Buffer {
  const fixed = Buffer.alloc(13);
  fixed[0] = 12;
  fixed.writeUInt16LE(UTF8, 1);
  fixed.writeUInt32LE(255, 3);
  fixed[7] = VAR_STRING;
  return Buffer.concat([...['def', '', '', '', name, name].map(lengthEncoded), fixed]);
}

/** Of up to 250 bytes. */
function lengthEncoded(text: string): Buffer {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}
