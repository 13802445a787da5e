import { formatPosition, samePosition } from '../domain/gtid.ts';
import type { Attach, StepValue } from '../domain/plan.ts';
import { checkDials, checkTarget } from './check.ts';
import type { Running } from './execution.ts';
import { act, lastLook, look, surprise } from './execution.ts';
import { changeSql, netTimeoutSql, startSql } from './replication.ts';

/**
 * Coordinates belong to one position. What was applied since the plan was made is beyond its coordinates, and would be
 * applied twice: an adoption goes on where the replica stopped, for the holder itself has named that place; a move whose
 * position is not the proven one any more is proven again.
 */
function attachNow(running: Running, attach: Attach): Attach {
  const { plan, expected, stoppedAt } = running;
  if (attach.by === 'Gtid') return attach;
  const onHolder = plan.steps.some((step) => step.step === 'Prove' && step.expect.kind === 'OnHolder');
  if (onHolder && stoppedAt !== null && expected !== null) return { by: 'File', at: stoppedAt, gtid: expected };
  if (expected !== null && samePosition(expected, attach.gtid)) return attach;
  const now = expected === null ? 'nowhere' : formatPosition(expected);
  const detail = `${attach.at.file}:${attach.at.position} was proven for ${formatPosition(attach.gtid)}, it stopped at ${now}`;
  throw surprise(running, 'change the source', detail);
}

export async function change(running: Running, step: Extract<StepValue, { step: 'Change' }>): Promise<string> {
  const { context } = running;
  const { target } = step;
  const attach = attachNow(running, step.attach);
  checkTarget(running);
  await act(running, 'change the source', changeSql(context.link, target, attach));
  const { look: seen, link } = await look(running);
  const mode = attach.by === 'Gtid' ? 'Slave_Pos' : 'No';
  if (link.host !== target.host || link.port !== target.port || link.usingGtid !== mode) {
    const detail = `it shows ${link.host}:${link.port} Using_Gtid ${link.usingGtid}`;
    throw surprise(running, 'change the source', detail);
  }
  if (running.expected !== null && !samePosition(seen.gtidSlavePos, running.expected)) {
    throw surprise(running, 'change the source', `its position became ${formatPosition(seen.gtidSlavePos)}`);
  }
  const place =
    attach.by === 'Gtid' ? `by GTID ${formatPosition(attach.gtid)}` : `at ${attach.at.file}:${attach.at.position}`;
  return `CHANGE MASTER TO ${target.host}:${target.port} ${place}`;
}

export async function start(running: Running, step: Extract<StepValue, { step: 'Start' }>): Promise<string> {
  const { context, plan } = running;
  const { threads, until } = step;
  const sql = startSql(context.link.channel, threads, until);
  if (threads !== 'Sql') checkTarget(running);
  if (threads === 'Both') {
    // Before each start and not with CHANGE: a restart of the replica, or a death right after CHANGE, loses both.
    const { look: seen } = await lastLook(running);
    const { netTimeoutSeconds } = context.link;
    // Not where it is so: what is in the configuration would look like something that a restart forgets.
    if (seen.slaveNetTimeout !== netTimeoutSeconds)
      await act(running, 'bound the link', { sql: netTimeoutSql(netTimeoutSeconds) });
    if (context.keepReadOnly && !seen.readOnly)
      await act(running, 'keep it read-only', { sql: 'SET GLOBAL read_only = 1' });
  }
  if (threads === 'Again' && plan.target !== null) await checkDials(running, plan.target, 'start replication again');
  await act(running, 'start replication', { sql });
  return sql;
}
