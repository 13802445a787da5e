import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import type { LinkSettings } from '../../../src/act/replication.ts';
import { netTimeoutSql, startSql, stopReceivingSql, stopSql } from '../../../src/act/replication.ts';
import { parsePosition } from '../../../src/domain/gtid.ts';
import { type Link, linkOf } from '../../../src/domain/observation.ts';
import type { Attach } from '../../../src/domain/plan.ts';
import { lookAtReplica } from '../../../src/observe/look.ts';
import { relayedFirst } from '../../../src/observe/relayed.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { until } from '../../support/wait.ts';
import {
  ADDRESS,
  type VersionName,
  act,
  caughtUp,
  follow,
  prepareVersions,
  serverOf,
  settingsOf,
  withSession,
} from './servers.ts';

const versions = await prepareVersions();
const LOOK = { clock: systemClock, deadlineMs: 5_000 };

/** Each version with itself, and the newer replicas of older sources that MariaDB supports. */
const PAIRS: readonly (readonly [replica: VersionName, source: VersionName])[] = [
  ['10.5', '10.5'],
  ['own', 'own'],
  ['own', '10.5'],
  ['11.8', '10.5'],
  ['11.8', 'own'],
  ['11.8', '11.8'],
];

async function linkNow(replica: MariaDbServer, channel: string): Promise<Link | undefined> {
  return withSession(replica, 'mxr_replica', async (session) => linkOf(await lookAtReplica(session, LOOK), channel));
}

/** Sessions that read its binlog. */
async function dumpsOf(source: MariaDbServer): Promise<number> {
  const rows = await source.sql("SELECT ID FROM information_schema.PROCESSLIST WHERE COMMAND LIKE 'Binlog Dump%'");
  return rows.length;
}

/** Sessions over TLS that this server has had. */
async function encrypted(source: MariaDbServer): Promise<number> {
  return Number((await source.row("SHOW GLOBAL STATUS LIKE 'Ssl_finished_accepts'"))['Value']);
}

