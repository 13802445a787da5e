import type { GtidPosition } from '../domain/gtid.ts';
import { formatPosition, isWithin, sameGtid, samePosition, stateOfPosition } from '../domain/gtid.ts';
import type { Link, LinkLook, ServerLook } from '../domain/observation.ts';
import type { Dial, Expectation } from '../domain/plan.ts';
import type { Running } from './execution.ts';
import { lastLook, look, surprise } from './execution.ts';
import { sameDial } from '../domain/plan.ts';

/** The operation of an error that says: the replica does not stand where it was proven to. */
export const PROVE = 'prove the position';

export async function prove(running: Running, expect: Expectation): Promise<string> {
  const { look: seen, link } = await lastLook(running);
  checkTarget(running);
  await checkPosition(running, expect, seen, link);
  running.expected = seen.gtidSlavePos;
  return `${running.plan.proven?.because ?? ''}; live: ${formatPosition(seen.gtidSlavePos)}`;
}

export function checkTarget(running: Running): void {
  const target = running.context.targetLook();
  if (target === null) throw surprise(running, 'look at the target', 'it does not answer');
  if (target.look.readOnly) throw surprise(running, 'look at the target', 'it became read-only');
}

/** What was proven of a link says nothing of the one that somebody has made of it since: it is left as it is. */
export async function checkDials(running: Running, { host, port }: Dial, operation: string): Promise<void> {
  const { link } = await look(running);
  if (sameDial(link, { host, port })) return;
  const detail = `its link points at ${link.host}:${link.port}, not at ${host}:${port} any more`;
  throw surprise(running, operation, detail);
}

export async function checkPosition(running: Running, expect: Expectation, seen: LinkLook, link: Link): Promise<void> {
  const now = seen.gtidSlavePos;
  if (expect.kind === 'Between') {
    const notLess = isWithin(stateOfPosition(expect.from), stateOfPosition(now)) || samePosition(expect.from, now);
    if (notLess && isWithin(stateOfPosition(now), expect.upTo)) return;
    const detail = `it stands at ${formatPosition(now)}, the proof was made for ${formatPosition(expect.from)}`;
    throw surprise(running, PROVE, detail);
  }
  const there = await running.context.gtidOnTarget(link.exec);
  const target = running.context.targetLook()?.look;
  // By GTID it shows no place of its own before something arrived: there its position alone is what it goes on by.
  if (there?.size === 0 && link.usingGtid !== 'No') return;
  if (there !== null && target !== undefined && isPlaceOf(there, now, target)) return;
  const said = there === null ? 'no place in its binlog' : formatPosition(there) || 'before its first transaction';
  const detail = `the holder says that ${link.exec.file}:${link.exec.position} is ${said}, the replica is at ${formatPosition(now)}`;
  throw surprise(running, PROVE, detail);
}

/**
 * The holder's word about a place (BINLOG_GTID_POS; empty before its first transaction) must be the replica's position in
 * every domain. One exception: without log_slave_updates its binlog does not have what it applied. As long as it has
 * written nothing of its own since, a replica that stands where it took over stands at the end of that binlog.
 */
function isPlaceOf(there: GtidPosition, now: GtidPosition, target: ServerLook): boolean {
  return [...new Set([...there.keys(), ...now.keys()])].every((domain) => {
    const [said, own] = [there.get(domain), now.get(domain)];
    if (sameGtid(said, own)) return true;
    const isTakeover = !target.logSlaveUpdates && sameGtid(own, target.gtidSlavePos.get(domain));
    return isTakeover && sameGtid(said, target.gtidBinlogPos.get(domain));
  });
}
