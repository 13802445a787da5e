import type { Answers, FailedRowsQuestion, OwnWritesQuestion, Question } from '../domain/evidence.ts';
import { parsePosition, parseState } from '../domain/gtid.ts';
import type { GtidPosition } from '../domain/gtid.ts';
import type { HistoryServer } from '../domain/histories.ts';
import type { Picture } from '../domain/judge.ts';
import type { Coordinates } from '../domain/observation.ts';
import { MxrError } from '../errors.ts';
import { failedRows } from '../sql/binlog/failed-rows.ts';
import { fileHeader } from '../sql/binlog/file-header.ts';
import { loggedSince } from '../sql/binlog/logged.ts';
import { lastOwnWrite } from '../sql/binlog/own-write.ts';
import { rehearse } from '../sql/binlog/rehearse.ts';
import { span } from '../sql/binlog/span.ts';
import { transactionAt } from '../sql/binlog/transaction.ts';
import { walk } from '../sql/binlog/walk.ts';
import type { SqlSession, SqlTarget, StatementOptions } from '../sql/port.ts';
import { newestFiles } from '../observe/binlog-files.ts';
import { primaryKey } from '../observe/primary-key.ts';
import { relayedFirst, relayedNext, relayedRest } from '../observe/relayed.ts';
import { askFiles } from './fill-files.ts';
import type { Runtime } from './runtime.ts';

const ASK_DEADLINE_MS = 5_000;
const WALK_BYTES = 64 * 1024 * 1024;
/** A gap of hours: read once, before anything is touched. */
const SPAN = { deadlineMs: 30_000, longestMs: 120_000, maxBytes: 8 * 1024 * 1024 * 1024 };
/** A single transaction may have gigabytes. It passes through: memory does not grow with it (src/sql/binlog/dump.ts). */
const LONG = { maxBytes: 2 * 1024 * 1024 * 1024, longestMs: 120_000 };

/** Gets what the domain asks for. Dumps use the replication account, as a replica would. */
export function askFor(runtime: Runtime, picture: Picture): void {
  runtime.evidence?.ask(picture.questions);
}

export function createAsker(runtime: Runtime): (question: Question) => Promise<Answers[Question['kind']]> {
  return (question) => answer(runtime, question);
}

async function answer(runtime: Runtime, question: Question): Promise<Answers[Question['kind']]> {
  const limits = { deadlineMs: ASK_DEADLINE_MS, maxBytes: WALK_BYTES, signal: runtime.shared.signal };
  switch (question.kind) {
    case 'FileHeader': {
      const header = await fileHeader(dumpTarget(runtime, question.member), question.file, limits);
      const gtidList = parseState(header.gtidList);
      if (gtidList === undefined) throw malformed('read a binlog file header', question.member);
      return {
        createdAt: header.createdAt,
        byServerStart: header.byServerStart,
        encrypted: header.encrypted,
        gtidList,
      };
    }
    case 'GtidAt':
      return gtidAt(runtime, memberTarget(runtime, question.member), question.at);
    case 'Rehearsal':
      return rehearsal(runtime, question.member, question.gtid);
    case 'Walk': {
      const { from, through, firstOnly } = question;
      const walked = await walk(
        dumpTarget(runtime, question.member),
        { from, through: firstOnly ? null : through, firstOnly },
        { ...limits, ...LONG },
      );
      // Contents are not kept: there can be thousands of them.
      const transactions = walked.transactions.map(({ gtid, at, timestamp, bytes, content }) => ({
        gtid,
        at,
        timestamp,
        bytes,
        tables: content.kind === 'rows' ? content.tables.map(({ name }) => name) : null,
      }));
      return { transactions, truncated: walked.truncated };
    }
    case 'Span': {
      const { from, upTo } = question;
      return span(donorTarget(runtime, question.pod), { from, upTo }, { ...SPAN, signal: limits.signal });
    }
    case 'Files':
      return askFiles(runtime, question);
    case 'Transaction': {
      const target = sourceTarget(runtime, question.server);
      const annotated = question.stated === true;
      return { found: await transactionAt(target, question.gtid, { ...limits, ...LONG, annotated }) };
    }
    case 'Logged':
      return loggedSince(podTarget(runtime, question.pod), question, { ...limits, ...LONG });
    case 'Relayed':
      return relayed(runtime, question.pod);
    case 'RelayNext':
      return relayNext(runtime, question.pod);
    case 'RelayRest':
      return relayRest(runtime, question.pod);
    case 'OwnWrites':
      return ownWrite(runtime, question);
    case 'FailedRows':
      return rowsThatFailed(runtime, question);
    case 'LiveLook':
      await lookLive(runtime, question.target);
      return true;
    default:
      return question satisfies never;
  }
}

async function rehearsal(runtime: Runtime, member: string, gtid: string): Promise<Answers['Rehearsal']> {
  const limits = { deadlineMs: ASK_DEADLINE_MS, maxBytes: WALK_BYTES, signal: runtime.shared.signal };
  const result = await rehearse(dumpTarget(runtime, member), { gtid, strict: true }, limits);
  if (!result.accepted) return result;
  return { accepted: true, at: { file: result.file, position: result.offset }, next: result.next?.gtid ?? null };
}

