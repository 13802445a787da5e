import type { Clock } from '../clock.ts';
import { isMxrError } from '../errors.ts';
import type { Row, SqlSession } from '../sql/port.ts';
import { onlyOne, parseRows } from './rows.ts';

/** What holds as long as a session lives, learnt at its first look. */
export interface SessionFacts {
  /** Variables that this version or account does not have. */
  readonly unreadable: Set<string>;
  /** Whether the account sees the sessions of others; null: not asked yet. */
  seesOthers: boolean | null;
  /** Of `slave_net_timeout`: its value, and whether it was set at run time; null: not asked yet. */
  netTimeout: { readonly value: number; readonly set: boolean } | null;
  /** Wall clock ms; a session never outlives its server's process. Null: not asked yet. */
  startedAt: number | null;
  /** The last answers as they came, and parsed: most looks find what the one before has found. */
  readonly parsed: Map<string, { readonly rows: readonly Row[]; readonly values: unknown }>;
}

export function newSessionFacts(): SessionFacts {
  return { unreadable: new Set(), seesOthers: null, netTimeout: null, startedAt: null, parsed: new Map() };
}

/**
 * `UNIX_TIMESTAMP() - Uptime` is exact to the second and does not move with the server's clock: the server computes its
 * uptime from the same clock and the second in which it started.
 */
const STARTED_AT = `1000 * (UNIX_TIMESTAMP() - (SELECT CAST(VARIABLE_VALUE AS UNSIGNED) FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME')) AS started_at`;
/** Absent in some versions, or not readable with the grants that mxr asks for: then absent in the look too. */
const OPTIONAL = ['server_uid', 'gtid_binlog_state'];
export const READ_VARIABLES = 'read its variables';
const ER_UNKNOWN_VARIABLE = 1193;

export type Ask = ReturnType<typeof asker>;

export interface AskOptions {
  readonly clock: Clock;
  /** Of the whole look, in ms. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

type Schema<T> = Parameters<typeof parseRows<T>>[0];

/** All statements of one look under one deadline. */
export function asker(session: SqlSession, options: AskOptions, parsed: SessionFacts['parsed'] = new Map()) {
  const end = options.clock.monotonicMs() + options.deadlineMs;
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  let ended: unknown;
  return { leftMs, query, rows, parse, one };

  function leftMs(): number {
    return Math.max(1, end - options.clock.monotonicMs());
  }
  async function query(
    sql: string,
    operation: string,
    params: readonly (string | null)[] = [],
  ): Promise<readonly Row[]> {
    try {
      return await session.query(sql, params, { deadlineMs: leftMs(), operation, ...signal });
    } catch (error) {
      if (session.alive) throw error;
      // What was asked together fails together: the first one says why.
      ended ??= error;
      throw ended;
    }
  }
  async function rows<T>(schema: Schema<T>, sql: string, operation: string): Promise<readonly T[]> {
    return parse(schema, await query(sql, operation), operation);
  }
  function parse<T>(schema: Schema<T>, answer: readonly Row[], operation: string): readonly T[] {
    const before = parsed.get(operation);
    if (before !== undefined && sameRows(before.rows, answer)) return before.values as readonly T[];
    const values = parseRows(schema, answer, operation, session.target.name);
    parsed.set(operation, { rows: answer, values });
    return values;
  }
  function one<T>(schema: Schema<T>, answer: readonly Row[], operation: string): T {
    return onlyOne(parse(schema, answer, operation), operation, session.target.name);
  }
}

function sameRows(before: readonly Row[], now: readonly Row[]): boolean {
  if (before.length !== now.length) return false;
  return now.every((row, index) => {
    const names = Object.keys(row);
    const other = before[index] ?? {};
    return names.length === Object.keys(other).length && names.every((name) => row[name] === other[name]);
  });
}

interface Extra {
  readonly columns: readonly string[];
  readonly params: readonly (string | null)[];
}

/** Selects variables; one that this version or account does not have is left out, and not asked again. */
export async function selectVariables(
  ask: Ask,
  facts: SessionFacts,
  variables: readonly string[],
  extra: Extra = { columns: [], params: [] },
): Promise<readonly Row[]> {
  for (;;) {
    const readable = variables.filter((name) => !facts.unreadable.has(name));
    const columns = readable.map((name) => `@@global.${name} AS ${name}`);
    const startedAt = facts.startedAt === null ? STARTED_AT : `${facts.startedAt} AS started_at`;
    const sql = `SELECT ${['CONNECTION_ID() AS connection_id', startedAt, ...extra.columns, ...columns].join(', ')}`;
    try {
      return await ask.query(sql, READ_VARIABLES, extra.params);
    } catch (error) {
      const refused = refusedVariable(error, readable);
      if (refused === undefined) throw error;
      facts.unreadable.add(refused);
    }
  }
}

function refusedVariable(error: unknown, readable: readonly string[]): string | undefined {
  if (!isMxrError(error)) return undefined;
  if (error.errno === ER_UNKNOWN_VARIABLE) {
    return OPTIONAL.find((name) => readable.includes(name) && error.detail.includes(name));
  }
  if (error.code === 'GrantMissing' && readable.includes('gtid_binlog_state')) return 'gtid_binlog_state';
  return undefined;
}
