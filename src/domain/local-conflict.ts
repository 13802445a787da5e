import type { Context } from './context.ts';
import { answerTo } from './evidence.ts';
import type { OwnWritesQuestion } from './evidence.ts';
import { formatGtid } from './gtid.ts';
import { incarnationKey } from './proof.ts';
import { protect } from './protect.ts';
import type { Decision } from './verdict.ts';
import { decide } from './verdict.ts';

/** Errors of an applier that meets something which is there already, or is not there any more: duplicate key or object, no row. */
const COLLISIONS: readonly number[] = [1007, 1008, 1032, 1050, 1051, 1062];

/**
 * The applier stopped over something that the replica itself has written: its own binlog has a transaction under its own
 * server id in the very table. Null: it has none, or it was not read yet; then `ApplierFailed` says all that is known.
 */
export function localConflict(context: Context, message: string): Decision | null {
  const { replica, evidence } = context;
  const { link, look, pod } = replica;
  const table = COLLISIONS.includes(link.sqlErrno) ? tableOf(link.sqlError) : null;
  if (table === null || !look.logBin) return null;
  const question: OwnWritesQuestion = {
    kind: 'OwnWrites',
    pod,
    incarnation: incarnationKey(replica.observed),
    serverId: look.identity.serverId,
    table,
    // Asked again for another failure: by then it may have written more.
    failedAt: link.exec,
  };
  const answer = answerTo(evidence, question);
  const plan = protect(context);
  if (!answer.known) {
    return decide(pod, 'ApplierFailed', 'ApplierFailed', message, { plan, questions: [question] });
  }
  if (answer.value === null) return null;
  const { gtid, timestamp, summary } = answer.value;
  const gtids = [formatGtid(gtid)];
  const text = `${message}. ${pod} itself wrote to ${table}, last in ${gtids.join()} of ${new Date(timestamp).toISOString()}: ${summary}. Remove or move the local row, then START SLAVE SQL_THREAD on it; keep services out of the source's databases`;
  return decide(pod, 'LocalConflict', 'LocalConflict', text, { plan, transactions: { count: null, gtids } });
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
