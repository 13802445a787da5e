import { sleep } from '../clock.ts';
import { formatPosition } from '../domain/gtid.ts';
import { isDrained, mayHaveHalf } from '../domain/observation.ts';
import type { Dial } from '../domain/plan.ts';
import { checkDials, checkPosition } from './check.ts';
import type { ExecuteContext, Running } from './execution.ts';
import { act, look, surprise } from './execution.ts';
import { stopReceivingSql, stopSql } from './replication.ts';

const DRAIN_POLL_MS = 20;
/** Its relay log is read so often at most, while its workers may still apply. */
const REST_EVERY_MS = 500;

export async function stopReceiving(running: Running, dials: Dial | undefined): Promise<string> {
  const { context } = running;
  if (dials !== undefined) await checkDials(running, dials, 'stop receiving');
  const sql = stopReceivingSql(context.link.channel);
  await act(running, 'stop receiving', { sql }, stopDeadlineMs(context));
  const { link } = await look(running);
  if (link.io !== 'No') throw surprise(running, 'stop receiving', `its IO thread is ${link.io} after ${sql}`);
  return `${sql}; received up to ${link.read.file}:${link.read.position}`;
}

/** STOP can wait for the IO thread's own connect to time out (11.4+): its deadline is above that. */
function stopDeadlineMs(context: ExecuteContext): number {
  return (context.link.netTimeoutSeconds + 2) * 1000;
}

export async function capture(running: Running): Promise<string> {
  const { look: seen, link } = await look(running);
  running.captured = {
    at: running.context.clock.wallMs(),
    exec: link.exec,
    read: link.read,
    gtid: seen.gtidSlavePos,
    gtidIoPos: link.gtidIoPos,
  };
  return `applied ${formatPosition(seen.gtidSlavePos)} at ${link.exec.file}:${link.exec.position}, received ${link.read.file}:${link.read.position}`;
}

/** No deadline for success: throwing received transactions away is worse than waiting; the fence and errors end it. */
export async function drain(running: Running): Promise<string> {
  const { clock, relayRest } = running.context;
  let askedAt = Number.NEGATIVE_INFINITY;
  for (;;) {
    const { look: seen, link } = await look(running);
    if (link.sql !== 'Yes')
      throw surprise(running, 'drain', `its SQL thread stopped: ${link.sqlErrno} ${link.sqlError}`);
    if (isDrained(seen, link)) return `applied everything up to ${link.exec.file}:${link.exec.position}`;
    if (mayHaveHalf(seen, link) && clock.monotonicMs() - askedAt >= REST_EVERY_MS) {
      if ((await relayRest(running.acting)) === 'Half') {
        return `applied everything whole up to ${link.exec.file}:${link.exec.position}; half a transaction is left`;
      }
      askedAt = clock.monotonicMs();
    }
    await sleep(DRAIN_POLL_MS, running.context.signal);
    running.context.fence();
  }
}

export async function stop(running: Running): Promise<string> {
  const { context, plan } = running;
  const sql = stopSql(context.link.channel);
  await act(running, 'stop replication', { sql }, stopDeadlineMs(context));
  const { look: seen, link } = await look(running);
  if (link.io !== 'No' || link.sql !== 'No')
    throw surprise(running, 'stop', `its threads are IO ${link.io}, SQL ${link.sql}`);
  const expect = plan.steps.find((step) => step.step === 'Prove')?.expect;
  if (expect !== undefined) await checkPosition(running, expect, seen, link);
  running.expected = seen.gtidSlavePos;
  running.stoppedAt = link.exec;
  return sql;
}
