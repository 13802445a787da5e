import type { RowsEvent } from './bodies.ts';
import { Reader } from './reader.ts';

/** Column types of the binlog (field types of the protocol) whose length or value is known here. */
const FIXED: ReadonlyMap<number, number> = new Map([
  [1, 1],
  [2, 2],
  [3, 4],
  [4, 4],
  [5, 8],
  [6, 0],
  [7, 4],
  [8, 8],
  [9, 3],
  [10, 3],
  [11, 3],
  [12, 8],
  [13, 1],
]);
const INTEGERS: readonly number[] = [1, 2, 3, 8, 9];
const [VARCHAR, BIT, TIMESTAMP2, DATETIME2, TIME2, DECIMAL, BLOB, STRING, GEOMETRY] = [
  15, 16, 17, 18, 19, 246, 252, 254, 255,
];

export interface Column {
  readonly type: number;
  readonly metadata: number;
}

/** From a Table_map: the types, and the metadata that some of them have. Undefined: of a type that is not known here. */
export function columnsOf(types: Buffer, metadata: Buffer): readonly Column[] | undefined {
  const reader = new Reader(metadata);
  const columns: Column[] = [];
  for (const type of types) {
    const size = metadataSize(type);
    if (size === undefined) return undefined;
    // Of CHAR the real type stands before the length.
    const value =
      size === 2 && type === STRING
        ? reader.u8() * 256 + reader.u8()
        : size === 2
          ? reader.u16()
          : size === 1
            ? reader.u8()
            : 0;
    columns.push({ type, metadata: value });
  }
  return columns;
}

function metadataSize(type: number): number | undefined {
  if ([VARCHAR, BIT, DECIMAL, STRING].includes(type)) return 2;
  if ([4, 5, TIMESTAMP2, DATETIME2, TIME2, BLOB, GEOMETRY].includes(type)) return 1;
  return FIXED.has(type) ? 0 : undefined;
}

/**
 * The whole numbers and texts of each row image, as the server would print them in "Duplicate entry": with and without a
 * sign, for the binlog does not say. Enough to find the row that has a key; dates, decimals and the like are passed over.
 */
export function* rowValues(event: RowsEvent, columns: readonly Column[]): Generator<ReadonlySet<string>> {
  for (const image of rowsOf(event, columns)) yield new Set(image.flat());
}

/** The same by column: nothing for one that is NULL, not there, or of a type whose values are passed over. */
export function* rowsOf(
  { rows, columns: present }: RowsEvent,
  columns: readonly Column[],
): Generator<readonly (readonly string[])[]> {
  const reader = new Reader(rows);
  const images = present.split(' ');
  // An image without a column would take nothing of what is left, for ever.
  if (!images.every((image) => image.length === columns.length && image.includes('1'))) return;
  for (let index = 0; reader.left > 0; index += 1) {
    yield imageOf(reader, columns, images[index % images.length] ?? '');
  }
}

function imageOf(reader: Reader, columns: readonly Column[], present: string): readonly (readonly string[])[] {
  const there = columns.filter((_, index) => present[index] === '1').length;
  const nulls = reader.take(Math.ceil(there / 8));
  let at = -1;
  return columns.map((column, index) => {
    if (present[index] !== '1') return [];
    at += 1;
    return ((nulls[at >> 3] ?? 0) & (1 << (at % 8))) === 0 ? valueOf(reader, column) : [];
  });
}

function valueOf(reader: Reader, { type, metadata }: Column): readonly string[] {
  const fixed = FIXED.get(type);
  if (fixed !== undefined) {
    const bytes = reader.take(fixed);
    return INTEGERS.includes(type) ? integers(bytes) : [];
  }
  switch (type) {
    case VARCHAR:
      return [reader.text(metadata < 256 ? reader.u8() : reader.u16())];
    case STRING:
      return textOf(reader, metadata);
    case BLOB:
    case GEOMETRY:
      return [reader.text(Number(littleEndian(reader.take(metadata))))];
    case BIT:
      reader.take((metadata >> 8) + ((metadata & 0xff) === 0 ? 0 : 1));
      return [];
    case DECIMAL:
      reader.take(decimalSize(metadata & 0xff, metadata >> 8));
      return [];
    default: {
      const whole = type === TIMESTAMP2 ? 4 : type === DATETIME2 ? 5 : 3;
      reader.take(whole + Math.ceil(metadata / 2));
      return [];
    }
  }
}

function integers(bytes: Buffer): readonly string[] {
  const unsigned = littleEndian(bytes);
  return [String(unsigned), String(BigInt.asIntN(8 * bytes.length, unsigned))];
}

function littleEndian(bytes: Buffer): bigint {
  return bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n);
}

/** CHAR, and ENUM and SET in its place. The upper bits of a length over 255 hide in the type. */
function textOf(reader: Reader, metadata: number): readonly string[] {
  const [real, low] = [metadata >> 8, metadata & 0xff];
  if (real === 247 || real === 248) {
    reader.take(low);
    return [];
  }
  const length = (real & 0x30) === 0x30 ? low : low | (((real & 0x30) ^ 0x30) << 4);
  return [reader.text(length < 256 ? reader.u8() : reader.u16())];
}

const DIGIT_BYTES = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

function decimalSize(precision: number, scale: number): number {
  const whole = precision - scale;
  const part = (digits: number): number => Math.floor(digits / 9) * 4 + (DIGIT_BYTES[digits % 9] ?? 0);
  return part(whole) + part(scale);
}
