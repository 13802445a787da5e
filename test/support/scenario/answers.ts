import type { Answers, Question } from '../../../src/domain/evidence.ts';
import { parseGtid } from '../../../src/domain/gtid.ts';
import type { Gtid } from '../../../src/domain/gtid.ts';
import type { Coordinates } from '../../../src/domain/observation.ts';
import { placeOf, position, state } from './words.ts';
import { START } from './times.ts';
import type { Answer } from './vocabulary.ts';

/** What a question is called in `expect.questions`: `Rehearsal b`, `Transaction r0`, `GtidAt a`. */
export function nameOf(question: Question): string {
  return `${question.kind} ${subjectOf(question)}`;
}

function subjectOf(question: Question): string {
  if (question.kind === 'Transaction') return named(question.server);
  if (question.kind === 'LiveLook') return question.target === 'vip' ? 'vip' : named(question.target);
  return 'pod' in question ? question.pod : question.member;
}

function named(server: { readonly member: string } | { readonly pod: string }): string {
  return 'member' in server ? server.member : server.pod;
}

/** The first answer of the file that fits; undefined: the file has none. */
export function answerFor(question: Question, answers: readonly Answer[]): Answers[Question['kind']] | undefined {
  for (const answer of answers) {
    const value = fits(question, answer);
    if (value !== undefined) return value;
  }
  return undefined;
}

/** The code with which it cannot be asked; undefined: the file does not say so. */
export function failureOf(question: Question, answers: readonly Answer[]): string | undefined {
  const subject = subjectOf(question);
  return answers.flatMap((one) => (one.ask === 'Failure' && one.of === subject ? [one.code] : []))[0];
}

function fits(question: Question, answer: Answer): Answers[Question['kind']] | undefined {
  if (answer.ask === 'LiveLook') return question.kind === 'LiveLook' ? true : undefined;
  if (subjectOf(question) !== answer.of) return undefined;
  switch (question.kind) {
    case 'Rehearsal':
      return rehearsal(answer);
    case 'GtidAt': {
      if (answer.ask !== 'GtidAt') return undefined;
      const { file, position: offset } = question.at;
      if (answer.at !== undefined && answer.at !== `${file}:${offset}`) return undefined;
      return answer.gtid === null ? null : position(answer.gtid);
    }
    case 'Walk':
      return answer.ask === 'Walk' ? walk(answer, question.from) : undefined;
    case 'Span':
      return answer.ask === 'Span' ? span(answer) : undefined;
    case 'Files':
      return answer.ask === 'Files' ? files(answer) : undefined;
    case 'FileHeader':
      return answer.ask === 'FileHeader' ? header(answer, question.file) : undefined;
    case 'Transaction':
      return answer.ask === 'Transaction' ? content(answer, question.gtid) : undefined;
    case 'Logged':
      return answer.ask === 'Logged' ? answer.transactions.map(gtid) : undefined;
    case 'RelayNext':
      return answer.ask === 'RelayNext' ? (answer.next === null ? null : gtid(answer.next)) : undefined;
    case 'RelayRest':
      return answer.ask === 'RelayRest' ? answer.rest : undefined;
    case 'Relayed':
      return answer.ask === 'Relayed' ? gtid(answer.first) : undefined;
    case 'OwnWrites':
      return answer.ask === 'OwnWrites' ? ownWrite(answer.wrote) : undefined;
    case 'FailedRows':
      return answer.ask === 'FailedRows' ? { count: answer.keys.length, keys: answer.keys } : undefined;
    case 'LiveLook':
      return undefined;
    default:
      return question satisfies never;
  }
}

function rehearsal(answer: Answer): Answers['Rehearsal'] | undefined {
  if (answer.ask === 'Refusal') return { accepted: false, errno: 1236, text: answer.refused };
  if (answer.ask !== 'Rehearsal') return undefined;
  return { accepted: true, at: placeOf(answer.accepted), next: answer.next === undefined ? null : gtid(answer.next) };
}

function ownWrite(wrote: string | null): Answers['OwnWrites'] {
  return wrote === null
    ? null
    : { gtid: gtid(wrote), timestamp: START, wroteKey: true, statement: 'INSERT INTO auto VALUES (?)' };
}

function gtid(text: string): Gtid {
  const parsed = parseGtid(text);
  if (parsed === undefined) throw new Error(`not a GTID: ${text}`);
  return parsed;
}

function walk({ transactions: texts, cut, tables }: Extract<Answer, { ask: 'Walk' }>, from: Coordinates) {
  const transactions = texts.map((text, index) => ({
    gtid: gtid(text),
    at: { file: from.file, position: from.position + index * 100 },
    timestamp: START,
    bytes: 100,
    tables: tables === undefined ? null : (tables[text] ?? []),
  }));
  return { transactions, truncated: cut ?? null };
}

function span({ runs, refused, cut }: Extract<Answer, { ask: 'Span' }>): Answers['Span'] {
  if (refused !== undefined) return { accepted: false, errno: 1236, text: refused };
  const parsed = runs.map((text) => {
    const [first = '', last = first] = text.split(' to ');
    const { domain, serverId, seq } = gtid(first);
    return { domain, serverId, first: seq, last: gtid(last).seq };
  });
  return { accepted: true, runs: parsed, truncated: cut ?? null };
}

function files({ refused, starts }: Extract<Answer, { ask: 'Files' }>): Answers['Files'] {
  if (refused !== undefined) return { accepted: false, why: refused };
  return { accepted: true, transactions: 4, bytes: 1_000, starts: starts.map((text) => state(text)) };
}

function header(answer: Extract<Answer, { ask: 'FileHeader' }>, file: string): Answers['FileHeader'] | undefined {
  if (answer.file !== undefined && answer.file !== file) return undefined;
  const { byServerStart, created, list } = answer;
  return { createdAt: START + created * 60_000, byServerStart, encrypted: false, gtidList: state(list) };
}

function content(answer: Extract<Answer, { ask: 'Transaction' }>, wanted: string): Answers['Transaction'] | undefined {
  if (answer.gtid !== undefined && answer.gtid !== wanted) return undefined;
  if (answer.content === null) return { found: null };
  const { content: text, kind } = answer;
  return { found: { timestamp: START, kind, digest: text, summary: text, bytes: 100, tables: [] } };
}
