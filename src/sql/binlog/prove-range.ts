import { type Gtid, type GtidPosition, formatPosition } from '../../domain/gtid.ts';
import { type Coordinates, compareCoordinates } from '../../domain/observation.ts';
import { FileEvents } from './file-events.ts';
import { type BinlogFiles, type FileHead, type ListedFile, readHead } from './files.ts';
import type { BinlogRange, RangeAnswer, RangeQuestion, RangeRefusal } from './range.ts';
import { RangeScan } from './range-scan.ts';

type Refused = Extract<RangeAnswer, { kind: 'Refused' }>;

/**
 * Whether the files of a server have everything between two places, from the replica's position to where it shall stand:
 * every file between them, every transaction whole, every checksum right. They are read once from the replica's
 * position on. Rejects with MxrError where they cannot be read now; that is no answer.
 */
export async function proveRange(
  files: BinlogFiles,
  question: RangeQuestion,
  signal: AbortSignal,
): Promise<RangeAnswer> {
  const listed = await files.list(signal);
  const heads = await headsFor(files, listed, question, signal);
  if ('kind' in heads) return heads;
  const foreign = await otherThanRemembered(files, { listed, heads }, question, signal);
  if (foreign !== null) return foreign;
  const answer = await scan(files, heads, question, signal);
  return answer.kind === 'Refused' ? answer : (misplaced(answer.range, question) ?? answer);
}

/** From the newest file before which the replica has everything up to the newest of all, oldest first. */
async function headsFor(
  files: BinlogFiles,
  listed: readonly ListedFile[],
  { from }: RangeQuestion,
  signal: AbortSignal,
): Promise<readonly FileHead[] | Refused> {
  const heads: FileHead[] = [];
  for (const file of listed.toReversed()) {
    if (file.encrypted) {
      return refused(
        'Encrypted',
        `${file.name} is encrypted (encrypt_binlog): only its own server can read it. Start that server again, or reseed the replica`,
      );
    }
    const head = await readHead(files, file, signal);
    // The newest one may have been begun a moment before the power went.
    if (typeof head === 'string' && file === listed.at(-1)) continue;
    if (typeof head === 'string') return refused('Damaged', `${file.name}: ${head}`);
    heads.unshift(head);
    if (head.before.every((gtid) => isBefore(gtid, from))) return heads;
  }
  const oldest = listed[0]?.name;
  if (oldest === undefined) return refused('NotThere', `${files.name}: there are none`);
  return refused(
    'NotThere',
    `the replica at ${formatPosition(from) || 'an empty position'} needs transactions from before ${oldest}, the oldest binlog file that is left`,
  );
}

function isBefore(gtid: Gtid, from: GtidPosition): boolean {
  const there = from.get(gtid.domain);
  if (there === undefined) return false;
  return gtid.seq < there.seq || (gtid.seq === there.seq && gtid.serverId === there.serverId);
}

interface Found {
  readonly listed: readonly ListedFile[];
  readonly heads: readonly FileHead[];
}

/** A file that mxr knew had another beginning, or more in it: what followed is another history. */
async function otherThanRemembered(
  files: BinlogFiles,
  { listed, heads }: Found,
  { remembered }: RangeQuestion,
  signal: AbortSignal,
): Promise<Refused | null> {
  if (remembered.length > 0 && !remembered.some(({ name }) => listed.some((file) => file.name === name))) {
    return refused('OtherLineage', `none of the files that mxr saw (${remembered.at(-1)?.name}) is among them`);
  }
  for (const { name, size, createdAt } of remembered) {
    const file = listed.find((one) => one.name === name);
    if (file === undefined) continue;
    const head = heads.find((one) => one.name === name) ?? (await readHead(files, file, signal));
    if (typeof head === 'string') return refused('Damaged', `${name}: ${head}`);
    if (createdAt !== null && head.createdAt !== createdAt) {
      return refused(
        'OtherLineage',
        `${name} was begun at ${timeOf(head.createdAt)}, and mxr saw one of that name that was begun at ${timeOf(createdAt)}`,
      );
    }
    // The newest may have lost its end with the power: then the place that is sought is in it, or it is not.
    if (file.size < size && file !== listed.at(-1)) {
      return refused(
        'OtherLineage',
        `${name} had ${size} bytes and has ${file.size} now: its server lost the end of it and went on`,
      );
    }
  }
  return null;
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}

async function scan(
  files: BinlogFiles,
  heads: readonly FileHead[],
  question: RangeQuestion,
  signal: AbortSignal,
): Promise<RangeAnswer> {
  const scan = new RangeScan(question);
  let before: FileHead | null = null;
  for (const head of heads) {
    const missing = before === null ? null : between(before.name, head.name);
    if (missing !== null) return refused('Incomplete', `${missing} is missing among the binlog files`);
    scan.beginFile(head);
    if (scan.answer !== null) return scan.answer;
    const events = new FileEvents(files.read(head.name, 0, null, signal));
    for await (const event of events) {
      scan.take(event);
      if (scan.answer !== null) return scan.answer;
    }
    before = head;
    scan.endFile(events.broken);
  }
  scan.endOfFiles();
  return scan.answer ?? refused('NotThere', `${files.name}: there are none`);
}

/** The name of the file that should stand between two. */
function between(before: string, after: string): string | null {
  const digits = /\d+$/.exec(before)?.[0] ?? '';
  const next = String(Number(digits) + 1).padStart(digits.length, '0');
  const name = `${before.slice(0, before.length - digits.length)}${next}`;
  return name === after ? null : name;
}

/** By coordinates as well, where somebody knows them: equal numbers alone do not prove equal transactions. */
function misplaced(range: BinlogRange, { fromAt, untilAt }: RangeQuestion): Refused | null {
  const { start, next, end } = range;
  if (fromAt !== null && !isBetween(fromAt, start, next)) {
    return refused(
      'OtherLineage',
      `the replica stands at ${shown(fromAt)} of its source, and in these files its position is at ${shown(start)}`,
    );
  }
  if (untilAt !== null && !isBetween(untilAt, end, null)) {
    return refused(
      'OtherLineage',
      `the server that took over stood at ${shown(untilAt)} of its source, and in these files its position is at ${shown(end)}`,
    );
  }
  return null;
}

function isBetween(at: Coordinates, start: Coordinates, next: Coordinates | null): boolean {
  return compareCoordinates(at, start) >= 0 && (next === null || compareCoordinates(at, next) <= 0);
}

function shown({ file, position }: Coordinates): string {
  return `${file}:${position}`;
}

function refused(reason: RangeRefusal, message: string): Refused {
  return { kind: 'Refused', reason, message };
}