async function lookLive(runtime: Runtime, target: { member: string } | { pod: string } | 'vip'): Promise<void> {
  const deadlineMs = runtime.resource.spec.detection.probeTimeoutMs;
  if (target === 'vip') await runtime.watcher?.lookNow({ vip: true }, deadlineMs);
  else if ('member' in target) await runtime.watcher?.lookNow({ members: [target.member], files: true }, deadlineMs);
  else await runtime.watcher?.lookNow({ replicas: [target.pod] }, deadlineMs);
}

/** BINLOG_GTID_POS, asked with the account that looks. */
export async function gtidAt(runtime: Runtime, target: SqlTarget, at: Coordinates): Promise<GtidPosition | null> {
  return onTarget(runtime, target, async (session, limits) => {
    const options = { ...limits, operation: 'ask for the GTID at a binlog position' };
    const rows = await session.query('SELECT BINLOG_GTID_POS(?, ?) AS gtid', [at.file, at.position], options);
    const text = rows[0]?.['gtid'] ?? null;
    return text === null ? null : (parsePosition(text) ?? null);
  });
}

async function relayed(runtime: Runtime, pod: string): Promise<Answers['Relayed']> {
  const { channel } = runtime.resource.spec.link;
  return onTarget(runtime, podTarget(runtime, pod), (session, limits) => relayedFirst(session, channel, limits));
}

async function relayNext(runtime: Runtime, pod: string): Promise<Answers['RelayNext']> {
  const { channel } = runtime.resource.spec.link;
  return onTarget(runtime, podTarget(runtime, pod), (session, limits) => relayedNext(session, channel, limits));
}

async function relayRest(runtime: Runtime, pod: string): Promise<Answers['RelayRest']> {
  const { channel } = runtime.resource.spec.link;
  return onTarget(runtime, podTarget(runtime, pod), (session, limits) => relayedRest(session, channel, limits));
}

async function ownWrite(runtime: Runtime, question: OwnWritesQuestion): Promise<Answers['OwnWrites']> {
  const limits = { deadlineMs: ASK_DEADLINE_MS, maxBytes: WALK_BYTES, signal: runtime.shared.signal };
  const from = await onTarget(runtime, podTarget(runtime, question.pod), (session) =>
    newestFiles(session, WALK_BYTES, limits),
  );
  return from === null ? null : lastOwnWrite(podTarget(runtime, question.pod), { ...question, from }, limits);
}

async function rowsThatFailed(runtime: Runtime, question: FailedRowsQuestion): Promise<Answers['FailedRows']> {
  const limits = { deadlineMs: ASK_DEADLINE_MS, maxBytes: WALK_BYTES, signal: runtime.shared.signal };
  const member = memberTarget(runtime, question.member);
  const key = await onTarget(runtime, member, (session) => primaryKey(session, question.table, limits));
  return key.length === 0 ? null : failedRows(dumpTarget(runtime, question.member), { ...question, key }, limits);
}

type Limits = Pick<StatementOptions, 'deadlineMs' | 'signal'>;

/** On a session of its own, which ends with the answer. */
export async function onTarget<T>(
  runtime: Runtime,
  target: SqlTarget,
  ask: (session: SqlSession, limits: Limits) => Promise<T>,
): Promise<T> {
  const { connect, signal } = runtime.shared;
  const limits = { deadlineMs: ASK_DEADLINE_MS, signal };
  const session = await connect(target, limits);
  try {
    return await ask(session, limits);
  } finally {
    session.destroy();
  }
}

/** Where a member is asked: directly, or behind the VIP where only that is routed and the member holds it. */
export function memberTarget(runtime: Runtime, member: string): SqlTarget {
  const { accepted, watcher, picture } = runtime;
  const target = accepted?.targets.members.find((one) => one.name === member)?.target;
  if (accepted === null || target === undefined) throw notThere(`member ${member}`);
  const reachable = watcher?.observation().members.find((one) => one.name === member)?.look.known === true;
  const behindVip = picture?.diagnosis.holder?.member.name === member;
  return !reachable && behindVip ? accepted.targets.vip : target;
}

export function dumpTarget(runtime: Runtime, member: string): SqlTarget {
  const replication = runtime.accepted?.replication;
  if (replication === undefined) throw notThere(`member ${member}`);
  return { ...memberTarget(runtime, member), ...replication };
}

/** Whose binlog is read: of a member with the account that replicates, as a replica would. */
export function sourceTarget(runtime: Runtime, server: HistoryServer): SqlTarget {
  return 'member' in server ? dumpTarget(runtime, server.member) : podTarget(runtime, server.pod);
}

/** A replica as another replica would dial it, which follows it by the account that it has for the source. */
function donorTarget(runtime: Runtime, pod: string): SqlTarget {
  const replication = runtime.accepted?.replication;
  if (replication === undefined) throw notThere(`replica ${pod}`);
  return { ...podTarget(runtime, pod), ...replication };
}

export function podTarget(runtime: Runtime, pod: string): SqlTarget {
  const { accepted } = runtime;
  const watched = accepted?.pods.find((one) => one.pod === pod);
  if (accepted == null || watched?.ip == null) throw notThere(`replica ${pod}`);
  return { ...accepted.targets.replica, name: `replica ${pod}`, host: watched.ip };
}

function notThere(target: string): MxrError {
  return new MxrError({
    code: 'ConnectionRefused',
    operation: 'find',
    target,
    detail: 'it is not known any more',
    retryable: true,
  });
}

function malformed(operation: string, member: string): MxrError {
  return new MxrError({
    code: 'ProtocolError',
    operation,
    target: `member ${member}`,
    detail: 'its GTID list is malformed',
    retryable: false,
  });
}
