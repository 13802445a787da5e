import type { HistoryServer, HistoryWanted } from '../domain/histories.ts';
import { formatGtid } from '../domain/gtid.ts';
import type { Coordinates } from '../domain/observation.ts';
import type { Range } from '../domain/unique-transactions.ts';
import { oldestFile } from '../observe/binlog-files.ts';
import type { HistoriesOptions, Reading } from '../observe/histories.ts';
import { differing } from '../sql/binlog/differing.ts';
import type { DumpLimits } from '../sql/binlog/dump.ts';
import type { RangeRead } from '../sql/binlog/history.ts';
import { historyOf, joined, readRange, unread } from '../sql/binlog/history.ts';
import type { SqlTarget } from '../sql/port.ts';
import { dumpTarget, memberTarget, onTarget, podTarget, sourceTarget } from './ask.ts';
import type { Runtime } from './runtime.ts';

const DEADLINE_MS = 5_000;
/** Of one server's own transactions; the rest is "at least". */
const MAX_BYTES = 64 * 1024 * 1024;

/** What `ownTransactions` and `transactions` say beyond numbers, from the binlog of the server that has them. */
export function historyReader(runtime: Runtime): HistoriesOptions['read'] {
  return (wanted, before) => read(runtime, wanted, before);
}

async function read(runtime: Runtime, { server, unique }: HistoryWanted, before: Reading | null): Promise<Reading> {
  const limits = { deadlineMs: DEADLINE_MS, maxBytes: MAX_BYTES, signal: runtime.shared.signal };
  const target = sourceTarget(runtime, server);
  if (unique.kind === 'Differing') {
    const { transactions, complete } = await differing(target, dumpTarget(runtime, unique.member), unique.gtid, limits);
    const gtids = new Set(transactions.map(({ gtid }) => formatGtid(gtid)));
    return { history: historyOf(transactions, complete), ranges: [], done: true, gtids };
  }
  const ranges: RangeRead[] = [];
  for (const [index, range] of unique.ranges.entries()) {
    ranges.push(
      await readOne(runtime, { server, target, range, before: before?.ranges[index] ?? unread(range) }, limits),
    );
  }
  return readingOf(unique.ranges, ranges);
}

interface One {
  readonly server: HistoryServer;
  readonly target: SqlTarget;
  readonly range: Range;
  readonly before: RangeRead;
}

async function readOne(
  runtime: Runtime,
  { server, target, range, before }: One,
  limits: DumpLimits,
): Promise<RangeRead> {
  const left = MAX_BYTES - before.received;
  if (left <= 0 || before.reached >= range.through) return before;
  const oldest = (): Promise<Coordinates | null> => oldestOf(runtime, server);
  return readRange(target, range, { before, oldest, limits: { ...limits, maxBytes: left } });
}

function readingOf(wanted: readonly Range[], ranges: readonly RangeRead[]): Reading {
  const reached = wanted.every(({ through }, index) => (ranges[index]?.reached ?? 0n) >= through);
  const purged = ranges.some((range) => range.purged);
  const history = ranges.map((range) => range.history).reduce(joined, historyOf([], true));
  const ends = { firstAt: purged ? null : history.firstAt, lastAt: reached ? history.lastAt : null };
  const last = reached ? history.last : [...history.last, ...wanted.map(lastOf)].slice(-10);
  const over = ranges.some(({ received }) => received >= MAX_BYTES);
  return { history: { ...history, ...ends, last, complete: reached && !purged }, ranges, done: reached || over };
}

function lastOf({ domain, serverId, through }: Range): string {
  return formatGtid({ domain, serverId, seq: through });
}

/** With the account that looks: the one that replicates may not list files. */
async function oldestOf(runtime: Runtime, server: HistoryServer): Promise<Coordinates | null> {
  const target = 'member' in server ? memberTarget(runtime, server.member) : podTarget(runtime, server.pod);
  return onTarget(runtime, target, (session, limits) => oldestFile(session, limits));
}
