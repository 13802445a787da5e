import type { Gtid } from '../../domain/gtid.ts';
import { parseGtid } from '../../domain/gtid.ts';
import { sqlError } from '../errors.ts';
import type { SqlTarget } from '../port.ts';
import { describe, late } from '../session.ts';
import { parseGtidEvent } from './bodies.ts';
import { type DumpLimits, readDump } from './dump.ts';
import { EVENT } from './event.ts';

const OPERATION = 'read what it logged';

/** What a server logged in one domain after one transaction; null: its binlog does not have that, or too much after it. */
export async function loggedAfter(target: SqlTarget, after: string, limits: DumpLimits): Promise<Gtid[] | null> {
  const domain = parseGtid(after)?.domain;
  if (domain === undefined) return null;
  const gtids: Gtid[] = [];
  const done = await readDump(target, { gtid: after, domain }, limits, (event) => {
    if (event.type === EVENT.Gtid) gtids.push(parseGtidEvent(event).gtid);
    return true;
  });
  if (done.end === 'time') {
    throw sqlError(late(limits.deadlineMs), { operation: OPERATION, target: describe(target), secrets: [] });
  }
  return done.end === 'eof' ? gtids : null;
}
