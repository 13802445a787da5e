import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { formatGtid } from '../../../src/domain/gtid.ts';
import { newestFiles } from '../../../src/observe/binlog-files.ts';
import { relayedFirst } from '../../../src/observe/relayed.ts';
import type { DumpLimits } from '../../../src/sql/binlog/dump.ts';
import { loggedSince } from '../../../src/sql/binlog/logged.ts';
import { lastOwnWrite } from '../../../src/sql/binlog/own-write.ts';
import { transactionAt } from '../../../src/sql/binlog/transaction.ts';
import { openSession } from '../../../src/sql/connection.ts';
import type { SqlSession, SqlTarget } from '../../../src/sql/port.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';

// A replica that services write to, in the source's own domain: its binlog has both, and numbers of both.
await enterSandbox();
const LIMITS: DumpLimits = { deadlineMs: 10_000, maxBytes: 64 * 1024 * 1024 };
const GRANTS = 'REPLICATION SLAVE, SLAVE MONITOR, BINLOG MONITOR';
let source: MariaDbServer;
let replica: MariaDbServer;

before(async () => {
  source = await startMariaDb({ name: 'source', serverId: 1 });
  replica = await startMariaDb({ name: 'replica', serverId: 101, server: { 'log-slave-updates': true } });
  for (const server of [source, replica]) {
    await server.sql(`SET sql_log_bin=0; CREATE USER repl IDENTIFIED BY 'p'; GRANT ${GRANTS} ON *.* TO repl`);
  }
  await source.sql('CREATE DATABASE app; CREATE TABLE app.t (a INT)');
  await replica.sql(
    `CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=?, MASTER_USER='repl', MASTER_PASSWORD='p',
       MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos; START SLAVE`,
    [source.port],
  );
  await writes(source, 1);
  // 0-101-4 and 0-101-5, before 0-1-4 arrives.
  await replica.sql('CREATE DATABASE service; INSERT INTO app.t VALUES (1001)');
  await writes(source, 2);
  await writes(source, 3);
});
after(async () => {
  await replica.stop();
  await source.stop();
});

test('a transaction is found behind own writes that took its number before it arrived', async () => {
  const there = await transactionAt(targetOf(source), '0-1-4', LIMITS);
  const here = await transactionAt(targetOf(replica), '0-1-4', LIMITS);
  assert.equal(here?.summary, 'INSERT INTO app.t VALUES (2)');
  assert.equal(here.digest, there?.digest);
});

test('what it logged after a transaction, its own writes too', async () => {
  const logged = await loggedSince(targetOf(replica), { domain: 0, after: '0-1-3' }, LIMITS);
  assert.deepEqual(logged?.map(formatGtid), ['0-101-4', '0-101-5', '0-1-4', '0-1-5']);
  const lacks = { domain: 0, after: '0-1-500' };
  assert.equal(await loggedSince(targetOf(replica), lacks, LIMITS), null);
  const bounded = { ...LIMITS, maxBytes: 100 };
  assert.equal(await loggedSince(targetOf(replica), { domain: 0, after: '0-1-3' }, bounded), null);
});

test('what it logged in a domain from its beginning, and nothing of another one', async () => {
  await replica.sql('SET SESSION gtid_domain_id=7; CREATE TABLE service.s (a INT); INSERT INTO service.s VALUES (1)');
  const logged = await loggedSince(targetOf(replica), { domain: 7, after: null }, LIMITS);
  assert.deepEqual(logged?.map(formatGtid), ['7-101-1', '7-101-2']);
  const before = await loggedSince(targetOf(replica), { domain: 8, after: null }, LIMITS);
  assert.deepEqual(before, [], 'it never had that one');
});

test('its last own write to a table, whoever else wrote to it later', async () => {
  const from = await onReplica((session) => newestFiles(session, LIMITS.maxBytes, LIMITS));
  assert.deepEqual(from, { file: 'replica-bin.000001', position: 4 });
  const ask = { serverId: 101, from, key: null } as const;
  const found = await lastOwnWrite(targetOf(replica), { ...ask, table: 'app.t' }, LIMITS);
  assert.equal(found === null ? null : formatGtid(found.gtid), '0-101-5');
  assert.deepEqual([found?.statement, found?.wroteKey], ['INSERT INTO app.t VALUES (?)', false]);
  assert.equal(await lastOwnWrite(targetOf(replica), { ...ask, table: 'app.other' }, LIMITS), null);
  assert.equal(await lastOwnWrite(targetOf(replica), { ...ask, serverId: 7, table: 'app.t' }, LIMITS), null);
});

