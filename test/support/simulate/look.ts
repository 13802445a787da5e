import type { DumpThread, Link, ServerLook } from '../../../src/domain/observation.ts';
import { endOf, positionOfBinlog, stateOfBinlog } from './binlog.ts';
import type { SimLink } from './link.ts';
import type { SimServer } from './server.ts';

const READ_ALL = 'Slave has read all relay log; waiting for more updates';

/** What a look at this server answers. */
export function lookOf(server: SimServer, dumps: readonly DumpThread[]): ServerLook {
  const { binlog, slavePos } = server;
  return {
    identity: {
      hostname: server.name,
      serverId: server.serverId,
      serverUid: `uid-${server.name}`,
      port: 3306,
      datadir: '/var/lib/mysql/',
      startedAt: Math.floor(server.startedAt / 1000) * 1000,
    },
    connectionId: server.connections,
    version: '10.11.19-MariaDB-log',
    readOnly: server.readOnly,
    logBin: true,
    logSlaveUpdates: server.logSlaveUpdates,
    logBinBasename: '/var/lib/mysql/mysql-bin',
    gtidDomainId: server.domain,
    gtidBinlogPos: positionOfBinlog(binlog),
    gtidBinlogState: stateOfBinlog(binlog),
    gtidSlavePos: new Map(slavePos),
    end: endOf(binlog),
    files: binlog.files.map(({ name, size }) => ({ name, size })),
    links: server.link === null ? [] : [linkRow(server.link)],
    dumps,
    settings: {
      syncBinlog: 1,
      slaveNetTimeout: 8,
      gtidStrictMode: false,
      binlogFormat: 'MIXED',
      binlogRowImage: 'FULL',
      slaveSkipErrors: 'OFF',
      skipSlaveStart: null,
      binlogDoDb: '',
      binlogIgnoreDb: '',
    },
  };
}

function linkRow(link: SimLink): Link {
  return {
    channel: '',
    host: link.host,
    port: 3306,
    user: 'repl',
    io: link.io,
    sql: link.sql,
    ioState: link.io === 'Yes' ? 'Waiting for master to send event' : '',
    sqlState: sqlState(link),
    sourceServerId: link.sourceServerId,
    read: { ...link.read },
    exec: { ...link.exec },
    usingGtid: link.mode,
    gtidIoPos: new Map(link.gtidIoPos),
    ioErrno: link.ioErrno,
    ioError: link.ioError,
    sqlErrno: 0,
    sqlError: '',
    secondsBehind: link.relay.length === 0 ? 0 : 1,
    delay: 0,
    ssl: false,
    connectRetry: 1,
    ...(link.until === null ? {} : { until: 'Gtid' }),
    filters: {},
  };
}

function sqlState(link: SimLink): string {
  if (link.sql === 'No') return '';
  if (link.relay.length === 0) return READ_ALL;
  return link.held ? 'Waiting for table metadata lock' : 'Reading event from the relay log';
}
