import type { Gtid } from '../../domain/gtid.ts';
import type { SqlTarget } from '../port.ts';
import { parseGtidEvent, parseRotate } from './bodies.ts';
import { type DumpLimits, readDump } from './dump.ts';
import { EVENT } from './event.ts';
import { lateError } from './refused.ts';

export type Rehearsal =
  | {
      readonly accepted: true;
      /** Where the server would begin: at `next`, or at its end when there is nothing to send. */
      readonly file: string;
      readonly offset: number;
      /** The first transaction that it would send, and when this server committed it (wall clock ms, whole seconds). */
      readonly next: { readonly gtid: Gtid; readonly timestamp: number } | null;
    }
  | { readonly accepted: false; readonly errno: number; readonly text: string };

/**
 * Asks a server whether it would accept a replica at this GTID position, and where it would begin, without touching the
 * replica: the server runs the checks of a real connect. An acceptance is necessary, never sufficient.
 */
export async function rehearse(
  target: SqlTarget,
  position: { readonly gtid: string; readonly strict: boolean },
  limits: DumpLimits,
): Promise<Rehearsal> {
  let file = '';
  let offset = 0;
  let next: { gtid: Gtid; timestamp: number } | null = null;
  const done = await readDump(target, position, limits, (event) => {
    if (event.type === EVENT.Rotate) {
      ({ file, position: offset } = parseRotate(event.body));
    } else if (event.type === EVENT.Gtid) {
      offset = event.endLogPos - event.size;
      next = { gtid: parseGtidEvent(event).gtid, timestamp: event.timestamp * 1000 };
    } else if (event.endLogPos !== 0) {
      // Also of the Gtid_list that is made for this dump: it names the offset at which sending begins.
      offset = event.endLogPos;
    }
    return next === null;
  });
  if (done.end === 'refused') return { accepted: false, errno: done.errno, text: done.text };
  if (done.end === 'eof' || done.end === 'stopped') return { accepted: true, file, offset, next };
  throw lateError(target, 'rehearse an attach', limits);
}
