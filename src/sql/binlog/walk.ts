import type { Coordinates } from '../../domain/observation.ts';
import { compareCoordinates } from '../../domain/observation.ts';
import type { SqlTarget } from '../port.ts';
import { type DumpLimits, type DumpStart, readDump } from './dump.ts';
import { refusedError } from './refused.ts';
import { type CurrentFile, type Transaction, TransactionReader } from './transactions.ts';

export interface Walk {
  /** In the order of the binlog. */
  readonly transactions: readonly Transaction[];
  /** Not null: it was cut at a limit and says nothing about what follows `end`. */
  readonly truncated: 'bytes' | 'time' | null;
  /** After the last event that was read. */
  readonly end: Coordinates;
  readonly files: readonly CurrentFile[];
}

export interface WalkBounds {
  /** Not further than this place; `null`: to the end of the binlog. */
  readonly through: Coordinates | null;
  /** Stop after the first transaction. */
  readonly firstOnly: boolean;
}

/** The transactions from an event boundary on. Rejects with `BinlogRefused` where the server has no such place. */
export function walk(
  target: SqlTarget,
  { from, ...bounds }: WalkBounds & { readonly from: Coordinates },
  limits: DumpLimits,
): Promise<Walk> {
  return walkFrom(target, from, bounds, limits);
}

/** The transactions that a replica at this GTID position would get. */
export function walkGtid(
  target: SqlTarget,
  { gtid, strict, ...bounds }: WalkBounds & { readonly gtid: string; readonly strict: boolean },
  limits: DumpLimits,
): Promise<Walk> {
  return walkFrom(target, { gtid, strict }, bounds, limits);
}

async function walkFrom(target: SqlTarget, start: DumpStart, bounds: WalkBounds, limits: DumpLimits): Promise<Walk> {
  const reader = new TransactionReader();
  const transactions: Transaction[] = [];
  let end = reader.end;
  const done = await readDump(target, start, limits, (event) => {
    // Judged before the event is taken: one that begins at the bound lies behind it.
    if (!event.fake && isPast(reader.end, bounds.through)) return false;
    const transaction = reader.take(event);
    if (transaction !== null) transactions.push(transaction);
    end = reader.end;
    return !(bounds.firstOnly && transaction !== null);
  });
  if (done.end === 'refused') throw refusedError(target, 'walk through the binlog', done);
  const truncated = done.end === 'bytes' || done.end === 'time' ? done.end : null;
  return { transactions, truncated, end, files: reader.files };
}

function isPast(at: Coordinates, through: Coordinates | null): boolean {
  return through !== null && at.file !== '' && compareCoordinates(at, through) >= 0;
}
