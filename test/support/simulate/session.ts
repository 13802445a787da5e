import { formatPosition, formatState, parsePosition } from '../../../src/domain/gtid.ts';
import type { Link, ServerLook } from '../../../src/domain/observation.ts';
import { MxrError } from '../../../src/errors.ts';
import type { Row, SqlConnect, SqlSession, SqlTarget } from '../../../src/sql/port.ts';
import { gtidAt } from './binlog.ts';
import { changeMaster, startThreads, stopBoth, stopIo } from './link.ts';
import { lookOf } from './look.ts';
import type { SimServer } from './server.ts';
import type { World } from './world.ts';
import { dial, dumpsOf, serversOf } from './world.ts';

/** Called before each statement that changes something: the world may go on, or the process may die. */
export type Gate = (server: SimServer, sql: string) => Promise<void>;

/** The SQL port over the simulated servers: the texts that mxr sends, answered as MariaDB answers them. */
export function simConnect(world: World, gate: Gate): SqlConnect {
  return (target) => Promise.resolve().then(() => open(world, gate, target));
}

function open(world: World, gate: Gate, target: SqlTarget): SqlSession {
  const server = reach(world, target);
  server.connections += 1;
  const connectionId = server.connections;
  const { life } = server;
  let alive = true;
  return {
    target,
    connectionId,
    serverVersion: '10.11.19-MariaDB-log',
    encrypted: false,
    get alive() {
      return alive;
    },
    async query(sql, params) {
      const changes = /^(STOP|START|CHANGE)/.test(sql);
      if (changes) await gate(server, sql);
      if (!alive || !server.up || server.life !== life || world.hidden.has(server.name)) throw lost(target);
      try {
        return answer(world, server, { sql, params, connectionId });
      } catch (error) {
        if (!(error instanceof MxrError)) world.misuse.push(`${sql}: ${String(error)}`);
        throw error;
      }
    },
    destroy() {
      alive = false;
      if (server.lockedBy === connectionId) server.lockedBy = null;
    },
    onDead: () => undefined,
  };
}

function reach(world: World, target: SqlTarget): SimServer {
  const any = serversOf(world).find((server) => server.ip === target.host);
  const server = any ?? dial(world, PROBE, target.host);
  if (server === null || !server.up || world.hidden.has(server.name)) throw lost(target);
  return server;
}

/** mxr's own place in the network: a client like any other. */
const PROBE = { serverId: 0, link: null } as unknown as SimServer;

function lost(target: SqlTarget): MxrError {
  const detail = 'no answer';
  return new MxrError({ code: 'ConnectionLost', operation: 'ask', target: target.name, detail, retryable: true });
}

interface Statement {
  readonly sql: string;
  readonly params: readonly (string | number | null)[];
  readonly connectionId: number;
}

function answer(world: World, server: SimServer, statement: Statement): readonly Row[] {
  const { sql, params } = statement;
  const look = lookOf(server, dumpsOf(world, server));
  if (sql.startsWith('SELECT GET_LOCK')) return [{ taken: takeLock(server, statement.connectionId) }];
  if (sql.startsWith('SELECT BINLOG_GTID_POS')) {
    const there = gtidAt(server.binlog, { file: String(params[0]), position: Number(params[1]) });
    return [{ gtid: there === null ? null : formatPosition(there) }];
  }
  if (/^SELECT (CONNECTION_ID\(\)|@@)/.test(sql)) return [variables(look, statement.connectionId)];
  if (sql === 'SHOW MASTER STATUS') {
    const end = { File: look.end?.file ?? '', Position: String(look.end?.position ?? 4) };
    return [{ ...end, Binlog_Do_DB: '', Binlog_Ignore_DB: '' }];
  }
  if (sql === 'SHOW BINARY LOGS')
    return look.files.map(({ name, size }) => ({ Log_name: name, File_size: String(size) }));
  if (sql === 'SHOW ALL SLAVES STATUS') return look.links.map(slaveRow);
  if (sql.includes('INNODB_CMP')) return [{ '1': '1' }];
  if (sql.includes('PROCESSLIST')) {
    return (look.dumps ?? []).map((one) => ({
      ID: String(one.connectionId),
      USER: one.user,
      HOST: `${one.address}:5`,
    }));
  }
  return change(server, statement);
}

function takeLock(server: SimServer, connectionId: number): string {
  if (server.lockedBy !== null && server.lockedBy !== connectionId) return '0';
  server.lockedBy = connectionId;
  return '1';
}

