import assert from 'node:assert/strict';
import { hostname } from 'node:os';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { formatPosition, formatState } from '../../../src/domain/gtid.ts';
import type { Link, LinkLook, ServerLook } from '../../../src/domain/observation.ts';
import { isDrained, linkOf } from '../../../src/domain/observation.ts';
import { lookAtReplica, lookAtServer, lookAtVip } from '../../../src/observe/look.ts';
import { openSession } from '../../support/mariadb-sql.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { until } from '../../support/wait.ts';
import {
  ADDRESS,
  VERSIONS,
  act,
  caughtUp,
  follow,
  prepareVersions,
  serverOf,
  settingsOf,
  withSession,
} from './servers.ts';

const versions = await prepareVersions();
const OPTIONS = { clock: systemClock, deadlineMs: 5_000 };

async function lookAt(server: MariaDbServer, of: 'Member' | 'Replica'): Promise<ServerLook> {
  const user = of === 'Member' ? 'mxr_look' : 'mxr_replica';
  return withSession(server, user, (session) =>
    lookAtServer(session, { ...OPTIONS, of, files: true, previousFiles: [] }),
  );
}

for (const name of VERSIONS) {
  describe(`a look at ${name}, with the documented grants`, { timeout: 180_000, skip: versions[name].skip }, () => {
    let source: MariaDbServer;
    let replica: MariaDbServer;

    before(async () => {
      source = await serverOf(versions[name], 'member', { name: `source-${name}`, serverId: 1 });
      replica = await serverOf(versions[name], 'replica', {
        name: `replica-${name}`,
        serverId: 2,
        server: { 'replicate-wild-ignore-table': 'tmp.%' },
      });
      await source.sql(
        'CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY); INSERT INTO d.t VALUES (1); FLUSH BINARY LOGS',
      );
      await follow(replica, source, settingsOf('Disabled'));
      await caughtUp(replica, source);
      // Written in the background after a file was begun: until then the end of the binlog still moves.
      await until('the new file is a checkpoint', async () => {
        const events = await source.sql(`SHOW BINLOG EVENTS IN '${source.name}-bin.000002'`);
        return events.some(({ Event_type: type, Info: info }) => type === 'Binlog_checkpoint' && info?.endsWith('2'));
      });
    });
    after(() => Promise.all([source, replica].map((server) => server.stop())));

    test('a source: identity, positions, files, settings and who is fed from it', async () => {
      const look = await lookAt(source, 'Member');
      const truth = await source.row(
        `SELECT @@version version, @@datadir datadir, @@log_bin_basename base,
         (SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND = 'Binlog Dump') dump,
         UNIX_TIMESTAMP() - (SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME') started`,
      );
      const [end] = await source.sql('SHOW MASTER STATUS');
      const files = await source.sql('SHOW BINARY LOGS');
      // 10.5 has no server_uid, and a server without a network interface has none either.
      const startedAt = Number(truth['started']) * 1_000;
      const identity = { hostname: hostname(), serverId: 1, serverUid: '', port: source.port, startedAt };
      assert.deepEqual(look.identity, { ...identity, datadir: truth['datadir'] });
      assert.equal(look.version, truth['version']);
      assert.deepEqual([look.readOnly, look.logBin, look.logSlaveUpdates], [false, true, true]);
      assert.equal(look.logBinBasename, truth['base']);
      assert.equal(formatPosition(look.gtidBinlogPos), '0-1-3');
      assert.equal(look.gtidBinlogState === null ? null : formatState(look.gtidBinlogState), '0-1-3');
      assert.equal(formatPosition(look.gtidSlavePos), '');
      assert.deepEqual(look.end, { file: end?.['File'], position: Number(end?.['Position']) });
      const listed = files.map((file) => ({ name: file['Log_name'], size: Number(file['File_size']) }));
      assert.deepEqual(look.files, listed);
      assert.equal(look.files.length, 2);
      assert.deepEqual(look.links, []);
      const dumps = look.dumps?.map(({ connectionId, address, user }) => ({ connectionId, address, user }));
      assert.deepEqual(dumps, [{ connectionId: Number(truth['dump']), address: ADDRESS, user: 'mxr_repl' }]);
      assert.deepEqual(look.settings, {
        syncBinlog: 0,
        slaveNetTimeout: 60,
        binlogExpireSeconds: 0,
        gtidStrictMode: false,
        binlogFormat: 'MIXED',
        binlogRowImage: 'FULL',
        slaveSkipErrors: 'OFF',
        skipSlaveStart: null,
        binlogDoDb: '',
        binlogIgnoreDb: '',
      });
    });

    test('a replica: its link, position and filters', async () => {
      await act(replica, 'SET GLOBAL slave_net_timeout = 8');
      const look = await lookAt(replica, 'Replica');
      const [end] = await source.sql('SHOW MASTER STATUS');
      const at = { file: end?.['File'], position: Number(end?.['Position']) };
      assert.equal(formatPosition(look.gtidSlavePos), '0-1-3');
      assert.equal(formatPosition(look.gtidBinlogPos), '0-1-3');
      assert.deepEqual([look.settings.slaveNetTimeout, look.settings.slaveNetTimeoutSet], [8, true]);
      const [link] = look.links;
      assert.ok(link !== undefined && look.links.length === 1);
      const { gtidIoPos, ioState, sqlState, ...rest } = link;
      assert.equal(formatPosition(gtidIoPos), '0-1-3');
      assert.notEqual(`${ioState}${sqlState}`, '');
      assert.deepEqual(rest, {
        ...{ channel: '', host: ADDRESS, port: source.port, user: 'mxr_repl', io: 'Yes', sql: 'Yes' },
        ...{ sourceServerId: 1, read: at, exec: at, usingGtid: 'Slave_Pos', secondsBehind: 0, delay: 0 },
        ...{ ioErrno: 0, ioError: '', sqlErrno: 0, sqlError: '', ssl: false, connectRetry: 1 },
        filters: { Replicate_Wild_Ignore_Table: 'tmp.%' },
      });
    });

    test('through the VIP: who answers, by a lock of a direct session', async () => {
      await withSession(source, 'mxr_look', async (direct) => {
        const statement = { deadlineMs: 5_000, operation: 'take a lock' };
        await direct.query("SELECT GET_LOCK('mxr-nonce', 0)", [], statement);
        const vip = { ...OPTIONS, locks: { a: 'mxr-nonce', b: 'mxr-other' }, full: null };
        const look = await withSession(source, 'mxr_look', (session) => lookAtVip(session, vip));
        assert.deepEqual(look.lockOwners, { a: direct.connectionId, b: null });
        assert.equal(look.identity.datadir, `${source.datadir}/`);
      });
    });

    for (const parallel of [0, 4]) {
      test(`whether all is applied is told by its state text alone, with ${parallel} parallel workers`, async () => {
        await act(replica, 'STOP SLAVE');
        await replica.sql(`SET GLOBAL slave_parallel_threads = ${parallel}`);
        const { gtid } = await replica.row('SELECT @@gtid_slave_pos AS gtid');
        const place = await source.row('SHOW MASTER STATUS');
        const at = { file: place['File'] ?? '', position: Number(place['Position']) };
        assert.equal((await source.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'], gtid);
        // By file, where nothing but the text says so while the threads run.
        await follow(replica, source, settingsOf('Disabled'), { by: 'File', at, gtid: new Map() });
        // Until then its receiver may still have to write its position, which the lock would not let it.
        await until(
          'it receives',
          async () => (await linkNow(replica))?.ioState.startsWith('Waiting for master') === true,
        );
        await until('it says that it has applied all', () => drained(replica));
        const blocker = await openSession({ name: 'blocker', user: 'root', socketPath: replica.socket });
        await blocker.sql('FLUSH TABLES WITH READ LOCK');
        await source.sql(`INSERT INTO d.t VALUES (${10 + parallel})`);
        const end = await source.row('SHOW MASTER STATUS');
        await until('the transaction is received', async () => {
          const { links } = await lookNow(replica);
          return links[0]?.read.position === Number(end['Position']);
        });
        assert.equal(await drained(replica), false);
        await act(replica, 'STOP SLAVE IO_THREAD');
        assert.equal(await drained(replica), false);
        blocker.close();
        await until('it says so again', () => drained(replica));
        assert.equal((await replica.row(`SELECT COUNT(*) AS n FROM d.t WHERE a = ${10 + parallel}`))['n'], '1');
      });
    }
  });
}

function lookNow(replica: MariaDbServer): Promise<LinkLook> {
  return withSession(replica, 'mxr_replica', (session) => lookAtReplica(session, OPTIONS));
}

async function linkNow(replica: MariaDbServer): Promise<Link | undefined> {
  return linkOf(await lookNow(replica), '');
}

async function drained(replica: MariaDbServer): Promise<boolean> {
  const look = await lookNow(replica);
  const link = linkOf(look, '');
  assert.ok(link?.sql === 'Yes' && link.usingGtid === 'No', `${link?.sql} ${link?.sqlError}`);
  return isDrained(look, link);
}
