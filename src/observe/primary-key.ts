import { z } from 'zod';
import type { KeyColumn } from '../sql/binlog/failed-rows.ts';
import type { SqlSession, StatementOptions } from '../sql/port.ts';
import { parseRows } from './rows.ts';

const Part = z.object({ pos: z.coerce.number().int().min(0), type: z.coerce.number().int() });
/** DATA_UNSIGNED of InnoDB. */
const UNSIGNED = 512;
const OPERATION = 'read the columns of a primary key';
const PRIMARY_KEY = `SELECT c.POS AS pos, c.PRTYPE AS type
  FROM information_schema.INNODB_SYS_TABLES t
  JOIN information_schema.INNODB_SYS_INDEXES i ON i.TABLE_ID = t.TABLE_ID AND i.NAME = 'PRIMARY'
  JOIN information_schema.INNODB_SYS_FIELDS f ON f.INDEX_ID = i.INDEX_ID
  JOIN information_schema.INNODB_SYS_COLUMNS c ON c.TABLE_ID = t.TABLE_ID AND c.NAME = f.NAME
  WHERE t.NAME = ? AND NOT EXISTS (SELECT 1 FROM information_schema.INNODB_SYS_VIRTUAL v WHERE v.TABLE_ID = t.TABLE_ID)
  ORDER BY f.POS`;

/**
 * From the engine, which asks for PROCESS: information_schema.STATISTICS shows only tables that the account may read.
 * Empty: no such table, it has no primary key, or virtual columns, which the engine does not count and the binlog does.
 */
export async function primaryKey(
  session: SqlSession,
  table: string,
  limits: Pick<StatementOptions, 'deadlineMs' | 'signal'>,
): Promise<readonly KeyColumn[]> {
  const rows = await session.query(PRIMARY_KEY, [table.replace('.', '/')], { ...limits, operation: OPERATION });
  const parts = parseRows(Part, rows, OPERATION, session.target.name);
  return parts.map(({ pos, type }) => ({ index: pos, unsigned: (type & UNSIGNED) !== 0 }));
}
