import type { Step, StepOutcome } from '../api/reasons.ts';
import type { Clock } from '../clock.ts';
import { sleep } from '../clock.ts';
import type { GtidPosition } from '../domain/gtid.ts';
import { formatPosition, isWithin, parsePosition, samePosition, stateHas, stateOfPosition } from '../domain/gtid.ts';
import type { Captured } from '../domain/memory.ts';
import type { Coordinates, Link, ServerLook } from '../domain/observation.ts';
import { compareCoordinates, isDrained, linkOf } from '../domain/observation.ts';
import type { Dial, Attach, Expectation, LinkTarget, Plan, StepValue } from '../domain/plan.ts';
import { errorText, isMxrError, MxrError } from '../errors.ts';
import type { SqlConnect, SqlTarget } from '../sql/port.ts';
import type { ActingSession, LinkSettings } from './replication.ts';
import { changeSql, openActing, startSql, stopReceivingSql, stopSql } from './replication.ts';

/** One step as it went, for the handover record. */
export interface StepReport {
  readonly step: Step;
  readonly outcome: StepOutcome;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly detail: string;
}

export interface Execution {
  readonly pod: string;
  readonly plan: Plan;
  /** `Done`: every step verified. `Stopped`: at the first surprise; the next pass looks again and decides anew. */
  readonly outcome: 'Done' | 'Stopped';
  readonly code: string | null;
  readonly message: string;
  readonly steps: readonly StepReport[];
  readonly captured: Captured | null;
  /** The position at which the replica was started, and its coordinates in the target's binlog once they are known. */
  readonly attachedAt: { readonly gtid: GtidPosition; readonly place: Coordinates | null } | null;
}

/** What the executor may use. Everything that can change under it is a function that reads it live. */
export interface ExecuteContext {
  readonly connect: SqlConnect;
  readonly replica: SqlTarget;
  readonly replicaIp: string;
  readonly link: LinkSettings;
  readonly keepReadOnly: boolean;
  readonly leaseDurationMs: number;
  readonly statementDeadlineMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Throws `FenceLost` when this plan may no longer be carried out. Called before every step and every statement. */
  readonly fence: () => void;
  /** The newest look at the target, with when it began; null while it is unknown. */
  readonly targetLook: () => { readonly look: ServerLook; readonly at: number } | null;
  /** BINLOG_GTID_POS asked of the target now; null: not a place in its binlog. */
  readonly gtidOnTarget: (at: Coordinates) => Promise<GtidPosition | null>;
  readonly lookAt: (session: ActingSession) => Promise<LinkLook>;
  readonly onStep: (step: Step) => void;
  readonly onStatement: (step: Step, outcome: StepOutcome) => void;
}

/** The part of a replica that changes under the executor's hands: read between statements, so it is kept small. */
export type LinkLook = Pick<ServerLook, 'gtidSlavePos' | 'readOnly' | 'links'>;

interface Running {
  readonly context: ExecuteContext;
  readonly plan: Plan;
  readonly acting: ActingSession;
  captured: Captured | null;
  expected: GtidPosition | null;
  /** Applied coordinates after Stop. */
  stoppedAt: Coordinates | null;
  place: Coordinates | null;
}

const VERIFY_DEADLINE_MS = 20_000;
const DRAIN_POLL_MS = 20;
const VERIFY_POLL_MS = 4;

