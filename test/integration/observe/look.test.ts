import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { formatPosition, formatState } from '../../../src/domain/gtid.ts';
import type { ServerLook } from '../../../src/domain/observation.ts';
import { isMxrError } from '../../../src/errors.ts';
import { lookAtServer } from '../../../src/observe/look.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { createAccount, follow, LOOK_GRANTS, REPLICA_GRANTS, targetOf } from './servers.ts';

await enterSandbox();

async function lookAt(server: MariaDbServer, user: string): Promise<ServerLook> {
  const session = await connectSql(targetOf(server, user), { deadlineMs: 5_000 });
  try {
    return await lookAtServer(session, { clock: systemClock, deadlineMs: 5_000, files: true, previousFiles: [] });
  } finally {
    session.destroy();
  }
}

describe('one look at a real server', { timeout: 180_000 }, () => {
  let source: MariaDbServer;
  let replica: MariaDbServer;
  let bare: MariaDbServer;

  before(async () => {
    [source, replica, bare] = await Promise.all([
      startMariaDb({
        name: 'source',
        serverId: 11,
        server: { 'gtid-domain-id': 3, 'sync-binlog': 1, 'binlog-format': 'ROW', 'binlog-ignore-db': 'scratch' },
      }),
      startMariaDb({
        name: 'replica',
        serverId: 21,
        server: {
          'log-slave-updates': true,
          'read-only': true,
          'slave-net-timeout': 9,
          'slave-skip-errors': '1062',
          'gtid-strict-mode': true,
          'replicate-wild-ignore-table': 'tmp.%',
        },
      }),
      startMariaDb({ name: 'bare', serverId: 31, server: { 'log-bin': false } }),
    ]);
    await createAccount(source, 'repl', 'REPLICATION SLAVE');
    await createAccount(source, 'mxr_look', LOOK_GRANTS);
    await createAccount(source, 'nothing', 'USAGE');
    await createAccount(replica, 'mxr_replica', REPLICA_GRANTS);
    await createAccount(bare, 'mxr_look', LOOK_GRANTS);
    await source.sql('CREATE DATABASE d; CREATE TABLE d.t (a INT); INSERT INTO d.t VALUES (1); FLUSH BINARY LOGS');
    await follow(replica, source, 'Orders');
    await until('the replica has applied all', async () => {
      const row = await replica.row('SELECT @@gtid_slave_pos pos');
      return row['pos'] === '3-11-3';
    });
    // Written in the background after a file was begun: until then the end of the binlog still moves.
    await until('the new file is a checkpoint', async () => {
      const events = await source.sql("SHOW BINLOG EVENTS IN 'source-bin.000002'");
      return events.some((row) => row['Event_type'] === 'Binlog_checkpoint' && row['Info'] === 'source-bin.000002');
    });
  });
  after(() => Promise.all([source, replica, bare].map((server) => server.stop())));

  test('a source: identity, positions, files and who is fed from it', async () => {
    const look = await lookAt(source, 'mxr_look');
    const truth = await source.row(
      `SELECT @@version version, @@datadir datadir, @@log_bin_basename base, @@server_uid uid,
       (SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Binlog Dump') dump,
       UNIX_TIMESTAMP() - (SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME') started`,
    );
    const [end] = await source.sql('SHOW MASTER STATUS');
    const files = await source.sql('SHOW BINARY LOGS');
    assert.deepEqual(look.identity, {
      hostname: hostname(),
      serverId: 11,
      // A sandbox has no network interface but lo: there is no uid.
      serverUid: truth['uid'] === 'unknown' ? '' : truth['uid'],
      port: source.port,
      datadir: truth['datadir'],
      startedAt: Number(truth['started']) * 1_000,
    });
    assert.equal(look.version, truth['version']);
    assert.deepEqual([look.readOnly, look.logBin, look.logSlaveUpdates], [false, true, false]);
    assert.equal(look.logBinBasename, truth['base']);
    assert.equal(look.gtidDomainId, 3);
    assert.equal(formatPosition(look.gtidBinlogPos), '3-11-3');
    assert.equal(formatPosition(look.gtidSlavePos), '');
    assert.deepEqual(look.end, { file: end?.['File'], position: Number(end?.['Position']) });
    assert.deepEqual(
      look.files,
      files.map((file) => ({ name: file['Log_name'], size: Number(file['File_size']) })),
    );
    assert.equal(look.files.length, 2);
    assert.deepEqual(look.links, []);
    const dumps = look.dumps?.map(({ connectionId, address, user }) => ({ connectionId, address, user }));
    assert.deepEqual(dumps, [{ connectionId: Number(truth['dump']), address: '127.0.0.1', user: 'repl' }]);
    assert.ok(look.dumps?.every(({ ageSeconds }) => ageSeconds !== null && ageSeconds < 60));
    assert.deepEqual(look.settings, {
      syncBinlog: 1,
      slaveNetTimeout: 60,
      binlogExpireSeconds: 0,
      gtidStrictMode: false,
      binlogFormat: 'ROW',
      binlogRowImage: 'FULL',
      slaveSkipErrors: 'OFF',
      skipSlaveStart: null,
      binlogDoDb: '',
      binlogIgnoreDb: 'scratch',
    });
  });

  test('a replica: its link, filters and settings, with the grants of its account', async () => {
    const look = await lookAt(replica, 'mxr_replica');
    const [end] = await source.sql('SHOW MASTER STATUS');
    const at = { file: end?.['File'], position: Number(end?.['Position']) };
    assert.equal(formatPosition(look.gtidSlavePos), '3-11-3');
    assert.deepEqual([look.readOnly, look.logSlaveUpdates], [true, true]);
    assert.equal(look.settings.slaveNetTimeout, 9);
    assert.equal(look.settings.gtidStrictMode, true);
    assert.equal(look.settings.slaveSkipErrors, '1062');
    // No PROCESS: "nobody is fed from it" could not be seen.
    assert.equal(look.dumps, null);
    const [link] = look.links;
    assert.ok(link !== undefined && look.links.length === 1);
    const { gtidIoPos, ioState, sqlState, secondsBehind, ...rest } = link;
    assert.equal(formatPosition(gtidIoPos), '3-11-3');
    assert.match(ioState, /Waiting for master/);
    assert.match(sqlState, /has read all relay log/);
    assert.equal(secondsBehind, 0);
    assert.deepEqual(rest, {
      channel: 'Orders',
      host: '127.0.0.1',
      port: source.port,
      user: 'repl',
      io: 'Yes',
      sql: 'Yes',
      sourceServerId: 11,
      read: at,
      exec: at,
      usingGtid: 'Slave_Pos',
      ioErrno: 0,
      ioError: '',
      sqlErrno: 0,
      sqlError: '',
      delay: 0,
      ssl: false,
      connectRetry: 3,
      filters: { Replicate_Wild_Ignore_Table: 'tmp.%' },
    });
  });

  test('a look makes no table on the disk of the server', async () => {
    const session = await connectSql(targetOf(source, 'mxr_look'), { deadlineMs: 5_000 });
    await lookAtServer(session, { clock: systemClock, deadlineMs: 5_000, files: true, previousFiles: [] });
    const status = "SHOW SESSION STATUS LIKE 'Created_tmp_disk_tables'";
    const [row] = await session.query(status, [], { deadlineMs: 5_000, operation: 'read a counter' });
    assert.equal(row?.['Value'], '0');
    session.destroy();
  });

  test('the grants of both accounts suffice to read gtid_binlog_state', async () => {
    const own = (await lookAt(source, 'mxr_look')).gtidBinlogState;
    const copied = (await lookAt(replica, 'mxr_replica')).gtidBinlogState;
    assert.ok(own !== null && copied !== null);
    assert.equal(formatState(own), '3-11-3');
    assert.equal(formatState(copied), '3-11-3');
  });

  test('errors of a link are shown with their numbers', async () => {
    await replica.sql(
      `CHANGE MASTER 'second' TO MASTER_HOST='127.0.0.1', MASTER_PORT=1, MASTER_USER='x', MASTER_CONNECT_RETRY=60, MASTER_DELAY=7; START SLAVE 'second' IO_THREAD`,
    );
    const link = await until('the link has an error', async () => {
      const look = await lookAt(replica, 'mxr_replica');
      const found = look.links.find(({ channel }) => channel === 'second');
      return found !== undefined && found.ioErrno > 0 && found;
    });
    assert.equal(link.ioErrno, 2003);
    assert.match(link.ioError, /127\.0\.0\.1:1/);
    assert.deepEqual([link.io, link.sql, link.delay], ['Connecting', 'No', 7]);
    assert.equal(link.secondsBehind, null);
    assert.deepEqual(link.read, { file: '', position: 4 });
    await replica.sql(`STOP SLAVE 'second'; RESET SLAVE 'second' ALL`);
  });

  test('without a binlog there is no end and there are no files', async () => {
    const look = await lookAt(bare, 'mxr_look');
    assert.deepEqual([look.logBin, look.end, look.files, look.dumps], [false, null, [], []]);
    assert.equal(formatPosition(look.gtidBinlogPos), '');
  });

  test('a missing grant is an error that names it', async () => {
    await assert.rejects(lookAt(source, 'nothing'), (error) => {
      assert.ok(isMxrError(error, 'GrantMissing'));
      assert.match(error.message, /BINLOG MONITOR/);
      return true;
    });
  });
});
