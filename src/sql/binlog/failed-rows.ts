import type { FailedRows } from '../../domain/evidence.ts';
import type { Coordinates } from '../../domain/observation.ts';
import type { SqlTarget } from '../port.ts';
import { parseRows, parseTableMap } from './bodies.ts';
import { type DumpLimits, readDump } from './dump.ts';
import type { BinlogEvent } from './event.ts';
import { EVENT } from './event.ts';
import { refusedError } from './refused.ts';
import type { Column } from './row-values.ts';
import { columnsOf, rowsOf } from './row-values.ts';

/** A column of the primary key, as the engine knows it: the binlog has neither names nor signs. */
export interface KeyColumn {
  /** From 0. */
  readonly index: number;
  readonly unsigned: boolean;
}

interface Wanted {
  /** The beginning of the transaction. */
  readonly from: Coordinates;
  /** Where the event ends over which the applier stopped. */
  readonly end: number;
  /** `database.table` */
  readonly table: string;
  readonly key: readonly KeyColumn[];
}

const MAX_KEYS = 4;

/**
 * The keys of the rows that one event of a server's binlog changes. Null: there is no such event, or a key has a type whose
 * values are not read here.
 */
export async function failedRows(target: SqlTarget, wanted: Wanted, limits: DumpLimits): Promise<FailedRows | null> {
  const tables = new Map<number, readonly Column[]>();
  let found: FailedRows | null = null;
  const done = await readDump(target, wanted.from, limits, (event) => {
    if (event.fake || event.type === EVENT.FormatDescription) return true;
    if (event.type === EVENT.TableMap) remember(tables, event, wanted.table);
    if (event.endLogPos < wanted.end) return true;
    if (event.endLogPos === wanted.end) found = keysOf(tables, event, wanted.key);
    return false;
  });
  if (done.end === 'refused') throw refusedError(target, 'read the rows of one event', done);
  return found;
}

function remember(tables: Map<number, readonly Column[]>, { body }: BinlogEvent, table: string): void {
  const { tableId, name, columns } = parseTableMap(body);
  const known = name === table ? columnsOf(columns.types, columns.metadata) : undefined;
  if (known !== undefined) tables.set(tableId, known);
}

function keysOf(
  tables: ReadonlyMap<number, readonly Column[]>,
  event: BinlogEvent,
  key: readonly KeyColumn[],
): FailedRows | null {
  const rows = parseRows(event);
  const columns = rows === undefined ? undefined : tables.get(rows.tableId);
  if (rows === undefined || columns === undefined) return null;
  const keys: string[] = [];
  let count = 0;
  let index = 0;
  for (const values of rowsOf(rows, columns)) {
    index += 1;
    // Of an update every other image is the row as it becomes.
    if (rows.change === 'update' && index % 2 === 0) continue;
    count += 1;
    if (keys.length >= MAX_KEYS) continue;
    // Signed and unsigned are read alike: one value where that makes no difference, else first the unsigned one.
    const parts = key.map((part) => values[part.index]?.at(part.unsigned ? 0 : -1));
    if (parts.some((part) => part === undefined)) return null;
    keys.push(parts.join('-'));
  }
  return count === 0 ? null : { count, keys };
}
