import { formatPosition, isWithin, samePosition, stateOfPosition } from '../domain/gtid.ts';
import type { Link } from '../domain/observation.ts';
import type { Expectation } from '../domain/plan.ts';
import type { LinkLook, Running } from './execution.ts';
import { look, surprise } from './execution.ts';

export async function prove(running: Running, expect: Expectation): Promise<string> {
  const { look: seen, link } = await look(running);
  checkTarget(running);
  await checkPosition(running, expect, seen, link);
  running.expected = seen.gtidSlavePos;
  return `${running.plan.proven?.because ?? ''}; live: ${formatPosition(seen.gtidSlavePos)}`;
}

export function checkTarget(running: Running): void {
  const target = running.context.targetLook();
  if (target === null) throw surprise(running, 'prove the position', 'the target does not answer');
  if (target.look.readOnly) throw surprise(running, 'prove the position', 'the target became read-only');
}

export async function checkPosition(running: Running, expect: Expectation, seen: LinkLook, link: Link): Promise<void> {
  const now = seen.gtidSlavePos;
  if (expect.kind === 'Between') {
    const notLess = isWithin(stateOfPosition(expect.from), stateOfPosition(now)) || samePosition(expect.from, now);
    if (notLess && isWithin(stateOfPosition(now), expect.upTo)) return;
    const detail = `it stands at ${formatPosition(now)}, the proof was made for ${formatPosition(expect.from)}`;
    throw surprise(running, 'prove the position', detail);
  }
  const there = await running.context.gtidOnTarget(link.exec);
  const same =
    there !== null &&
    [...there].every(([domain, gtid]) => {
      const here = now.get(domain);
      return here !== undefined && here.seq === gtid.seq && here.serverId === gtid.serverId;
    });
  if (same) return;
  const said = there === null ? 'no place in its binlog' : formatPosition(there);
  const detail = `the holder says that ${link.exec.file}:${link.exec.position} is ${said}, the replica is at ${formatPosition(now)}`;
  throw surprise(running, 'prove the position', detail);
}
