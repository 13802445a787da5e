import type { Context } from './context.ts';
import { baselineMember, memberOf } from './context.ts';
import { answerTo } from './evidence.ts';
import type {
  FailedRowsQuestion,
  OwnWrite,
  OwnWritesQuestion,
  Question,
  RelayNextQuestion,
  TransactionQuestion,
} from './evidence.ts';
import { wasAsked } from './fact.ts';
import { formatGtid } from './gtid.ts';
import { maskLiterals } from './mask.ts';
import { incarnationKey } from './proof.ts';
import { protect } from './protect.ts';
import type { Decision } from './verdict.ts';
import { decide } from './verdict.ts';

/** Errors of an applier that meets something which is there already, or is not there any more: duplicate key or object, no row. */
const COLLISIONS: readonly number[] = [1007, 1008, 1032, 1050, 1051, 1062];
const MAX_KEY = 120;

/**
 * The applier stopped over something that the replica itself has written: its own binlog has a transaction under its own
 * server id in the very table. Null: it has none, or it was not read yet; then `ApplierFailed` says all that is known.
 */
export function localConflict(context: Context, message: string): Decision | null {
  const { replica, evidence } = context;
  const { link, look, pod } = replica;
  const table = COLLISIONS.includes(link.sqlErrno) ? tableOf(link.sqlError) : null;
  if (table === null || !look.logBin) return null;
  const missing = missingRow(context, table);
  const key = keyOf(link.sqlError) ?? missing.key;
  const question: OwnWritesQuestion = {
    kind: 'OwnWrites',
    pod,
    incarnation: incarnationKey(replica.observed),
    serverId: look.identity.serverId,
    table,
    key: key?.value ?? null,
    // Asked again for another failure: by then it may have written more.
    failedAt: link.exec,
  };
  const answer = answerTo(evidence, question);
  const plan = protect(context);
  // The key first: what it wrote is looked for by that.
  if (missing.questions.length > 0 || !answer.known) {
    const questions = missing.questions.length > 0 ? missing.questions : [question];
    return decide(pod, 'ApplierFailed', 'ApplierFailed', message, { plan, questions });
  }
  if (answer.value === null) return null;
  const source = ofSource(context);
  const text = textOf(context, { table, key, own: answer.value, source: source.text });
  const gtids = [formatGtid(answer.value.gtid)];
  const transactions = { count: null, gtids };
  return decide(pod, 'LocalConflict', 'LocalConflict', text, { plan, transactions, questions: source.questions });
}

interface Conflict {
  readonly table: string;
  readonly key: Key | null;
  readonly own: OwnWrite;
  readonly source: string;
}

/** Of the row only its key is named: the status is read by people who may not read the table. */
function textOf({ replica: { link, pod } }: Context, { table, key, own, source }: Conflict): string {
  const row = key === null ? table : `${table} with ${key.name} = '${bounded(key.value)}'`;
  const error = key === null ? `: ${maskLiterals(link.sqlError).slice(0, MAX_KEY)}` : '';
  const what = own.wroteKey ? 'that key' : 'to that table';
  const at = new Date(own.timestamp).toISOString();
  return `the SQL thread stopped with ${link.sqlErrno} at ${row}${error}${source}. ${pod} itself wrote ${what}, last in ${formatGtid(own.gtid)} of ${at}: ${own.statement}. Nothing is skipped: remove or move the local row, then START SLAVE SQL_THREAD on it; keep services out of the source's databases`;
}

function bounded(text: string): string {
  return text.length <= MAX_KEY ? text : `${text.slice(0, MAX_KEY)}…`;
}

/** What it was about to apply: its relay log says which transaction that is, the server that it came from what that does. */
function ofSource(context: Context): { readonly text: string; readonly questions: readonly Question[] } {
  const { replica, evidence } = context;
  const next: RelayNextQuestion = {
    kind: 'RelayNext',
    pod: replica.pod,
    incarnation: incarnationKey(replica.observed),
    at: replica.link.exec,
  };
  const found = answerTo(evidence, next);
  if (!found.known) return { text: '', questions: [next] };
  if (found.value === null) return { text: '', questions: [] };
  const gtid = formatGtid(found.value);
  const member = memberOf(context, baselineMember(replica));
  if (member?.look.known !== true) return { text: `, applying ${gtid}`, questions: [] };
  const server = { member: member.name };
  const incarnation = incarnationKey(member);
  const question: TransactionQuestion = { kind: 'Transaction', server, incarnation, gtid, stated: true };
  const answer = answerTo(evidence, question);
  if (!answer.known) return { text: `, applying ${gtid} of ${member.name}`, questions: [question] };
  const statement = answer.value.found?.statement;
  const does = statement === undefined ? '' : `: ${statement}`;
  return { text: `, applying ${gtid} of ${member.name}${does}`, questions: [] };
}

interface Key {
  readonly name: string;
  /** Of several columns, with `-` between their values. */
  readonly value: string;
}

const ER_KEY_NOT_FOUND = 1032;

/**
 * A row that is missing is not named by the server: the event that wanted to change it is, and of that the server that it
 * came from knows the rows. Of several it is not said which one is missing, so none is named.
 */
function missingRow(
  context: Context,
  table: string,
): { readonly key: Key | null; readonly questions: readonly Question[] } {
  const nothing = { key: null, questions: [] };
  const { replica, evidence } = context;
  const end = /end_log_pos (\d+)/.exec(replica.link.sqlError)?.[1];
  const member = memberOf(context, baselineMember(replica));
  if (replica.link.sqlErrno !== ER_KEY_NOT_FOUND || end === undefined || member?.look.known !== true) return nothing;
  // Through the VIP it may have read from the other one.
  if (replica.link.sourceServerId !== member.look.value.identity.serverId) return nothing;
  const question: FailedRowsQuestion = {
    kind: 'FailedRows',
    member: member.name,
    incarnation: incarnationKey(member),
    table,
    from: replica.link.exec,
    end: Number(end),
  };
  const answer = answerTo(evidence, question);
  if (!wasAsked(answer)) return { key: null, questions: [question] };
  if (!answer.known || answer.value === null || answer.value.count > 1) return nothing;
  const [value] = answer.value.keys;
  return value === undefined ? nothing : { key: { name: 'PRIMARY', value }, questions: [] };
}

/** As a duplicate entry names it. */
function keyOf(error: string): Key | null {
  const [, value, name] = /Duplicate entry '(.*?)' for key '([^']*)'/s.exec(error) ?? [];
  return value === undefined || name === undefined ? null : { name, value };
}

/** `database.table` that the applier names: of a row event at once, of a statement as far as it can be read. */
function tableOf(error: string): string | null {
  const row = /event on table ([^;\s]+);/.exec(error)?.[1];
  if (row !== undefined) return row;
  const database = /Default database: '([^']*)'/.exec(error)?.[1] ?? '';
  const named =
    /Query: '.*?\b(?:INTO|UPDATE|FROM|TABLE(?: IF (?:NOT )?EXISTS)?)\s+`?([\w$]+)`?(?:\.`?([\w$]+)`?)?/is.exec(error);
  if (named?.[1] === undefined) return null;
  return named[2] === undefined ? `${database}.${named[1]}` : `${named[1]}.${named[2]}`;
}
