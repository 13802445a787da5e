import type { OwnWrite, OwnWritesQuestion } from '../../domain/evidence.ts';
import { literalsOf } from '../../domain/mask.ts';
import type { Coordinates } from '../../domain/observation.ts';
import type { SqlTarget } from '../port.ts';
import type { FormatDescription, TableMap } from './bodies.ts';
import { parseFormat, parseQuery, parseRows, parseTableMap } from './bodies.ts';
import type { Content } from './content.ts';
import { type DumpLimits, readDump } from './dump.ts';
import type { BinlogEvent } from './event.ts';
import { EVENT } from './event.ts';
import { refusedError } from './refused.ts';
import type { Column } from './row-values.ts';
import { columnsOf, rowValues } from './row-values.ts';
import { TransactionReader } from './transactions.ts';

type Wanted = Pick<OwnWritesQuestion, 'serverId' | 'table' | 'key'> & { readonly from: Coordinates };

/**
 * The last transaction of one server id that wrote the key, or, where none is seen to have, the last one that wrote to the
 * table; null: none from that place on, as far as could be read.
 */
export async function lastOwnWrite(target: SqlTarget, wanted: Wanted, limits: DumpLimits): Promise<OwnWrite | null> {
  const { serverId, table, key, from } = wanted;
  const reader = new TransactionReader({ stated: true });
  const search = new KeySearch(table, key);
  let last: OwnWrite | null = null;
  const done = await readDump(target, from, { ...limits, annotated: true }, (event) => {
    search.take(event, event.serverId === serverId);
    const transaction = reader.take(event);
    if (transaction?.gtid.serverId !== serverId || !writesTo(transaction.content, table)) return true;
    if (last?.wroteKey === true && !search.found) return true;
    const { gtid, timestamp, content } = transaction;
    last = { gtid, timestamp, wroteKey: search.found, statement: content.statement ?? 'rows' };
    return true;
  });
  if (done.end === 'refused') throw refusedError(target, 'read its own writes', done);
  return last;
}

/** Whether the transaction that is read now has a row, or a statement, with the value of the key. */
class KeySearch {
  readonly #table: string;
  readonly #key: Key | null;
  #format: FormatDescription | null = null;
  #columns = new Map<number, readonly Column[]>();
  found = false;

  constructor(table: string, key: string | null) {
    this.#table = table;
    this.#key = key === null ? null : new Key(key);
  }

  take(event: BinlogEvent, own: boolean): void {
    if (event.type === EVENT.FormatDescription) this.#format = parseFormat(event.body);
    else if (event.type === EVENT.Gtid) {
      this.found = false;
      this.#columns = new Map();
    } else if (own && this.#key !== null && !this.found) this.found = this.#has(event, this.#key);
  }

  #has(event: BinlogEvent, key: Key): boolean {
    if (event.type === EVENT.TableMap) {
      this.#remember(parseTableMap(event.body));
      return false;
    }
    if (event.type === EVENT.Query || event.type === EVENT.QueryCompressed) {
      const { sql } = parseQuery(event, this.#format?.fixedLength(EVENT.Query) ?? 0);
      return key.isIn(literalsOf(sql.slice(0, MAX_STATEMENT)));
    }
    const rows = parseRows(event);
    const columns = rows === undefined ? undefined : this.#columns.get(rows.tableId);
    if (rows === undefined || columns === undefined) return false;
    for (const row of rowValues(rows, columns)) if (key.isIn(row)) return true;
    return false;
  }

  #remember({ tableId, name, columns }: TableMap): void {
    const known = name === this.#table ? columnsOf(columns.types, columns.metadata) : undefined;
    if (known !== undefined) this.#columns.set(tableId, known);
  }
}

/** Characters of a statement in which the key is looked for: beyond, the last own write to the table is told. */
const MAX_STATEMENT = 1024 * 1024;

/** Somebody may have chosen a key of nothing but `-`: it is asked of every row. */
const MAX_DASHES = 64;

/** As the server prints it: of several columns with `-` between the values, which may begin with one or have them inside. */
class Key {
  readonly #text: string;
  readonly #ends: readonly number[];

  constructor(text: string) {
    this.#text = text;
    const dashes = [...text.matchAll(/-/g)].map(({ index }) => index);
    this.#ends = [...(dashes.length > MAX_DASHES ? [] : dashes), text.length];
  }

  /** Whether it can be put together from these values. */
  isIn(values: ReadonlySet<string>): boolean {
    const starts = [0];
    for (const end of this.#ends) {
      if (!starts.some((start) => values.has(this.#text.slice(start, end)))) continue;
      if (end === this.#text.length) return true;
      starts.push(end + 1);
    }
    return false;
  }
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