function change(server: SimServer, { sql, params }: Statement): readonly Row[] {
  if (sql.startsWith('SET SESSION') || sql.startsWith('SET GLOBAL slave_net_timeout')) return [];
  if (sql.startsWith('SET GLOBAL read_only')) {
    server.readOnly = true;
    return [];
  }
  const { link } = server;
  if (link === null) throw new Error(`no link: ${sql}`);
  if (sql === 'STOP SLAVE IO_THREAD') stopIo(link);
  else if (sql === 'STOP SLAVE') stopBoth(link);
  else if (sql === 'START SLAVE') startThreads(server, link, 'Both');
  else if (sql.startsWith('START SLAVE UNTIL')) startUntil(server, link, sql);
  else if (sql === 'START SLAVE SQL_THREAD') startThreads(server, link, 'Sql');
  else if (sql.startsWith('CHANGE MASTER TO')) applyChange(link, sql, params);
  else throw new Error(`the simulated server does not know: ${sql}`);
  return [];
}

function startUntil(server: SimServer, link: NonNullable<SimServer['link']>, sql: string): void {
  if (link.mode === 'No') throw new Error('1949: UNTIL master_gtid_pos requires that the slave uses GTID');
  if (link.io !== 'No' || link.sql !== 'No') throw new Error('1254: a replication thread runs');
  const until = parsePosition(/UNTIL master_gtid_pos = '([-,\d]*)'$/.exec(sql)?.[1] ?? '-');
  if (until === undefined) throw new Error(`1941: not a position in ${sql}`);
  startThreads(server, link, 'Both', until);
}

function applyChange(link: NonNullable<SimServer['link']>, sql: string, params: Statement['params']): void {
  if (link.io !== 'No' || link.sql !== 'No') throw new Error('1198: a replication thread runs');
  const names = [...sql.matchAll(/(MASTER_\w+) = \?/g)].map((match) => match[1] ?? '');
  const value = (name: string) => params[names.indexOf(name)];
  const file = value('MASTER_LOG_FILE');
  const at = file === undefined ? null : { file: String(file), position: Number(value('MASTER_LOG_POS')) };
  changeMaster(link, { host: String(value('MASTER_HOST')), at });
}

function variables(look: ServerLook, connectionId: number): Row {
  const { identity, settings } = look;
  return {
    connection_id: String(connectionId),
    started_at: String(identity.startedAt),
    hostname: identity.hostname,
    server_id: String(identity.serverId),
    server_uid: identity.serverUid,
    port: String(identity.port),
    datadir: identity.datadir,
    read_only: look.readOnly ? '1' : '0',
    version: look.version,
    log_bin: '1',
    log_slave_updates: look.logSlaveUpdates ? '1' : '0',
    log_bin_basename: look.logBinBasename,
    gtid_domain_id: String(look.gtidDomainId),
    gtid_binlog_pos: formatPosition(look.gtidBinlogPos),
    gtid_binlog_state: formatState(look.gtidBinlogState ?? new Map()),
    gtid_slave_pos: formatPosition(look.gtidSlavePos),
    sync_binlog: String(settings.syncBinlog),
    slave_net_timeout: String(settings.slaveNetTimeout),
    slave_parallel_threads: '0',
    gtid_strict_mode: '0',
    binlog_format: settings.binlogFormat,
    binlog_row_image: settings.binlogRowImage,
    slave_skip_errors: settings.slaveSkipErrors,
  };
}

function slaveRow(link: Link): Row {
  return {
    Connection_name: link.channel,
    Master_Host: link.host,
    Master_Port: String(link.port),
    Master_User: link.user,
    Slave_IO_Running: link.io,
    Slave_SQL_Running: link.sql,
    Slave_IO_State: link.ioState,
    Slave_SQL_Running_State: link.sqlState,
    Master_Server_Id: String(link.sourceServerId),
    Master_Log_File: link.read.file,
    Read_Master_Log_Pos: String(link.read.position),
    Relay_Master_Log_File: link.exec.file,
    Exec_Master_Log_Pos: String(link.exec.position),
    Using_Gtid: link.usingGtid,
    Gtid_IO_Pos: formatPosition(link.gtidIoPos),
    Last_IO_Errno: String(link.ioErrno),
    Last_IO_Error: link.ioError,
    Last_SQL_Errno: '0',
    Last_SQL_Error: '',
    Seconds_Behind_Master: link.secondsBehind === null ? null : String(link.secondsBehind),
    SQL_Delay: '0',
    Master_SSL_Allowed: 'No',
    Connect_Retry: '1',
    Until_Condition: link.until ?? 'None',
  };
}
