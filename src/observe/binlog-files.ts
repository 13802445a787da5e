import type { Coordinates } from '../domain/observation.ts';
import type { SqlSession, StatementOptions } from '../sql/port.ts';
import { BinlogFileRow, parseRows } from './rows.ts';

/** The beginning of the oldest binlog file from which on no more than this is to be read; null: it has no file. */
export async function newestFiles(
  session: SqlSession,
  maxBytes: number,
  limits: Pick<StatementOptions, 'deadlineMs' | 'signal'>,
): Promise<Coordinates | null> {
  const operation = 'list its binlog files';
  const rows = await session.query('SHOW BINARY LOGS', [], { ...limits, operation });
  let from: Coordinates | null = null;
  let bytes = 0;
  for (const { name, size } of parseRows(BinlogFileRow, rows, operation, session.target.name).toReversed()) {
    bytes += size;
    if (bytes > maxBytes && from !== null) break;
    from = { file: name, position: 4 };
  }
  return from;
}
