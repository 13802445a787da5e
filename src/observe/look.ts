import type { BinlogFile, DumpThread, Identity, Link, LinkLook, ServerLook, VipLook } from '../domain/observation.ts';
import { isMxrError } from '../errors.ts';
import type { SqlSession } from '../sql/port.ts';
import type { Ask, AskOptions, SessionFacts } from './asker.ts';
import { asker, newSessionFacts, READ_VARIABLES, selectVariables } from './asker.ts';
import { sameIdentity } from './incarnation.ts';
import type { IdentityRow, MasterStatusRow } from './rows.ts';
import {
  BinlogFileRow,
  DumpRow,
  IdentityRow as IdentitySchema,
  LinkRow,
  MasterStatusRow as MasterStatusSchema,
  OriginRow,
  ReplicaNowRow,
  ServerRow,
} from './rows.ts';

export interface LookOptions extends AskOptions {
  /** Ask for the list of binlog files too: the server opens each one, so not on every look at a source. */
  readonly files: boolean;
  /** What to report while `files` is false. */
  readonly previousFiles: readonly BinlogFile[];
  /** Of a replica only what says where it stands: its own binlog and who is fed by it concern nobody. */
  readonly of?: 'Member' | 'Replica';
}

/** How old the list of binlog files may become in calm. */
export const FILES_EVERY_MS = 10_000;

const IDENTITY = ['hostname', 'server_id', 'server_uid', 'port', 'datadir', 'read_only'];
const VARIABLES = [
  ...IDENTITY,
  'version',
  'log_bin',
  'log_slave_updates',
  'log_bin_basename',
  'gtid_domain_id',
  // What a position is credited with must not be newer than the position.
  'gtid_binlog_state',
  'gtid_binlog_pos',
  'gtid_slave_pos',
  'sync_binlog',
  'slave_net_timeout',
  'slave_parallel_threads',
  'expire_logs_days',
  'gtid_strict_mode',
  'binlog_format',
  'binlog_row_image',
  'slave_skip_errors',
];
const READ_NOW =
  'SELECT @@read_only AS read_only, @@slave_net_timeout AS slave_net_timeout, @@slave_parallel_threads AS slave_parallel_threads, @@gtid_slave_pos AS gtid_slave_pos';
const READ_ORIGIN =
  "SELECT GLOBAL_VALUE_ORIGIN AS origin FROM information_schema.SYSTEM_VARIABLES WHERE VARIABLE_NAME = 'SLAVE_NET_TIMEOUT'";
const LIST_REPLICAS = 'list its replicas';

const ER_NO_BINARY_LOGGING = 1381;

/** The part of a replica that changes while it is moved, in one go: applied before received, as in a full look. */
export async function lookAtReplica(session: SqlSession, options: AskOptions): Promise<LinkLook> {
  const ask = asker(session, options);
  const [rows, links] = await Promise.all([ask.query(READ_NOW, READ_VARIABLES), readLinks(ask)]);
  const now = ask.one(ReplicaNowRow, rows, READ_VARIABLES);
  const { gtid_slave_pos: gtidSlavePos, read_only: readOnly } = now;
  const { slave_net_timeout: slaveNetTimeout, slave_parallel_threads: parallelThreads } = now;
  return {
    gtidSlavePos,
    readOnly,
    links,
    ...(slaveNetTimeout === undefined ? {} : { slaveNetTimeout }),
    ...(parallelThreads === undefined ? {} : { parallelThreads }),
  };
}

/**
 * One look at one server. Order matters, because the parts are read one after the other on a server that lives: what
 * must be the larger for a proof is read last. `end` comes before `gtidSlavePos` and the links, so that no own
 * transaction written in between is left out behind `end`; applied comes before received, so that equality means drained.
 * The server answers in the order of the questions, so they are sent in one go; but the first time, when one may have to
 * be put again, each waits for the answer before it.
 */