for (const [of, at] of PAIRS) {
  const skip = versions[of].skip !== false ? versions[of].skip : versions[at].skip;
  describe(`mxr's statements on a replica ${of} of a source ${at}`, { timeout: 120_000, skip }, () => {
    let source: MariaDbServer;
    let replica: MariaDbServer;
    let rows = 0;

    before(async () => {
      const name = `${of}-of-${at}`;
      source = await serverOf(versions[at], 'member', { name: `s-${name}`, serverId: 1 });
      replica = await serverOf(versions[of], 'replica', { name: `r-${name}`, serverId: 2 });
      await source.sql('CREATE DATABASE d; CREATE TABLE d.t (a INT PRIMARY KEY)');
    });
    after(() => Promise.all([source, replica].map((server) => server.stop())));

    /** Where the replica stands, in both ways of saying it. */
    async function attachBy(by: Attach['by']): Promise<Attach> {
      const { File: file, Position: position } = await source.row('SHOW MASTER STATUS');
      const pos = (await source.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'] ?? '';
      const gtid = parsePosition(pos) ?? new Map();
      return by === 'Gtid' ? { by, gtid } : { by, gtid, at: { file: file ?? '', position: Number(position) } };
    }

    async function attached(settings: LinkSettings, by: Attach['by']): Promise<Link> {
      const attach = await attachBy(by);
      await follow(replica, source, settings, attach);
      await source.sql('INSERT INTO d.t VALUES (?)', [(rows += 1)]);
      await caughtUp(replica, source);
      assert.equal((await replica.row('SELECT COUNT(*) AS n FROM d.t'))['n'], String(rows));
      // An older one of the same server ends when this one begins.
      await until('the source feeds it', async () => (await dumpsOf(source)) === 1);
      const link = await linkNow(replica, settings.channel);
      assert.ok(link !== undefined);
      return link;
    }

    async function stopped(channel: string): Promise<void> {
      await act(replica, stopReceivingSql(channel));
      assert.deepEqual((({ io, sql }) => [io, sql])(await present(channel)), ['No', 'Yes']);
      await act(replica, stopSql(channel));
      assert.deepEqual((({ io, sql }) => [io, sql])(await present(channel)), ['No', 'No']);
      // Two channels cannot point at one source.
      await replica.sql(`RESET SLAVE '${channel}' ALL`);
    }

    async function present(channel: string): Promise<Link> {
      const link = await linkNow(replica, channel);
      assert.ok(link !== undefined);
      return link;
    }

    for (const channel of ['', 'orders']) {
      for (const mode of ['Disabled', 'Preferred'] as const) {
        for (const by of ['Gtid', 'File'] as const) {
          test(`by ${by} with TLS ${mode}${channel === '' ? '' : ' over a channel'}`, async () => {
            const before = await encrypted(source);
            const link = await attached(settingsOf(mode, channel), by);
            const { host, port, user, io, sql, usingGtid, ssl, connectRetry } = link;
            assert.deepEqual(
              { host, port, user, io, sql },
              {
                ...{ host: ADDRESS, port: source.port, user: 'mxr_repl', io: 'Yes', sql: 'Yes' },
              },
            );
            assert.deepEqual([usingGtid, connectRetry], [by === 'Gtid' ? 'Slave_Pos' : 'No', 1]);
            assert.equal(ssl, mode === 'Preferred');
            // Only newer servers have a certificate without being given one.
            const overTls = mode === 'Preferred' && at === '11.8';
            assert.equal((await encrypted(source)) > before, overTls);
            await stopped(channel);
          });
        }
      }
    }

    for (const channel of ['', 'orders']) {
      test(`an end that is given${channel === '' ? '' : ' over a channel'}: it stops there by itself, and shows it`, async () => {
        await attached(settingsOf('Preferred', channel), 'Gtid');
        await act(replica, stopSql(channel));
        const gtids: string[] = [];
        for (let left = 4; left > 0; left -= 1) {
          await source.sql('INSERT INTO d.t VALUES (?)', [(rows += 1)]);
          gtids.push((await source.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'] ?? '');
        }
        const end = gtids[1] ?? '';
        await act(replica, startSql(channel, 'Both', parsePosition(end)));
        const link = await until('both threads have ended', async () => {
          const now = await present(channel);
          return now.io === 'No' && now.sql === 'No' && now;
        });
        assert.deepEqual([link.until, link.ioErrno, link.sqlErrno], ['Gtid', 0, 0]);
        assert.equal((await replica.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'], end);
        assert.equal((await replica.row('SELECT COUNT(*) AS n FROM d.t'))['n'], String(rows - 2));
        await act(replica, startSql(channel, 'Both'));
        await caughtUp(replica, source);
        assert.equal((await present(channel)).until, undefined);
        await stopped(channel);
      });
    }

    test('the settings of a replica, and its relay log', async () => {
      await attached(settingsOf('Preferred'), 'Gtid');
      await act(replica, stopSql(''));
      await act(replica, netTimeoutSql(8));
      await act(replica, 'SET GLOBAL read_only = 1');
      const look = await withSession(replica, 'mxr_replica', (session) => lookAtReplica(session, LOOK));
      assert.deepEqual([look.slaveNetTimeout, look.readOnly], [8, true]);
      await act(replica, startSql('', 'Sql'));
      assert.deepEqual((({ io, sql }) => [io, sql])(await present('')), ['No', 'Yes']);
      await act(replica, startSql('', 'Again'));
      await source.sql('INSERT INTO d.t VALUES (?)', [(rows += 1)]);
      await caughtUp(replica, source);
      const first = await withSession(replica, 'mxr_replica', (session) => relayedFirst(session, '', LOOK));
      assert.equal(first?.domain, 0);
      assert.equal(first.serverId, 1);
      assert.equal((await replica.row('SELECT COUNT(*) AS n FROM d.t'))['n'], String(rows));
    });
  });
}

describe(
  'what TLS does where mxr says nothing',
  { timeout: 120_000, skip: versions['11.8'].skip || versions['10.5'].skip },
  () => {
    test('a replica 11.8 refuses a source 10.5 without TLS, so that the statements above do say it', async () => {
      const source = await serverOf(versions['10.5'], 'member', { name: 's-silent', serverId: 1 });
      const replica = await serverOf(versions['11.8'], 'replica', { name: 'r-silent', serverId: 2 });
      await replica.sql(
        `CHANGE MASTER TO MASTER_HOST='${ADDRESS}', MASTER_PORT=${source.port}, MASTER_USER='mxr_repl',
       MASTER_PASSWORD='change-me-repl', MASTER_USE_GTID=slave_pos; START SLAVE`,
      );
      const link = await until('it is refused', async () => {
        const now = await linkNow(replica, '');
        return now !== undefined && now.ioErrno !== 0 && now;
      });
      assert.equal(link.ioErrno, 2026);
      await Promise.all([source, replica].map((server) => server.stop()));
    });
  },
);
