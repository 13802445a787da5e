import type { Transactions as TransactionsStatus } from '../api/status-parts.ts';
import { START_TIME_TOLERANCE_MS } from '../domain/memory.ts';
import type { Transactions } from '../domain/proof.ts';
import type { History } from '../sql/binlog/history.ts';

/** Longest message of a member, a replica or a finding: one sentence with a handful of GTIDs and file names. */
export const MAX_MESSAGE = 600;
const ENDS = 10;

/** Wall clock ms as the API writes times. */
export function iso(wallMs: number): string {
  return new Date(wallMs).toISOString();
}

export function bounded(text: string, max: number): string {
  return text.length <= max ? text : `${text.slice(0, max - 1)}…`;
}

/** The first and the last ten: what a person needs to find the transactions in a binlog. As they were read there, if they were. */
export function transactionsOf(
  { count, gtids, firstAt, lastAt }: Transactions,
  read: History | null = null,
): TransactionsStatus {
  if (read !== null && read.count > 0) return readOf(read);
  const ends = gtids.length <= 2 * ENDS ? [...gtids] : [...gtids.slice(0, ENDS), ...gtids.slice(-ENDS)];
  return {
    ...(count === null ? {} : { count }),
    ...(firstAt === undefined ? {} : { firstAt: iso(firstAt) }),
    ...(lastAt === undefined ? {} : { lastAt: iso(lastAt) }),
    gtids: ends,
  };
}

function readOf({ count, bytes, firstAt, lastAt, first, last, complete }: History): TransactionsStatus {
  const rest = complete && count < 2 * ENDS ? count - first.length : ENDS;
  const gtids = [...first, ...(rest === 0 ? [] : last.slice(-rest))];
  return {
    count,
    ...(firstAt === null ? {} : { firstAt: iso(firstAt) }),
    ...(lastAt === null ? {} : { lastAt: iso(lastAt) }),
    bytes,
    gtids,
    ...(complete ? {} : { atLeast: true }),
  };
}

/** Start times are computed from whole seconds of uptime: one incarnation keeps the text that was written first. */
export function steady(startedAt: number, before: string | undefined): string {
  const old = before === undefined ? Number.NaN : Date.parse(before);
  return before !== undefined && Math.abs(old - startedAt) <= START_TIME_TOLERANCE_MS ? before : iso(startedAt);
}
