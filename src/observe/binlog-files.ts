import type { BinlogFile, Coordinates } from '../domain/observation.ts';
import type { SqlSession, StatementOptions } from '../sql/port.ts';
import { BinlogFileRow, parseRows } from './rows.ts';

type Limits = Pick<StatementOptions, 'deadlineMs' | 'signal'>;

/** The beginning of the oldest binlog file from which on no more than this is to be read; null: it has no file. */
export async function newestFiles(session: SqlSession, maxBytes: number, limits: Limits): Promise<Coordinates | null> {
  let from: Coordinates | null = null;
  let bytes = 0;
  for (const { name, size } of (await list(session, limits)).toReversed()) {
    bytes += size;
    if (bytes > maxBytes && from !== null) break;
    from = { file: name, position: 4 };
  }
  return from;
}

/** Its beginning; null: it has no file. */
export async function oldestFile(session: SqlSession, limits: Limits): Promise<Coordinates | null> {
  const [oldest] = await list(session, limits);
  return oldest === undefined ? null : { file: oldest.name, position: 4 };
}

async function list(session: SqlSession, limits: Limits): Promise<readonly BinlogFile[]> {
  const operation = 'list its binlog files';
  const rows = await session.query('SHOW BINARY LOGS', [], { ...limits, operation });
  return parseRows(BinlogFileRow, rows, operation, session.target.name);
}
