import { type Hash, createHash } from 'node:crypto';
import { maskLiterals } from '../../domain/mask.ts';
import {
  type FormatDescription,
  type RowsEvent,
  type TableMap,
  parseQuery,
  parseRows,
  parseTableMap,
} from './bodies.ts';
import { type BinlogEvent, EVENT } from './event.ts';
import { normaliseStatement, showStatement } from './statement.ts';

/**
 * What one transaction did, in a form that is equal on every server that has the same transaction: handover.md,
 * "Content proof". Left out because healthy servers differ in it: exec_time, xids, GTID flags and commit ids, checksums,
 * Annotate, table ids, table metadata, compression, how rows are cut into events.
 */
export interface Content {
  /**
   * Contents of different kinds cannot be compared. A content that cannot be told *different* from another with any
   * certainty (partial row images, LOAD DATA, unknown events) has its digest in its kind: equal or not comparable.
   */
  readonly kind: string;
  /** sha256, hex. */
  readonly digest: string;
  /** For people: the tables and statements, cut. */
  readonly summary: string;
  /** For people: its first statement, without the values that it writes; absent: the server did not log it. */
  readonly statement?: string;
  /** The tables whose rows changed, and a short hash of their column types: rows of other types are not comparable. */
  readonly tables: readonly { readonly name: string; readonly types: string }[];
}

const SUMMARY_PARTS = 4;
const ORDER_LENGTH = 16;
/** What the statement that follows depends on. */
const CONTEXT: ReadonlySet<number> = new Set([EVENT.Intvar, EVENT.Rand, EVENT.UserVar]);
const IGNORED: ReadonlySet<number> = new Set([EVENT.Xid, EVENT.AnnotateRows, EVENT.Heartbeat]);

/**
 * The end of all time, in the current rows of system-versioned tables: the largest TIMESTAMP(6), which is of 2038 until
 * MariaDB 11.4 and of 2106 since. A newer replica of an older source writes its own into its binlog.
 */
const LAST_MOMENT = Buffer.from('ffffffff0f423f', 'hex');
const LAST_MOMENT_2038 = Buffer.from('7fffffff0f423f', 'hex');

export class ContentBuilder {
  readonly #hash: Hash = createHash('sha256');
  readonly #tables = new Map<number, TableMap>();
  readonly #changed = new Map<string, string>();
  readonly #parts: string[] = [];
  #more = 0;
  #statement: string | null = null;
  #rows: { readonly key: string; readonly label: string; readonly hash: Hash; bytes: number } | null = null;
  /** `s` for statements, `r` for rows, in their order: servers may choose differently for each. */
  #order = '';
  readonly #stated: boolean;
  #createsTable = false;
  #context: { readonly type: number; readonly body: Buffer }[] = [];
  #uncertain: string | null = null;

  constructor({ stated }: { readonly stated: boolean }) {
    this.#stated = stated;
  }

  add(event: BinlogEvent, format: FormatDescription): void {
    if (event.type === EVENT.AnnotateRows) this.#state('', event.body.toString('utf8'));
    if (IGNORED.has(event.type)) return;
    if (event.type === EVENT.TableMap) return this.#addTable(parseTableMap(event.body));
    if (CONTEXT.has(event.type)) {
      this.#context.push({ type: event.type, body: Buffer.from(event.body) });
      return;
    }
    const rows = parseRows(event);
    if (rows !== undefined) return this.#addRows(rows);
    this.#endRows();
    switch (event.type) {
      case EVENT.Query:
      case EVENT.QueryCompressed:
        return this.#addStatement(event, format);
      case EVENT.XaPrepare:
        return this.#update('XA PREPARE', Buffer.alloc(0));
      default:
        this.#uncertain ??= `with events of type ${event.type}`;
        this.#update(`event ${event.type}`, event.body);
    }
  }