export async function lookAtServer(
  session: SqlSession,
  options: LookOptions,
  facts: SessionFacts = newSessionFacts(),
): Promise<ServerLook> {
  const ask = asker(session, options, facts.parsed);
  const isMember = options.of !== 'Replica';
  const first = facts.startedAt === null;
  const reading = isMember ? readMasterStatus(ask) : null;
  if (first) await reading;
  const selecting = selectVariables(ask, facts, VARIABLES);
  if (first) await selecting;
  const linking = readLinks(ask);
  if (first) await linking;
  const listing = isMember ? dumpsSeen(ask, facts) : null;
  const [master, rows, links, dumps] = await Promise.all([reading, selecting, linking, listing]);
  const server = ask.one(ServerRow, rows, READ_VARIABLES);
  facts.startedAt = server.started_at;
  if (!isMember) await learnOrigin(ask, facts, server.slave_net_timeout);
  const files = !isMember || !server.log_bin ? [] : options.files ? await readFiles(ask) : options.previousFiles;
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
    parallelThreads: server.slave_parallel_threads,
    dumps,
    settings: {
      syncBinlog: server.sync_binlog,
      slaveNetTimeout: server.slave_net_timeout,
      ...(facts.netTimeout === null ? {} : { slaveNetTimeoutSet: facts.netTimeout.set }),
      ...(server.expire_logs_days === undefined
        ? {}
        : { binlogExpireSeconds: Math.round(server.expire_logs_days * 86_400) }),
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

/** A restart ends the session, so the origin of a value is asked once, and again when the value has changed. */
async function learnOrigin(ask: Ask, facts: SessionFacts, value: number): Promise<void> {
  if (facts.netTimeout?.value === value) return;
  const [row] = await ask.rows(OriginRow, READ_ORIGIN, 'read where a setting comes from');
  facts.netTimeout = { value, set: row?.origin === 'SQL' };
}

export interface VipLookOptions extends AskOptions {
  /** Nonce lock per member name. */
  readonly locks: Readonly<Record<string, string>>;
  /** Not null: also look fully, where no direct session ends on the server that answers. */
  readonly full: {
    readonly files: boolean;
    /** Its files are reported while `files` is false, if the same server answers. */
    readonly previous: ServerLook | null;
    /** Members that no direct session ends on: a lock of theirs is held for a session whose end never reached the server. */
    readonly unasked: readonly string[];
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
  const identity = ask.one(IdentitySchema, rows, READ_VARIABLES);
  const owners = names.map((name, index) => [name, lockOwner(rows[0]?.[`lock_${index}`])] as const);
  // Where a direct session ends on this server too, its own looks say it all.
  const alone = owners.every(([name, owner]) => owner === null || options.full?.unasked.includes(name) === true);
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

function readLinks(ask: Ask): Promise<readonly Link[]> {
  return ask.rows(LinkRow, 'SHOW ALL SLAVES STATUS', 'read its replication status');
}

async function readMasterStatus(ask: Ask): Promise<MasterStatusRow | null> {
  const [row] = await ask.rows(MasterStatusSchema, 'SHOW MASTER STATUS', 'read the end of its binlog');
  return row ?? null;
}

async function readFiles(ask: Ask): Promise<readonly BinlogFile[]> {
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
async function dumpsSeen(ask: Ask, facts: SessionFacts): Promise<readonly DumpThread[] | null> {
  // Not awaited where it is known: the question leaves with the others.
  if (!(facts.seesOthers ?? (await seesOthers(ask, facts)))) return null;
  const rows = await ask.query('SHOW PROCESSLIST', LIST_REPLICAS);
  const dumps = rows.filter((row) => row['Command']?.startsWith('Binlog Dump') === true);
  return ask.parse(DumpRow, dumps, LIST_REPLICAS);
}

/**
 * Without PROCESS the process list shows the own sessions only, without an error: "no dump" would be a lie. This table
 * takes the same grant, however it was given (SHOW GRANTS would do, but shows the password's hash too).
 */
async function seesOthers(ask: Ask, facts: SessionFacts): Promise<boolean> {
  try {
    await ask.query('SELECT 1 FROM information_schema.INNODB_CMP LIMIT 1', 'find out whether it may see all sessions');
    facts.seesOthers = true;
  } catch (error) {
    if (!isMxrError(error, 'GrantMissing', 'SqlError')) throw error;
    facts.seesOthers = false;
  }
  return facts.seesOthers;
}
