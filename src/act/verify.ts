import { sleep } from '../clock.ts';
import type { GtidPosition } from '../domain/gtid.ts';
import { formatPosition, samePosition, stateHas, stateOfPosition } from '../domain/gtid.ts';
import type { Link, LinkLook, ServerLook } from '../domain/observation.ts';
import { compareCoordinates } from '../domain/observation.ts';
import type { LinkTarget } from '../domain/plan.ts';
import { MxrError } from '../errors.ts';
import type { Running } from './execution.ts';
import { look, surprise } from './execution.ts';

/** Of a link to which nothing comes: a large transaction takes as long as it takes, and a try that gave up would begin it anew. */
const VERIFY_DEADLINE_MS = 20_000;
/** Nothing waits for it but the next pass, and the replica needs the processor for connecting. */
const VERIFY_POLL_MS = 10;
const NETWORK_GRACE_MS = 2000;

/**
 * Attached: both threads run, the target has a Binlog Dump from this replica (or the IO thread names its server id where
 * addresses are translated), and something after the resume point arrived, or nothing is outstanding.
 */
export async function verifyAttached(running: Running, target: LinkTarget): Promise<string> {
  const { context } = running;
  const since = context.clock.monotonicMs();
  let heard = { at: since, read: '' };
  let last = '';
  while (context.clock.monotonicMs() - heard.at < VERIFY_DEADLINE_MS) {
    const { look: seen, link } = await look(running);
    const read = `${link.read.file}:${link.read.position}`;
    if (read !== heard.read) heard = { at: context.clock.monotonicMs(), read };
    if (link.io === 'No') throw startFailed(running, link.ioErrno, link.ioError);
    if (link.sql === 'No') throw startFailed(running, link.sqlErrno, link.sqlError);
    last = notYet(running, seen, link, since) ?? '';
    if (last === '') {
      running.place = link.read;
      return `streaming from ${target.member} (${target.host}:${target.port})`;
    }
    if (linkCannotConnect(link) && context.clock.monotonicMs() - since > NETWORK_GRACE_MS) {
      throw startFailed(running, link.ioErrno, link.ioError);
    }
    await sleep(VERIFY_POLL_MS, context.signal);
    context.fence();
  }
  throw late(running, `not attached to ${target.member} within ${VERIFY_DEADLINE_MS} ms: ${last}`);
}

/**
 * The donor feeds it and its server will end that, or has already: a small gap is filled before anybody can look. How long it
 * takes nobody can say, so the passes that follow watch it (src/domain/fill.ts).
 */
export async function verifyFilling(running: Running, donor: LinkTarget, until: GtidPosition): Promise<string> {
  const { context } = running;
  const since = context.clock.monotonicMs();
  let last = '';
  while (context.clock.monotonicMs() - since < VERIFY_DEADLINE_MS) {
    const { look: seen, link } = await look(running);
    if (link.ioErrno !== 0 && link.io !== 'Connecting') throw startFailed(running, link.ioErrno, link.ioError);
    if (link.sqlErrno !== 0) throw startFailed(running, link.sqlErrno, link.sqlError);
    const where = `${donor.host}:${donor.port} until ${formatPosition(until)}`;
    // Its SQL thread may have more to apply by then.
    if (link.io === 'No') return `received everything, applied ${formatPosition(seen.gtidSlavePos)}, from ${where}`;
    if (link.io === 'Yes' && link.until === undefined) throw surprise(running, 'fill', 'it was started without UNTIL');
    if (link.io === 'Yes') return `streaming from ${where}`;
    last = `its IO thread is ${link.io} (${link.ioState})`;
    if (linkCannotConnect(link) && context.clock.monotonicMs() - since > NETWORK_GRACE_MS) {
      throw startFailed(running, link.ioErrno, link.ioError);
    }
    await sleep(VERIFY_POLL_MS, context.signal);
    context.fence();
  }
  throw late(running, `not filled from ${donor.host}:${donor.port} within ${VERIFY_DEADLINE_MS} ms: ${last}`);
}

function late(running: Running, detail: string): MxrError {
  const target = running.context.replica.name;
  return new MxrError({ code: 'Deadline', operation: 'verify the link', target, detail, retryable: true });
}

function linkCannotConnect(link: Link): boolean {
  return link.io === 'Connecting' && [2002, 2003, 2005, 2013].includes(link.ioErrno);
}

function startFailed(running: Running, errno: number, text: string): MxrError {
  const target = running.context.replica.name;
  return new MxrError({
    code: 'SqlError',
    operation: 'start replication',
    target,
    detail: `${errno} ${text}`,
    retryable: false,
    errno,
  });
}

/** What is still missing, or null when the replica is attached. */
function notYet(running: Running, seen: LinkLook, link: Link, since: number): string | null {
  const { context } = running;
  if (link.io !== 'Yes') return `its IO thread is ${link.io} (${link.ioState})`;
  const target = context.targetLook();
  if (target === null || target.at < since) return 'the target was not looked at since the start';
  const dump = (target.look.dumps ?? []).some((one) => one.address === context.replicaIp);
  if (!dump && link.sourceServerId !== target.look.identity.serverId) return 'the target has no binlog dump from it';
  const moved = running.expected !== null && !samePosition(seen.gtidSlavePos, running.expected);
  const arrived = moved && [...seen.gtidSlavePos.values()].every((gtid) => knownTo(target.look, gtid));
  const end = target.look.end;
  const nothingOutstanding = end !== null && compareCoordinates(link.read, end) >= 0;
  return arrived || nothingOutstanding ? null : `nothing has arrived yet (${link.read.file}:${link.read.position})`;
}

function knownTo(look: ServerLook, gtid: { domain: number; serverId: number; seq: bigint }): boolean {
  const state = look.gtidBinlogState ?? stateOfPosition(look.gtidBinlogPos);
  return (
    stateHas(state, gtid) || !look.gtidBinlogPos.has(gtid.domain) || stateHas(stateOfPosition(look.gtidSlavePos), gtid)
  );
}
