import type { OwnWrite, OwnWritesQuestion } from '../../domain/evidence.ts';
import type { Coordinates } from '../../domain/observation.ts';
import type { SqlTarget } from '../port.ts';
import { type DumpLimits, readDump } from './dump.ts';
import { refusedError } from './refused.ts';
import type { Content } from './content.ts';
import { TransactionReader } from './transactions.ts';

/** The last transaction of one server id that wrote to one table; null: none from that place on, as far as could be read. */
export async function lastOwnWrite(
  target: SqlTarget,
  { serverId, table, from }: Pick<OwnWritesQuestion, 'serverId' | 'table'> & { readonly from: Coordinates },
  limits: DumpLimits,
): Promise<OwnWrite | null> {
  const reader = new TransactionReader();
  let last: OwnWrite | null = null;
  const done = await readDump(target, from, limits, (event) => {
    const transaction = reader.take(event);
    if (transaction?.gtid.serverId === serverId && writesTo(transaction.content, table)) {
      last = { gtid: transaction.gtid, timestamp: transaction.timestamp, summary: transaction.content.summary };
    }
    return true;
  });
  if (done.end === 'refused') throw refusedError(target, 'read its own writes', done);
  return last;
}

/** Rows name their table; a statement shows it, with the database it runs in before it. */
function writesTo({ tables, summary }: Content, table: string): boolean {
  if (tables.some(({ name }) => name === table)) return true;
  const [database = '', name = ''] = table.split('.');
  return hasWord(summary, database) && hasWord(summary, name);
}

function hasWord(text: string, word: string): boolean {
  return text.split(/[^\w$]+/).includes(word);
}
