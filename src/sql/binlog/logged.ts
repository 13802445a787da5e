import type { Gtid } from '../../domain/gtid.ts';
import type { SqlTarget } from '../port.ts';
import { parseGtidEvent } from './bodies.ts';
import { type DumpLimits, readDump } from './dump.ts';
import { EVENT } from './event.ts';
import { lateError } from './refused.ts';

const OPERATION = 'read what it logged';

export interface Since {
  readonly domain: number;
  /** A transaction of that domain; null: from its beginning. */
  readonly after: string | null;
}

/** What a server logged in one domain; null: its binlog does not have the place, or too much after it. */
export async function loggedSince(
  target: SqlTarget,
  { domain, after }: Since,
  limits: DumpLimits,
): Promise<Gtid[] | null> {
  const gtids: Gtid[] = [];
  const done = await readDump(target, { gtid: after ?? '', domain }, limits, (event) => {
    if (event.type === EVENT.Gtid) gtids.push(parseGtidEvent(event).gtid);
    return true;
  });
  if (done.end === 'time') throw lateError(target, OPERATION, limits);
  return done.end === 'eof' ? gtids : null;
}
