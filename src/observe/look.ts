import type { Clock } from '../clock.ts';
import type { BinlogFile, DumpThread, Identity, ServerLook, VipLook } from '../domain/observation.ts';
import { isMxrError } from '../errors.ts';
import type { Row, SqlSession } from '../sql/port.ts';
import { sameIdentity } from './incarnation.ts';
import type { IdentityRow, MasterStatusRow } from './rows.ts';
import {
  BinlogFileRow,
  DumpRow,
  IdentityRow as IdentitySchema,
  LinkRow,
  MasterStatusRow as MasterStatusSchema,
  parseOneRow,
  parseRows,
  ReplicaNowRow,
  ServerRow,
} from './rows.ts';

export interface LookOptions {
  readonly clock: Clock;
  /** Of the whole look, in ms. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  /** Ask for the list of binlog files too: the server opens each one, so not on every look at a source. */
  readonly files: boolean;
  /** What to report while `files` is false. */
  readonly previousFiles: readonly BinlogFile[];
}

/** How old the list of binlog files may become in calm. */
export const FILES_EVERY_MS = 10_000;

/** What holds as long as a session lives, learnt at its first look. */
export interface SessionFacts {
  /** Variables that this version or account does not have. */
  readonly unreadable: Set<string>;
  /** Whether the account sees the sessions of others; null: not asked yet. */
  seesOthers: boolean | null;
  /** Wall clock ms; a session never outlives its server's process. Null: not asked yet. */
  startedAt: number | null;
}

export function newSessionFacts(): SessionFacts {
  return { unreadable: new Set(), seesOthers: null, startedAt: null };
}

/**
 * `UNIX_TIMESTAMP() - Uptime` is exact to the second and does not move with the server's clock: the server computes its
 * uptime from the same clock and the second in which it started.
 */
const STARTED_AT = `1000 * (UNIX_TIMESTAMP() - (SELECT CAST(VARIABLE_VALUE AS UNSIGNED) FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME')) AS started_at`;
const IDENTITY = ['hostname', 'server_id', 'server_uid', 'port', 'datadir', 'read_only'];
const VARIABLES = [
  ...IDENTITY,
  'version',
  'log_bin',
  'log_slave_updates',
  'log_bin_basename',
  'gtid_domain_id',
  'gtid_binlog_pos',
  'gtid_binlog_state',
  'gtid_slave_pos',
  'sync_binlog',
  'slave_net_timeout',
  'gtid_strict_mode',
  'binlog_format',
  'binlog_row_image',
  'slave_skip_errors',
];
/** Absent in some versions, or not readable with the grants that mxr asks for: then absent in the look too. */
const OPTIONAL = ['server_uid', 'gtid_binlog_state'];
const READ_NOW = 'SELECT @@read_only AS read_only, @@gtid_slave_pos AS gtid_slave_pos';
const READ_VARIABLES = 'read its variables';
const LIST_REPLICAS = 'list its replicas';

const ER_UNKNOWN_VARIABLE = 1193;
const ER_NO_BINARY_LOGGING = 1381;

/** The part of a replica that changes while it is moved, in two round trips: applied before received, as in a full look. */
export async function lookAtReplica(
  session: SqlSession,
  options: Pick<LookOptions, 'clock' | 'deadlineMs' | 'signal'>,
): Promise<Pick<ServerLook, 'gtidSlavePos' | 'readOnly' | 'links'>> {
  const ask = asker(session, options);
  const now = parseOneRow(
    ReplicaNowRow,
    await ask.query(READ_NOW, READ_VARIABLES),
    READ_VARIABLES,
    session.target.name,
  );
  const links = await ask.rows(LinkRow, 'SHOW ALL SLAVES STATUS', 'read its replication status');
  return { gtidSlavePos: now.gtid_slave_pos, readOnly: now.read_only, links };
}

/**
 * One look at one server. Order matters, because the parts are read one after the other on a server that lives: what
 * must be the larger for a proof is read last. `end` comes before `gtidSlavePos` and the links, so that no own
 * transaction written in between is left out behind `end`; applied comes before received, so that equality means drained.
 */
export async function lookAtServer(
  session: SqlSession,
  options: LookOptions,
  facts: SessionFacts = newSessionFacts(),
): Promise<ServerLook> {
  const ask = asker(session, options);
  const master = await readMasterStatus(ask);
  const rows = await selectVariables(ask, facts, VARIABLES);
  const server = parseOneRow(ServerRow, rows, READ_VARIABLES, session.target.name);
  facts.startedAt = server.started_at;
  const links = await ask.rows(LinkRow, 'SHOW ALL SLAVES STATUS', 'read its replication status');
  const dumps = (await seesOthers(ask, facts)) ? await readDumps(ask) : null;
  const files = !server.log_bin ? [] : options.files ? await readFiles(ask) : options.previousFiles;
  return {
    identity: identityOf(server),
    connectionId: server.connection_id,
    version: server.version,
    readOnly: server.read_only,
    logBin: server.log_bin,
    logSlaveUpdates: server.log_slave_updates,
    logBinBasename: server.log_bin_basename,
    gtidDomainId: server.gtid_domain_id,
    gtidBinlogPos: server.gtid_binlog_pos,
    gtidBinlogState: server.gtid_binlog_state ?? null,
    gtidSlavePos: server.gtid_slave_pos,
    end: master === null ? null : { file: master.File, position: master.Position },
    files,
    links,
    dumps,
    settings: {
      syncBinlog: server.sync_binlog,
      slaveNetTimeout: server.slave_net_timeout,
      gtidStrictMode: server.gtid_strict_mode,
      binlogFormat: server.binlog_format,
      binlogRowImage: server.binlog_row_image,
      slaveSkipErrors: server.slave_skip_errors,
      // Not a variable in any version so far: only the command line and the option files know it.
      skipSlaveStart: null,
      binlogDoDb: master?.Binlog_Do_DB ?? '',
      binlogIgnoreDb: master?.Binlog_Ignore_DB ?? '',
    },
  };
}