  finish(): Content {
    this.#endRows();
    const digest = this.#hash.digest('hex');
    const kind = this.#kind(digest);
    const more = this.#more > 0 ? [`and ${this.#more} more`] : [];
    const tables = [...this.#changed].map(([name, types]) => ({ name, types }));
    const said = this.#statement === null ? {} : { statement: this.#statement };
    return { kind, digest, summary: [...this.#parts, ...more].join('; ') || 'nothing', ...said, tables };
  }

  #kind(digest: string): string {
    // CREATE TABLE … SELECT: the server made the CREATE TABLE from the columns of the result.
    if (this.#createsTable && this.#order.includes('r')) this.#uncertain ??= 'that the server wrote';
    const base = this.#order === 'r' ? 'rows' : this.#order.includes('r') ? `mixed ${this.#order}` : 'statement';
    return this.#uncertain === null ? base : `${base} ${this.#uncertain} (${digest.slice(0, 12)})`;
  }

  #addTable(map: TableMap): void {
    // 10.5 writes INSERT_ID also before rows, where it means nothing and replicas do not repeat it.
    this.#context = [];
    this.#tables.set(map.tableId, map);
  }

  #addStatement(event: BinlogEvent, format: FormatDescription): void {
    const { database, sql } = parseQuery(event, format.fixedLength(EVENT.Query));
    for (const { type, body } of this.#context) this.#update(`context ${type}`, body);
    this.#context = [];
    const statement = normaliseStatement(database, sql);
    if (statement === null) return;
    this.#note('s');
    if (/^CREATE\b.*\bTABLE\b/i.test(statement.text)) this.#createsTable = true;
    if (statement.generated) this.#uncertain ??= 'that the server wrote';
    this.#update('database', Buffer.from(statement.database));
    this.#update('statement', Buffer.from(statement.text));
    this.#state(database, sql);
    this.#show(showStatement(database, sql));
  }

  #addRows(event: RowsEvent): void {
    const table = this.#tables.get(event.tableId);
    // The server ends a statement's rows with an event without rows or table.
    if (table === undefined && event.rows.length === 0) return;
    if (table === undefined) throw new RangeError(`rows of table ${event.tableId}, which was not described`);
    this.#note('r');
    if (!event.whole) this.#uncertain ??= 'of partial images';
    this.#changed.set(table.name, createHash('sha256').update(table.types).digest('hex').slice(0, 12));
    const label = `${event.change} ${table.name}`;
    const key = `${label} ${event.columns}`;
    if (this.#rows?.key !== key) {
      this.#endRows();
      this.#rows = { key, label, hash: createHash('sha256'), bytes: 0 };
    }
    this.#rows.hash.update(withOneLastMoment(event.rows));
    this.#rows.bytes += event.rows.length;
  }

  /** Only where it was asked for: most contents are compared, thousands at a time, and never shown. */
  #state(database: string, sql: string): void {
    if (this.#stated) this.#statement ??= showStatement(database, maskLiterals(sql));
  }

  /** Rows of one table and kind count as one block, however they were cut into events. */
  #endRows(): void {
    if (this.#rows === null) return;
    const { key, label, hash, bytes } = this.#rows;
    this.#rows = null;
    const digest = hash.digest();
    this.#update(key, digest);
    this.#show(`${label} (${bytes} bytes, ${digest.toString('hex', 0, 4)})`);
  }

  #update(tag: string, bytes: Buffer): void {
    this.#hash.update(`${tag}\0${bytes.length}\0`).update(bytes);
  }

  #note(letter: 's' | 'r'): void {
    if (this.#order.length < ORDER_LENGTH && !this.#order.endsWith(letter)) this.#order += letter;
  }

  #show(part: string): void {
    if (this.#parts.length < SUMMARY_PARTS) this.#parts.push(part);
    else this.#more += 1;
  }
}

/** Searched as bytes, without knowing columns: both servers' images are changed alike, so what is equal stays equal. */
function withOneLastMoment(rows: Buffer): Buffer {
  let at = rows.indexOf(LAST_MOMENT_2038);
  if (at < 0) return rows;
  const changed = Buffer.from(rows);
  for (; at >= 0; at = rows.indexOf(LAST_MOMENT_2038, at + LAST_MOMENT.length)) LAST_MOMENT.copy(changed, at);
  return changed;
}