/** Carries out one replica's plan: a step, its effect verified, the fence checked again, the next one. Never throws. */
export async function execute(plan: Plan, context: ExecuteContext): Promise<Execution> {
  const steps: StepReport[] = [];
  let running: Running | null = null;
  let failure: { code: string; message: string } | null = null;
  try {
    context.fence();
    const { connect, replica: target, link, leaseDurationMs, signal, clock } = context;
    const deadlineMs = context.statementDeadlineMs;
    const acting = await openActing({
      connect,
      target,
      channel: link.channel,
      leaseDurationMs,
      deadlineMs,
      signal,
      clock,
    });
    const expected = plan.proven?.gtid ?? null;
    running = { context, plan, acting, captured: null, expected, stoppedAt: null, place: null };
    for (const step of plan.steps) await runStep(running, step, steps);
  } catch (error) {
    failure = { code: isMxrError(error) ? error.code : 'Bug', message: errorText(error) };
  } finally {
    running?.acting.close();
  }
  const started = steps.some((step) => step.step === 'VerifyAttached' && step.outcome === 'ok');
  return {
    pod: plan.pod,
    plan,
    outcome: failure === null ? 'Done' : 'Stopped',
    code: failure?.code ?? null,
    message: failure?.message ?? '',
    steps,
    captured: running?.captured ?? null,
    attachedAt: started && running?.expected != null ? { gtid: running.expected, place: running.place } : null,
  };
}

async function runStep(running: Running, step: StepValue, steps: StepReport[]): Promise<void> {
  const { context } = running;
  const [startedAt, from] = [context.clock.wallMs(), context.clock.monotonicMs()];
  const report = (outcome: StepOutcome, detail: string) => {
    steps.push({ step: step.step, outcome, startedAt, durationMs: context.clock.monotonicMs() - from, detail });
    context.onStatement(step.step, outcome);
  };
  context.onStep(step.step);
  try {
    context.fence();
    report('ok', await doStep(running, step));
  } catch (error) {
    report(isMxrError(error, 'Deadline') ? 'deadline' : 'error', errorText(error));
    throw error;
  }
}

/** Does one step and verifies its effect. Answers what is worth reading in the record. */
async function doStep(running: Running, step: StepValue): Promise<string> {
  switch (step.step) {
    case 'StopReceiving':
      return stopReceiving(running, step.dials);
    case 'Capture':
      return capture(running);
    case 'Drain':
      return drain(running);
    case 'Prove':
      return prove(running, step.expect);
    case 'Stop':
      return stop(running);
    case 'Change':
      return change(running, step);
    case 'Start':
      return start(running, step.threads);
    case 'VerifyAttached':
      return verifyAttached(running, step.target);
    default:
      return step satisfies never;
  }
}

function surprise(running: Running, operation: string, detail: string): MxrError {
  const target = running.context.replica.name;
  return new MxrError({ code: 'FenceLost', operation, target, detail, retryable: true });
}

async function look(running: Running): Promise<{ look: LinkLook; link: Link }> {
  const seen = await running.context.lookAt(running.acting);
  const link = linkOf(seen, running.context.link.channel);
  if (link === undefined) throw surprise(running, 'read the link', 'the replication channel is gone');
  return { look: seen, link };
}

async function stopReceiving(running: Running, dials: Dial | undefined): Promise<string> {
  const { context, acting } = running;
  if (dials !== undefined) await checkDials(running, dials);
  const sql = stopReceivingSql(context.link.channel);
  await acting.run('stop receiving', sql, [], stopDeadlineMs(context));
  const { link } = await look(running);
  if (link.io !== 'No') throw surprise(running, 'stop receiving', `its IO thread is ${link.io} after ${sql}`);
  return `${sql}; received up to ${link.read.file}:${link.read.position}`;
}

/** What was proven of a link says nothing of the one that somebody has made of it since: it is left as it is. */
async function checkDials(running: Running, { host, port }: Dial): Promise<void> {
  const { link } = await look(running);
  if (link.host === host && link.port === port) return;
  throw surprise(
    running,
    'stop receiving',
    `its link points at ${link.host}:${link.port}, not at ${host}:${port} any more`,
  );
}

/** STOP can wait for the IO thread's own connect to time out (11.4+): its deadline is above that. */
function stopDeadlineMs(context: ExecuteContext): number {
  return (context.link.netTimeoutSeconds + 2) * 1000;
}