test('its relay log begins with what it was sent first since its source started again', async () => {
  await source.kill9();
  await source.start();
  await writes(source, 4);
  await writes(source, 5);
  assert.equal(await first(), '0-1-6');
  await source.restart();
  await writes(source, 6);
  assert.equal(await first(), '0-1-8');
  // What a person does changes the connection, and what is told.
  await replica.sql('STOP SLAVE IO_THREAD; START SLAVE IO_THREAD');
  await writes(source, 7);
  assert.equal(await first(), '0-1-9');
});

async function first(): Promise<string | null> {
  const gtid = await onReplica((session) => relayedFirst(session, '', LIMITS));
  return gtid === null ? null : formatGtid(gtid);
}

async function onReplica<T>(ask: (session: SqlSession) => Promise<T>): Promise<T> {
  const session = await openSession(targetOf(replica), { deadlineMs: 10_000 });
  try {
    return await ask(session);
  } finally {
    session.destroy();
  }
}

/** One transaction on the source, which the replica has applied when it resolves. */
async function writes(server: MariaDbServer, value: number): Promise<void> {
  await server.sql('INSERT INTO app.t VALUES (?)', [value]);
  const { gtid } = await server.row('SELECT @@gtid_binlog_pos AS gtid');
  await until(`the replica has applied ${gtid}`, async () => {
    return (await replica.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'] === gtid;
  });
}

function targetOf(server: MariaDbServer): SqlTarget {
  const tls = { mode: 'Disabled' } as const;
  return { name: server.name, host: '127.0.0.1', port: server.port, user: 'repl', password: 'p', tls };
}

test('the very key, by row and by statement, whatever stands beside it in the row; never a value but for the key', async () => {
  const all = `i TINYINT, f FLOAT, g DOUBLE, d DATE, t TIME(3), dt DATETIME(6), ts TIMESTAMP NULL, y YEAR, n DECIMAL(12,5), b BIT(9), e ENUM('a','b'), st SET('x','y'), c CHAR(20), v VARCHAR(300), tx TEXT, bl BLOB, big BIGINT UNSIGNED`;
  await replica.sql(`CREATE TABLE service.k (${all}, id INT, name VARCHAR(40), PRIMARY KEY (id, name))`);
  const row = (id: number, name: string): string =>
    `INSERT INTO service.k VALUES (-1, 1.5, 2.5, '2026-03-01', '11:00:00.5', NOW(6), NOW(), 2026, -12345.6, b'101', 'b', 'x,y', 'char', REPEAT('v', 290), REPEAT('t', 60000), NULL, 18446744073709551615, ${id}, '${name}')`;
  const own: Record<string, string> = {};
  for (const format of ['ROW', 'STATEMENT']) {
    // The server prints `-` between the values of a key, and values have it, too.
    for (const [id, name] of [
      [-7, format],
      [8, format],
      [8, `x-${format}`],
    ] as const) {
      const { gtid } = await replica.row(`SET binlog_format=${format}; ${row(id, name)}; SELECT @@last_gtid AS gtid`);
      own[`${id}-${name}`] = gtid ?? '';
    }
  }
  const from = await onReplica((session) => newestFiles(session, LIMITS.maxBytes, LIMITS));
  assert.ok(from);
  for (const [key, gtid] of Object.entries(own)) {
    const found = await lastOwnWrite(targetOf(replica), { serverId: 101, table: 'service.k', key, from }, LIMITS);
    assert.deepEqual([found === null ? null : formatGtid(found.gtid), found?.wroteKey], [gtid, true], key);
    assert.match(found?.statement ?? '', /INSERT INTO service\.k VALUES \(\?, \?, \?/, 'also of rows');
    assert.doesNotMatch(found?.statement ?? '', /char|2026|12345|STATEMENT/);
  }
  const other = await lastOwnWrite(
    targetOf(replica),
    { serverId: 101, table: 'service.k', key: '9-ROW', from },
    LIMITS,
  );
  assert.deepEqual([other === null ? null : formatGtid(other.gtid), other?.wroteKey], [own['8-x-STATEMENT'], false]);
});
