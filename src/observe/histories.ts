import type { Clock } from '../clock.ts';
import type { HistoryServer, HistoryWanted } from '../domain/histories.ts';
import type { Gtid } from '../domain/gtid.ts';
import { formatGtid } from '../domain/gtid.ts';
import type { Unique } from '../domain/unique-transactions.ts';
import { basisOf } from '../domain/unique-transactions.ts';
import type { History, RangeRead } from '../sql/binlog/history.ts';

/** What was read of one `Unique` so far; `ranges` only where it is told by numbers. */
export interface Reading {
  readonly history: History;
  readonly ranges: readonly RangeRead[];
  /** Everything that was wanted has been read, or a bound was reached. */
  readonly done: boolean;
  /** Where they are told by content: their GTIDs. */
  readonly gtids?: ReadonlySet<string>;
}

/** All that its binlog has of it for now has been read. */
export interface Settled {
  readonly history: History;
  readonly selects: (gtid: Gtid) => boolean;
}

export interface HistoriesOptions {
  readonly clock: Clock;
  /** Reads on; rejects when it could not be read. */
  readonly read: (wanted: HistoryWanted, before: Reading | null) => Promise<Reading>;
  /** Called when more was read. It must only enqueue. */
  readonly onRead: () => void;
}

/**
 * Reads for people what only one server has: how many transactions, when, how large. Apart from the evidence, because
 * nothing is decided by it: no verdict waits for it, and a server that cannot be read costs a pass nothing.
 */
export interface Histories {
  want(wanted: readonly HistoryWanted[]): void;
  /** Null: not read (yet), or not readable. */
  of(server: HistoryServer, unique: Unique | undefined): History | null;
  /** Null as long as more of it may come. */
  settled(server: HistoryServer, unique: Unique): Settled | null;
}

interface Entry {
  readonly basis: string;
  wanted: HistoryWanted;
  reading: Reading | null;
  /** The highest numbers that it was asked about when it was read last. */
  readThrough: string;
  /** Times in a row that nothing was read, or nothing more. */
  idle: number;
  /** Monotonic ms before which it is not read again. */
  notBefore: number;
  busy: boolean;
}

/** Each is a session on a server and may read megabytes. */
const MAX_AT_ONCE = 2;
/** Whoever writes goes on writing. */
const SHORTEST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 60_000;

export function createHistories(options: HistoriesOptions): Histories {
  const entries = new Map<string, Entry>();
  let running = 0;
  return { want, of, settled };

  function want(wanted: readonly HistoryWanted[]): void {
    const keys = new Set(wanted.map(({ server }) => keyOf(server)));
    for (const key of entries.keys()) if (!keys.has(key)) entries.delete(key);
    for (const one of wanted) {
      const entry = entryOf(one);
      if (isDue(entry) && running < MAX_AT_ONCE) void read(entry);
    }
  }

  function entryOf(wanted: HistoryWanted): Entry {
    const key = keyOf(wanted.server);
    const basis = `${wanted.incarnation} ${basisOf(wanted.unique)}`;
    const before = entries.get(key);
    if (before?.basis === basis) {
      before.wanted = wanted;
      return before;
    }
    const entry = { basis, wanted, reading: null, readThrough: '', idle: 0, notBefore: 0, busy: false };
    entries.set(key, entry);
    return entry;
  }

  function isDue({ busy, reading, readThrough, wanted, notBefore }: Entry): boolean {
    if (busy || options.clock.monotonicMs() < notBefore) return false;
    return reading === null || readThrough !== throughOf(wanted.unique);
  }

  async function read(entry: Entry): Promise<void> {
    entry.busy = true;
    running += 1;
    const through = throughOf(entry.wanted.unique);
    try {
      const before = entry.reading?.history.count ?? -1;
      entry.reading = await options.read(entry.wanted, entry.reading);
      entry.idle = entry.reading.history.count > before ? 0 : entry.idle + 1;
      if (entry.reading.done) entry.readThrough = through;
    } catch {
      entry.idle += 1;
    }
    const pause = Math.min(LONGEST_PAUSE_MS, SHORTEST_PAUSE_MS * 2 ** entry.idle);
    entry.notBefore = options.clock.monotonicMs() + pause;
    running -= 1;
    entry.busy = false;
    options.onRead();
  }

  function of(server: HistoryServer, unique: Unique | undefined): History | null {
    const entry = entries.get(keyOf(server));
    if (entry === undefined || entry.reading === null || unique === undefined) return null;
    if (basisOf(entry.wanted.unique) !== basisOf(unique)) return null;
    const { history } = entry.reading;
    return { ...history, complete: history.complete && entry.readThrough === throughOf(unique) };
  }

  function settled(server: HistoryServer, unique: Unique): Settled | null {
    const history = of(server, unique);
    const entry = entries.get(keyOf(server));
    const reading = entry?.reading ?? null;
    if (history === null || reading === null || history.count === 0) return null;
    if (entry?.readThrough !== throughOf(unique) && entry?.idle === 0) return null;
    return { history, selects: selectorOf(unique, reading) };
  }
}

function selectorOf(unique: Unique, { gtids }: Reading): (gtid: Gtid) => boolean {
  if (unique.kind === 'Differing') return (gtid) => gtids?.has(formatGtid(gtid)) === true;
  return ({ domain, serverId, seq }) =>
    unique.ranges.some((range) => range.domain === domain && range.serverId === serverId && range.after < seq);
}

function keyOf(server: HistoryServer): string {
  return JSON.stringify(server);
}

function throughOf(unique: Unique): string {
  return unique.kind === 'Differing' ? 'all' : unique.ranges.map(({ through }) => through).join();
}
