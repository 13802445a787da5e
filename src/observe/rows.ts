import { z } from 'zod';
import { parsePosition, parseState } from '../domain/gtid.ts';
import type { Link } from '../domain/observation.ts';
import { MxrError } from '../errors.ts';
import type { Row } from '../sql/port.ts';

/** What servers answer, as rows of text. Every one is hostile: nothing leaves this file unparsed. */

const text = z
  .string()
  .nullable()
  .transform((cell) => cell ?? '');
const integer = z
  .string()
  .regex(/^\d{1,16}$/)
  .transform(Number)
  .refine(Number.isSafeInteger);
/** MariaDB prints a flag as 1 or ON, by version and variable; read_only has more values than ON since 12.0. */
const flag = z
  .string()
  .transform((cell) => cell !== '0' && cell.toUpperCase() !== 'OFF' && cell.toUpperCase() !== 'NO');
const position = parsed(parsePosition, 'a GTID position');
const state = parsed(parseState, 'a GTID state');

function parsed<T>(parse: (cell: string) => T | undefined, what: string) {
  return z.string().transform((cell, context) => {
    const value = parse(cell);
    if (value !== undefined) return value;
    context.addIssue({ code: 'custom', message: `is not ${what}` });
    return z.NEVER;
  });
}

export const IdentityRow = z.object({
  connection_id: integer,
  hostname: text,
  server_id: integer,
  // Without a network interface at its start the server has none, and says so.
  server_uid: text.transform((uid) => (uid === 'unknown' ? '' : uid)).optional(),
  port: integer,
  datadir: text,
  started_at: integer,
  read_only: flag,
});
export type IdentityRow = z.infer<typeof IdentityRow>;

export const ServerRow = z.object({
  ...IdentityRow.shape,
  version: z.string(),
  log_bin: flag,
  log_slave_updates: flag,
  log_bin_basename: text,
  gtid_domain_id: integer,
  gtid_binlog_pos: position,
  gtid_binlog_state: state.optional(),
  gtid_slave_pos: position,
  sync_binlog: integer,
  slave_net_timeout: integer,
  slave_parallel_threads: integer,
  /** In every version; from 10.6 on with fractions. */
  expire_logs_days: z.coerce.number().min(0).optional(),
  gtid_strict_mode: flag,
  binlog_format: text,
  binlog_row_image: text,
  slave_skip_errors: text,
});
export type ServerRow = z.infer<typeof ServerRow>;

/** What the executor reads of a replica between its statements. */
export const ReplicaNowRow = ServerRow.pick({ read_only: true, gtid_slave_pos: true }).extend({
  slave_parallel_threads: integer.optional(),
  slave_net_timeout: integer.optional(),
});

export const OriginRow = z.object({ origin: text });

export const MasterStatusRow = z.object({
  File: z.string().min(1),
  Position: integer,
  Binlog_Do_DB: text,
  Binlog_Ignore_DB: text,
});
export type MasterStatusRow = z.infer<typeof MasterStatusRow>;

export const BinlogFileRow = z
  .object({ Log_name: z.string().min(1), File_size: integer })
  .transform((row) => ({ name: row.Log_name, size: row.File_size }));

export const DumpRow = z.object({ Id: integer, User: text, Host: text, Time: integer.nullish() }).transform((row) => ({
  connectionId: row.Id,
  user: row.User,
  ageSeconds: row.Time ?? null,
  // `address:port`; an IPv6 address has colons of its own.
  address: row.Host.replace(/:\d+$/, ''),
}));

const filter = text.optional();

const SlaveRow = z.object({
  Connection_name: text,
  Master_Host: text,
  Master_Port: integer,
  Master_User: text,
  Slave_IO_Running: z.enum(['Yes', 'No', 'Connecting', 'Preparing']),
  Slave_SQL_Running: z.enum(['Yes', 'No']),
  Slave_IO_State: text,
  Slave_SQL_Running_State: text,
  Master_Server_Id: integer,
  Master_Log_File: text,
  Read_Master_Log_Pos: integer,
  Relay_Master_Log_File: text,
  Exec_Master_Log_Pos: integer,
  Using_Gtid: z.enum(['No', 'Slave_Pos', 'Current_Pos']),
  Gtid_IO_Pos: position,
  Last_IO_Errno: integer,
  Last_IO_Error: text,
  Last_SQL_Errno: integer,
  Last_SQL_Error: text,
  Seconds_Behind_Master: integer.nullable(),
  SQL_Delay: integer,
  Master_SSL_Allowed: z.string(),
  Connect_Retry: integer,
  Until_Condition: z.string().default('None'),
  Replicate_Do_DB: filter,
  Replicate_Ignore_DB: filter,
  Replicate_Do_Table: filter,
  Replicate_Ignore_Table: filter,
  Replicate_Wild_Do_Table: filter,
  Replicate_Wild_Ignore_Table: filter,
  Replicate_Rewrite_DB: filter,
  Replicate_Do_Domain_Ids: filter,
  Replicate_Ignore_Domain_Ids: filter,
});

export const LinkRow = SlaveRow.transform((row): Link => ({
  channel: row.Connection_name,
  host: row.Master_Host,
  port: row.Master_Port,
  user: row.Master_User,
  io: row.Slave_IO_Running,
  sql: row.Slave_SQL_Running,
  ioState: row.Slave_IO_State,
  sqlState: row.Slave_SQL_Running_State,
  sourceServerId: row.Master_Server_Id,
  read: { file: row.Master_Log_File, position: row.Read_Master_Log_Pos },
  exec: { file: row.Relay_Master_Log_File, position: row.Exec_Master_Log_Pos },
  usingGtid: row.Using_Gtid,
  gtidIoPos: row.Gtid_IO_Pos,
  ioErrno: row.Last_IO_Errno,
  ioError: row.Last_IO_Error,
  sqlErrno: row.Last_SQL_Errno,
  sqlError: row.Last_SQL_Error,
  secondsBehind: row.Seconds_Behind_Master,
  delay: row.SQL_Delay,
  ssl: row.Master_SSL_Allowed === 'Yes',
  connectRetry: row.Connect_Retry,
  ...(row.Until_Condition === 'None' ? {} : { until: row.Until_Condition }),
  filters: filtersOf(row),
}));

function filtersOf(row: Readonly<Record<string, unknown>>): Record<string, string> {
  const set = Object.entries(row).filter(([name, value]) => name.startsWith('Replicate_') && value !== '');
  return Object.fromEntries(set.filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

/** Parses rows or throws `InputInvalid` that names the column, never the value: it may be anything. */
export function parseRows<T>(schema: z.ZodType<T>, rows: readonly Row[], operation: string, target: string): T[] {
  return rows.map((row) => {
    const result = schema.safeParse(row);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    const column = issue?.path.join('.') ?? '';
    const detail = `the server answered something unexpected in column ${column}: ${issue?.message ?? 'malformed'}`;
    throw new MxrError({ operation, target, code: 'InputInvalid', detail, retryable: true });
  });
}

export function onlyOne<T>(values: readonly T[], operation: string, target: string): T {
  const [value, another] = values;
  if (value !== undefined && another === undefined) return value;
  const detail = `the server answered ${values.length} rows instead of one`;
  throw new MxrError({ operation, target, code: 'InputInvalid', detail, retryable: true });
}
