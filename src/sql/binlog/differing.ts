import type { Gtid } from '../../domain/gtid.ts';
import { formatGtid } from '../../domain/gtid.ts';
import type { SqlTarget } from '../port.ts';
import type { DumpLimits } from './dump.ts';
import { readDump } from './dump.ts';
import { refusedError } from './refused.ts';
import { NOT_THERE } from './transaction.ts';
import type { Transaction } from './transactions.ts';
import { TransactionReader } from './transactions.ts';

/** How many transactions before the one that differs are compared: first few, then more until an equal one is found. */
const STEPS = [64n, 4_096n, 262_144n];

export interface Differing {
  readonly transactions: readonly Transaction[];
  /** The one before the first of them is the same on both sides, and both were read to the end. */
  readonly complete: boolean;
}

/** Those of one server id that this server has and that are not the same, or not there, on the other. */
export async function differing(here: SqlTarget, there: SqlTarget, gtid: Gtid, limits: DumpLimits): Promise<Differing> {
  let found: Differing = { transactions: [], complete: false };
  for (const back of STEPS) {
    const seq = gtid.seq > back ? gtid.seq - back : 0n;
    const [own, others] = await Promise.all([
      readAfter(here, { ...gtid, seq }, limits),
      readAfter(there, { ...gtid, seq }, limits),
    ]);
    if (own === null || others === null) return { ...found, complete: false };
    // Before its first one the other may have applied what it did not log (log_slave_updates=0): not there tells nothing.
    const first = others.transactions[0]?.gtid.seq;
    const contents = new Map(others.transactions.map((one) => [formatGtid(one.gtid), digestOf(one)]));
    const compared = own.transactions.filter((one) => first !== undefined && one.gtid.seq >= first);
    const transactions = compared.filter((one) => contents.get(formatGtid(one.gtid)) !== digestOf(one));
    const reachesBack = transactions[0] !== compared[0] || (seq === 0n && compared.length === own.transactions.length);
    found = { transactions, complete: reachesBack && own.whole && others.whole };
    if (reachesBack) break;
  }
  return found;
}

function digestOf({ content, timestamp }: Transaction): string {
  return `${content.kind} ${content.digest} ${timestamp}`;
}

interface After {
  readonly transactions: readonly Transaction[];
  readonly whole: boolean;
}

/** Null: its binlog does not go back so far. */
async function readAfter(target: SqlTarget, gtid: Gtid, limits: DumpLimits): Promise<After | null> {
  const reader = new TransactionReader();
  const transactions: Transaction[] = [];
  const done = await readDump(target, { gtid: formatGtid(gtid), domain: gtid.domain }, limits, (event) => {
    const transaction = reader.take(event);
    if (transaction?.gtid.domain === gtid.domain && transaction.gtid.serverId === gtid.serverId)
      transactions.push(transaction);
    return true;
  });
  if (done.end === 'refused') {
    if (NOT_THERE.test(done.text)) return null;
    throw refusedError(target, 'read transactions that may differ', done);
  }
  return { transactions, whole: done.end === 'eof' };
}
