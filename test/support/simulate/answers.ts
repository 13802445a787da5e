import type { Answers, Question } from '../../../src/domain/evidence.ts';
import { formatGtid, parsePosition, stateOf } from '../../../src/domain/gtid.ts';
import { compareCoordinates } from '../../../src/domain/observation.ts';
import { MxrError } from '../../../src/errors.ts';
import { entriesOf, gtidAt } from './binlog.ts';
import { dumpByGtid, nextOf } from './dump.ts';
import type { SimServer } from './server.ts';
import type { World } from './world.ts';
import { serversOf } from './world.ts';

/** What the evidence of the domain's questions is on the simulated servers, as a binlog reader would find it. */
export function answerFrom(world: World, question: Exclude<Question, { kind: 'LiveLook' }>): Answers[Question['kind']] {
  switch (question.kind) {
    case 'FileHeader': {
      const file = reach(world, question.member).binlog.files.find((one) => one.name === question.file);
      if (file === undefined) throw refused(question.member, `1236: ${question.file} is not there`);
      const { createdAt, byServerStart } = file;
      return { createdAt, byServerStart, encrypted: false, gtidList: stateOf(file.list) };
    }
    case 'GtidAt':
      return gtidAt(reach(world, question.member).binlog, question.at);
    case 'Rehearsal':
      return rehearse(reach(world, question.member), question.gtid);
    case 'Walk':
      return walk(reach(world, question.member), question);
    case 'Span':
      return spanOf(reach(world, question.pod), question);
    case 'Transaction': {
      const name = 'member' in question.server ? question.server.member : question.server.pod;
      return contentOf(reach(world, name), question.gtid);
    }
    case 'Logged':
      return loggedSince(reach(world, question.pod), question);
    case 'RelayNext':
      return reach(world, question.pod).link?.relay[0]?.trx.gtid ?? null;
    case 'RelayRest':
      return (reach(world, question.pod).link?.relay.length ?? 0) > 0 ? 'Whole' : 'Half';
    case 'Files':
      return { accepted: false, why: 'nobody hands them out here' };
    case 'Relayed':
    case 'OwnWrites':
    case 'FailedRows':
      return null;
    default:
      return question satisfies never;
  }
}

function reach(world: World, name: string): SimServer {
  const server = serversOf(world).find((one) => one.name === name);
  if (server?.up === true && !world.hidden.has(name)) return server;
  const detail = 'no answer';
  throw new MxrError({ code: 'ConnectionLost', operation: 'ask', target: name, detail, retryable: true });
}

function refused(target: string, detail: string): MxrError {
  return new MxrError({ code: 'BinlogRefused', operation: 'read its binlog', target, detail, retryable: false });
}

function rehearse(server: SimServer, text: string): Answers['Rehearsal'] {
  const wanted = parsePosition(text);
  if (wanted === undefined) throw refused(server.name, 'malformed');
  const cursor = dumpByGtid(server, wanted, true);
  if ('errno' in cursor) return { accepted: false, ...cursor };
  const next = nextOf(server, cursor);
  if (next.kind === 'Refused') return { accepted: false, ...next.refusal };
  if (next.kind !== 'Trx') {
    return { accepted: true, at: { file: cursor.file, position: cursor.position }, next: null };
  }
  return { accepted: true, at: next.start, next: next.trx.gtid };
}

/** As the real reader: a dump that begins and ends as START SLAVE UNTIL does. */
function spanOf(server: SimServer, question: Extract<Question, { kind: 'Span' }>): Answers['Span'] {
  const [from, upTo] = [parsePosition(question.from), parsePosition(question.upTo)];
  if (from === undefined || upTo === undefined) throw refused(server.name, 'malformed');
  const cursor = dumpByGtid(server, from, true, upTo);
  if ('errno' in cursor) return { accepted: false, ...cursor };
  const runs: { domain: number; serverId: number; first: bigint; last: bigint }[] = [];
  for (;;) {
    const next = nextOf(server, cursor);
    if (next.kind === 'Refused') return { accepted: false, ...next.refusal };
    if (next.kind !== 'Trx') return { accepted: true, runs, truncated: null };
    const { domain, serverId, seq } = next.trx.gtid;
    const before = runs.at(-1);
    if (before?.domain === domain && before.serverId === serverId && before.last + 1n === seq) before.last = seq;
    else runs.push({ domain, serverId, first: seq, last: seq });
  }
}

function walk(server: SimServer, question: Extract<Question, { kind: 'Walk' }>): Answers['Walk'] {
  const { from, through, firstOnly } = question;
  if (gtidAt(server.binlog, from) === null) throw refused(server.name, `${from.file}:${from.position} is no place`);
  const all = entriesOf(server.binlog).filter(({ file, entry }) => {
    const begins = compareCoordinates({ file, position: entry.start }, from) >= 0;
    return begins && (firstOnly || compareCoordinates({ file, position: entry.end }, through) <= 0);
  });
  const transactions = all.map(({ file, entry }) => ({
    gtid: entry.trx.gtid,
    at: { file, position: entry.start },
    timestamp: entry.trx.timestamp,
    bytes: entry.trx.size,
    tables: null,
  }));
  return { transactions: firstOnly ? transactions.slice(0, 1) : transactions, truncated: null };
}

/** As the real reader: a dump of one domain, which begins behind the transaction or where the domain does. */
function loggedSince(server: SimServer, { domain, after }: Extract<Question, { kind: 'Logged' }>): Answers['Logged'] {
  const logged = entriesOf(server.binlog).map(({ entry }) => entry.trx.gtid);
  const at = after === null ? -1 : logged.findIndex((gtid) => formatGtid(gtid) === after);
  if (after !== null && at === -1) return null;
  return logged.slice(at + 1).filter((gtid) => gtid.domain === domain);
}

/** As the real reader: a dump that begins one number before, until exactly this GTID comes. */
function contentOf(server: SimServer, text: string): Answers['Transaction'] {
  const found = entriesOf(server.binlog).find(({ entry }) => formatGtid(entry.trx.gtid) === text);
  if (found === undefined) return { found: null };
  const { token, timestamp, size } = found.entry.trx;
  return { found: { timestamp, kind: 'row', digest: token, summary: token, bytes: size, tables: [] } };
}