async function capture(running: Running): Promise<string> {
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
async function drain(running: Running): Promise<string> {
  for (;;) {
    const { look: seen, link } = await look(running);
    if (link.sql !== 'Yes')
      throw surprise(running, 'drain', `its SQL thread stopped: ${link.sqlErrno} ${link.sqlError}`);
    if (isDrained(seen, link)) return `applied everything up to ${link.exec.file}:${link.exec.position}`;
    await sleep(DRAIN_POLL_MS, running.context.signal);
    running.context.fence();
  }
}

async function prove(running: Running, expect: Expectation): Promise<string> {
  const { look: seen, link } = await look(running);
  checkTarget(running);
  await checkPosition(running, expect, seen, link);
  running.expected = seen.gtidSlavePos;
  return `${running.plan.proven?.because ?? ''}; live: ${formatPosition(seen.gtidSlavePos)}`;
}

function checkTarget(running: Running): void {
  const target = running.context.targetLook();
  if (target === null) throw surprise(running, 'prove the position', 'the target does not answer');
  if (target.look.readOnly) throw surprise(running, 'prove the position', 'the target became read-only');
}

async function checkPosition(running: Running, expect: Expectation, seen: LinkLook, link: Link): Promise<void> {
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

async function stop(running: Running): Promise<string> {
  const { context, acting, plan } = running;
  const sql = stopSql(context.link.channel);
  await acting.run('stop replication', sql, [], stopDeadlineMs(context));
  const { look: seen, link } = await look(running);
  if (link.io !== 'No' || link.sql !== 'No')
    throw surprise(running, 'stop', `its threads are IO ${link.io}, SQL ${link.sql}`);
  const expect = plan.steps.find((step) => step.step === 'Prove')?.expect;
  if (expect !== undefined) await checkPosition(running, expect, seen, link);
  running.expected = seen.gtidSlavePos;
  running.stoppedAt = link.exec;
  return sql;
}

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

async function change(running: Running, step: Extract<StepValue, { step: 'Change' }>): Promise<string> {
  const { context, acting } = running;
  const { target } = step;
  const attach = attachNow(running, step.attach);
  checkTarget(running);
  const statement = changeSql(context.link, target, attach);
  await acting.run('change the source', statement.sql, statement.params);
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

async function start(running: Running, threads: 'Both' | 'Sql'): Promise<string> {
  const { context, acting } = running;
  const sql = startSql(context.link.channel, threads);
  if (threads === 'Both') {
    checkTarget(running);
    // Before each start and not with CHANGE: a restart of the replica, or a death right after CHANGE, loses both.
    await acting.run('bound the link', `SET GLOBAL slave_net_timeout = ${context.link.netTimeoutSeconds}`);
    const { look: seen } = await look(running);
    if (context.keepReadOnly && !seen.readOnly) await acting.run('keep it read-only', 'SET GLOBAL read_only = 1');
  }
  await acting.run('start replication', sql);
  return sql;
}

/**
 * Attached: both threads run, the target has a Binlog Dump from this replica (or the IO thread names its server id where
 * addresses are translated), and something after the resume point arrived, or nothing is outstanding.
 */
async function verifyAttached(running: Running, target: LinkTarget): Promise<string> {
  const { context } = running;
  const since = context.clock.monotonicMs();
  let last = '';
  while (context.clock.monotonicMs() - since < VERIFY_DEADLINE_MS) {
    const { look: seen, link } = await look(running);
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
  const detail = `not attached to ${target.member} within ${VERIFY_DEADLINE_MS} ms: ${last}`;
  throw new MxrError({
    code: 'Deadline',
    operation: 'verify the link',
    target: context.replica.name,
    detail,
    retryable: true,
  });
}

const NETWORK_GRACE_MS = 2000;

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

/** Text of BINLOG_GTID_POS; null when the server says that it is no place in its binlog. */
export function parseGtidAt(text: string | null): GtidPosition | null {
  return text === null ? null : (parsePosition(text) ?? null);
}
