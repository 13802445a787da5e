import type { Run, Span } from '../../domain/evidence.ts';
import type { Gtid } from '../../domain/gtid.ts';
import type { SqlTarget } from '../port.ts';
import { parseGtidEvent } from './bodies.ts';
import { type DumpLimits, readDump } from './dump.ts';
import { EVENT } from './event.ts';

/** Where numbers do not follow one another there is a run for each: so many tell enough. */
const MAX_RUNS = 256;

/**
 * What a server would send a replica at `from` that is started UNTIL `upTo`: it is asked with the very words of such a
 * replica, so it checks and ends as it will then.
 */
export async function span(
  target: SqlTarget,
  { from, upTo }: { readonly from: string; readonly upTo: string },
  limits: DumpLimits,
): Promise<Span> {
  const runs: Run[] = [];
  const done = await readDump(target, { gtid: from, strict: true, until: upTo }, limits, (event) => {
    if (event.type === EVENT.Gtid) join(runs, parseGtidEvent(event).gtid);
    return runs.length <= MAX_RUNS;
  });
  if (done.end === 'refused') return { accepted: false, errno: done.errno, text: done.text };
  if (done.end === 'stopped') return { accepted: true, runs: runs.slice(0, MAX_RUNS), truncated: 'runs' };
  return { accepted: true, runs, truncated: done.end === 'eof' ? null : done.end };
}

function join(runs: Run[], { domain, serverId, seq }: Gtid): void {
  const before = runs.at(-1);
  if (before?.domain === domain && before.serverId === serverId && before.last + 1n === seq) {
    runs[runs.length - 1] = { ...before, last: seq };
  } else {
    runs.push({ domain, serverId, first: seq, last: seq });
  }
}
