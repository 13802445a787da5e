import { formatGtid } from '../../domain/gtid.ts';
import type { Coordinates } from '../../domain/observation.ts';
import { compareCoordinates } from '../../domain/observation.ts';
import type { Range } from '../../domain/unique-transactions.ts';
import type { SqlTarget } from '../port.ts';
import type { DumpLimits, DumpStart } from './dump.ts';
import { readDump } from './dump.ts';
import { refusedError } from './refused.ts';
import { NOT_THERE } from './transaction.ts';
import type { Transaction } from './transactions.ts';
import { TransactionReader } from './transactions.ts';

/** Transactions of one server as its binlog has them: numbers and ends, not the transactions themselves. */
export interface History {
  readonly count: number;
  readonly bytes: number;
  /** Wall clock ms (whole seconds); null: not read. */
  readonly firstAt: number | null;
  readonly lastAt: number | null;
  /** GTIDs: the first ten that were read, and the last ten. */
  readonly first: readonly string[];
  readonly last: readonly string[];
  /** Where the first one begins. */
  readonly from: Coordinates | null;
  /** These are all. */
  readonly complete: boolean;
}

const ENDS = 10;

export function historyOf(transactions: readonly Transaction[], complete: boolean): History {
  const sum = new HistorySum();
  for (const transaction of transactions) sum.add(transaction);
  return sum.result(complete);
}

class HistorySum {
  #count = 0;
  #bytes = 0;
  #firstAt: number | null = null;
  #lastAt: number | null = null;
  readonly #first: string[] = [];
  readonly #last: string[] = [];
  #from: Coordinates | null = null;

  add({ gtid, bytes, timestamp, at }: Transaction): void {
    const text = formatGtid(gtid);
    this.#count += 1;
    this.#bytes += bytes;
    this.#firstAt ??= timestamp;
    this.#lastAt = timestamp;
    this.#from ??= at;
    if (this.#first.length < ENDS) this.#first.push(text);
    this.#last.push(text);
    if (this.#last.length > ENDS) this.#last.shift();
  }

  result(complete: boolean): History {
    const [first, last] = [[...this.#first], [...this.#last]];
    const at = { firstAt: this.#firstAt, lastAt: this.#lastAt, from: this.#from };
    return { count: this.#count, bytes: this.#bytes, ...at, first, last, complete };
  }
}

/** How far one range was read. */
export interface RangeRead {
  readonly history: History;
  /** The number of the last one that was read; at first the one before the range. */
  readonly reached: bigint;
  /** Bytes that the server sent for it in all. */
  readonly received: number;
  /** The first ones are not in its binlog any more. */
  readonly purged: boolean;
}

export function unread({ after }: Range): RangeRead {
  return { history: historyOf([], true), reached: after, received: 0, purged: false };
}

/**
 * Reads on from where `before` ended. Cut at a limit it goes on from there the next time. The transactions of other
 * servers in between are read over.
 */
export async function readRange(
  target: SqlTarget,
  range: Range,
  { before, oldest, limits }: { before: RangeRead; oldest: () => Promise<Coordinates | null>; limits: DumpLimits },
): Promise<RangeRead> {
  const { domain, serverId } = range;
  const after = formatGtid({ domain, serverId, seq: before.reached });
  const read = await readFrom(target, { gtid: after, domain }, { range, before, limits });
  if (read !== null) return read;
  const from = await oldest();
  const rest = from === null ? null : await readFrom(target, from, { range, before, limits });
  return rest === null ? { ...before, purged: true } : { ...rest, purged: true };
}

interface Reading {
  readonly range: Range;
  readonly before: RangeRead;
  readonly limits: DumpLimits;
}

/** Null: it is not there. */
async function readFrom(target: SqlTarget, start: DumpStart, reading: Reading): Promise<RangeRead | null> {
  const { range, before, limits } = reading;
  const reader = new TransactionReader();
  const found = new HistorySum();
  let reached = before.reached;
  let { received } = before;
  const done = await readDump(target, start, limits, (event) => {
    received += event.size;
    const transaction = reader.take(event);
    if (transaction === null || !isIn(transaction, range) || transaction.gtid.seq <= reached) return true;
    found.add(transaction);
    reached = transaction.gtid.seq;
    return true;
  });
  if (done.end === 'refused') {
    if (NOT_THERE.test(done.text)) return null;
    throw refusedError(target, 'read transactions that only it has', done);
  }
  return { history: joined(before.history, found.result(true)), reached, received, purged: before.purged };
}

function isIn({ gtid }: Transaction, { domain, serverId }: Range): boolean {
  return gtid.domain === domain && gtid.serverId === serverId;
}

function earlier(a: Coordinates | null, b: Coordinates | null): Coordinates | null {
  if (a === null || b === null) return a ?? b;
  return compareCoordinates(b, a) < 0 ? b : a;
}

/** Of two ranges, or two parts of one in their order. */
export function joined(a: History, b: History): History {
  return {
    count: a.count + b.count,
    bytes: a.bytes + b.bytes,
    firstAt: a.firstAt ?? b.firstAt,
    lastAt: b.lastAt ?? a.lastAt,
    first: [...a.first, ...b.first].slice(0, ENDS),
    last: [...a.last, ...b.last].slice(-ENDS),
    from: earlier(a.from, b.from),
    complete: a.complete && b.complete,
  };
}
