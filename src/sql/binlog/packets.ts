const HEADER = 4;
const FULL = 0xffffff;

/** Cuts a stream of chunks into protocol packets; a payload of 16 MiB - 1 goes on in the next packet. */
export class PacketCutter {
  #chunks: Buffer[] = [];
  #length = 0;
  #needed = HEADER;
  #parts: Buffer[] = [];
  #partsLength = 0;

  /** Bytes that wait for the rest of their packet. */
  get held(): number {
    return this.#partsLength + this.#length;
  }

  /** Calls `onPayload` for each complete payload until it returns false; then what is left is dropped. */
  push(chunk: Buffer, onPayload: (payload: Buffer) => boolean): void {
    this.#chunks.push(chunk);
    this.#length += chunk.length;
    if (this.#length < this.#needed) return;
    const bytes = this.#chunks.length === 1 ? chunk : Buffer.concat(this.#chunks);
    let at = 0;
    for (;;) {
      this.#needed = bytes.length - at < HEADER ? HEADER : HEADER + bytes.readUIntLE(at, 3);
      if (bytes.length - at < this.#needed) break;
      const payload = bytes.subarray(at + HEADER, at + this.#needed);
      at += this.#needed;
      if (payload.length === FULL) this.#keep(payload);
      else if (!onPayload(this.#joined(payload))) return;
    }
    this.#chunks = [bytes.subarray(at)];
    this.#length = bytes.length - at;
  }

  #keep(payload: Buffer): void {
    this.#parts.push(payload);
    this.#partsLength += payload.length;
  }

  #joined(last: Buffer): Buffer {
    if (this.#parts.length === 0) return last;
    const whole = Buffer.concat([...this.#parts, last]);
    this.#parts = [];
    this.#partsLength = 0;
    return whole;
  }
}
