/** Reads little-endian fields from bytes that somebody else wrote; reading past the end throws. */
export class Reader {
  readonly #bytes: Buffer;
  #at: number;

  constructor(bytes: Buffer, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  take(length: number): Buffer {
    if (length > this.left) throw new RangeError(`${length} bytes expected where ${this.left} are left`);
    const from = this.#at;
    this.#at += length;
    return this.#bytes.subarray(from, this.#at);
  }

  rest(): Buffer {
    return this.take(this.left);
  }

  u8(): number {
    return this.take(1).readUInt8();
  }

  u16(): number {
    return this.take(2).readUInt16LE();
  }

  u32(): number {
    return this.take(4).readUInt32LE();
  }

  u64(): bigint {
    return this.take(8).readBigUInt64LE();
  }

  text(length: number): string {
    return this.take(length).toString('utf8');
  }

  /** Text after a length byte. */
  shortText(): string {
    return this.text(this.u8());
  }

  /** A length-encoded integer of the client protocol. */
  packed(): number {
    const first = this.u8();
    if (first < 251) return first;
    if (first === 252) return this.u16();
    if (first === 253) return this.take(3).readUIntLE(0, 3);
    if (first === 254) return Number(this.u64());
    throw new RangeError('a length was expected');
  }
}