export interface VipLookOptions {
  readonly clock: Clock;
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  /** Nonce lock per member name. */
  readonly locks: Readonly<Record<string, string>>;
  /** Not null: also look fully, where no direct session ends on the server that answers. */
  readonly full: {
    readonly files: boolean;
    /** Its files are reported while `files` is false, if the same server answers. */
    readonly previous: ServerLook | null;
  } | null;
}

/** Who answers on this session, and which of the members' direct sessions ends on the same server. */
export async function lookAtVip(
  session: SqlSession,
  options: VipLookOptions,
  facts: SessionFacts = newSessionFacts(),
): Promise<VipLook> {
  const ask = asker(session, options);
  const names = Object.keys(options.locks);
  const rows = await selectVariables(ask, facts, IDENTITY, {
    columns: names.map((_, index) => `IS_USED_LOCK(?) AS lock_${index}`),
    params: names.map((name) => options.locks[name] ?? null),
  });
  const identity = parseOneRow(IdentitySchema, rows, READ_VARIABLES, session.target.name);
  const owners = names.map((name, index) => [name, lockOwner(rows[0]?.[`lock_${index}`])] as const);
  // Where a direct session ends on this server too, its own looks say it all.
  const alone = owners.every(([, owner]) => owner === null);
  const look = options.full !== null && alone ? await lookFully(options.full) : null;
  return {
    identity: identityOf(identity),
    readOnly: identity.read_only,
    lockOwners: Object.fromEntries(owners),
    look,
  };

  function lookFully(full: NonNullable<VipLookOptions['full']>): Promise<ServerLook> {
    const same = full.previous !== null && sameIdentity(full.previous.identity, identityOf(identity));
    const previousFiles = same ? full.previous.files : [];
    const files = full.files || !same;
    return lookAtServer(session, { ...options, deadlineMs: ask.leftMs(), files, previousFiles }, facts);
  }
}

function lockOwner(cell: string | null | undefined): number | null {
  return cell === undefined || cell === null ? null : Number(cell);
}

function identityOf(row: IdentityRow): Identity {
  return {
    hostname: row.hostname,
    serverId: row.server_id,
    serverUid: row.server_uid ?? '',
    port: row.port,
    datadir: row.datadir,
    startedAt: row.started_at,
  };
}

type Ask = ReturnType<typeof asker>;

/** All statements of one look under one deadline. */
function asker(session: SqlSession, options: Pick<LookOptions, 'deadlineMs' | 'signal' | 'clock'>) {
  const end = options.clock.monotonicMs() + options.deadlineMs;
  const signal = options.signal === undefined ? {} : { signal: options.signal };
  return { name: session.target.name, leftMs, query, rows };

  function leftMs(): number {
    return Math.max(1, end - options.clock.monotonicMs());
  }
  function query(sql: string, operation: string, params: readonly (string | null)[] = []): Promise<readonly Row[]> {
    return session.query(sql, params, { deadlineMs: leftMs(), operation, ...signal });
  }
  async function rows<T>(schema: Parameters<typeof parseRows<T>>[0], sql: string, operation: string): Promise<T[]> {
    return parseRows(schema, await query(sql, operation), operation, session.target.name);
  }
}

async function readMasterStatus(ask: Ask): Promise<MasterStatusRow | null> {
  const [row] = await ask.rows(MasterStatusSchema, 'SHOW MASTER STATUS', 'read the end of its binlog');
  return row ?? null;
}

interface Extra {
  readonly columns: readonly string[];
  readonly params: readonly (string | null)[];
}

/** Selects variables; one that this version or account does not have is left out, and not asked again. */
async function selectVariables(
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

async function readFiles(ask: Ask): Promise<BinlogFile[]> {
  try {
    return await ask.rows(BinlogFileRow, 'SHOW BINARY LOGS', 'list its binlog files');
  } catch (error) {
    if (isMxrError(error) && error.errno === ER_NO_BINARY_LOGGING) return [];
    throw error;
  }
}

/**
 * SHOW PROCESSLIST and not information_schema.PROCESSLIST, although that could leave out the sessions of others: it
 * makes a temporary table on the server's disk each time, and so a look that waits for, or fails with, a full disk.
 */
async function readDumps(ask: Ask): Promise<DumpThread[]> {
  const rows = await ask.query('SHOW PROCESSLIST', LIST_REPLICAS);
  const dumps = rows.filter((row) => row['Command']?.startsWith('Binlog Dump') === true);
  return parseRows(DumpRow, dumps, LIST_REPLICAS, ask.name);
}

/**
 * Without PROCESS the process list shows the own sessions only, without an error: "no dump" would be a lie. This table
 * takes the same grant, however it was given (SHOW GRANTS would do, but shows the password's hash too).
 */
async function seesOthers(ask: Ask, facts: SessionFacts): Promise<boolean> {
  if (facts.seesOthers !== null) return facts.seesOthers;
  try {
    await ask.query('SELECT 1 FROM information_schema.INNODB_CMP LIMIT 1', 'find out whether it may see all sessions');
    facts.seesOthers = true;
  } catch (error) {
    if (!isMxrError(error, 'GrantMissing', 'SqlError')) throw error;
    facts.seesOthers = false;
  }
  return facts.seesOthers;
}
