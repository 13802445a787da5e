import { type Gtid, formatGtid, parseGtid } from '../../domain/gtid.ts';
import { MxrError } from '../../errors.ts';
import type { SqlTarget } from '../port.ts';
import { describe } from '../session.ts';
import { parseGtidEvent } from './bodies.ts';
import type { Content } from './content.ts';
import { type DumpEnd, type DumpLimits, readDump } from './dump.ts';
import { EVENT } from './event.ts';
import { lateError, refusedError } from './refused.ts';
import { type Transaction, TransactionReader } from './transactions.ts';

export interface FoundTransaction extends Content {
  /** Wall clock ms (whole seconds) of its first statement, where it was first executed. */
  readonly timestamp: number;
  readonly bytes: number;
}

const OPERATION = 'read one transaction';
/** The server's ways to say that it has no such transaction (any more). */
export const NOT_THERE = /not in the master's binlog|Could not find GTID state|Binary log is not open/;

/** The content of the transaction `D-S-N`; `null`: it is not in this server's binlog. */
export async function transactionAt(
  target: SqlTarget,
  gtid: string,
  limits: DumpLimits,
): Promise<FoundTransaction | null> {
  const wanted = parseGtid(gtid);
  if (wanted === undefined || wanted.seq === 0n) throw notGtid(target, gtid);
  const before = formatGtid({ ...wanted, seq: wanted.seq - 1n });
  const reader = new TransactionReader({ stated: limits.annotated === true });
  let found: Transaction | null = null;
  let timestamp: number | null = null;
  const done = await readDump(target, { gtid: before, domain: wanted.domain }, limits, (event) => {
    const order = event.type === EVENT.Gtid ? compare(parseGtidEvent(event).gtid, wanted) : null;
    if (order === 'past') return false;
    if (order === 'same') timestamp = event.timestamp * 1000;
    const transaction = reader.take(event);
    if (transaction !== null && compare(transaction.gtid, wanted) === 'same') found = transaction;
    return found === null;
  });
  return answer({ target, limits, found, timestamp, done });
}

interface Outcome {
  readonly target: SqlTarget;
  readonly limits: DumpLimits;
  readonly found: Transaction | null;
  /** Of the wanted transaction, if its beginning was seen. */
  readonly timestamp: number | null;
  readonly done: DumpEnd;
}

function answer({ target, limits, found, timestamp, done }: Outcome): FoundTransaction | null {
  if (found !== null) return { ...found.content, timestamp: found.timestamp, bytes: found.bytes };
  if (done.end === 'refused' && !NOT_THERE.test(done.text)) throw refusedError(target, OPERATION, done);
  if (done.end === 'time') throw lateError(target, OPERATION, limits);
  if (done.end !== 'bytes') return null;
  // It names the server, so that what is too large on both sides never looks equal.
  const what = timestamp === null ? 'something too far on to be found' : 'a transaction too large to read';
  const kind = `${what} on ${target.name}`;
  const summary = `more than ${limits.maxBytes} bytes`;
  return { kind, digest: '', summary, tables: [], timestamp: timestamp ?? 0, bytes: limits.maxBytes };
}

/** Numbers of another server say nothing: a replica's own writes take them too, in the same domain, before or after. */
function compare(gtid: Gtid, wanted: Gtid): 'before' | 'same' | 'past' {
  if (gtid.domain !== wanted.domain || gtid.serverId !== wanted.serverId || gtid.seq < wanted.seq) return 'before';
  return gtid.seq === wanted.seq ? 'same' : 'past';
}

function notGtid(target: SqlTarget, text: string): MxrError {
  const detail = `${JSON.stringify(text.slice(0, 80))} is not a GTID`;
  return new MxrError({
    operation: OPERATION,
    target: describe(target),
    code: 'InputInvalid',
    retryable: false,
    detail,
  });
}
