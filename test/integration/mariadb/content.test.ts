import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { formatGtid } from '../../../src/domain/gtid.ts';
import type { DumpLimits } from '../../../src/sql/binlog/dump.ts';
import { transactionAt } from '../../../src/sql/binlog/transaction.ts';
import type { Transaction } from '../../../src/sql/binlog/transactions.ts';
import { walkGtid } from '../../../src/sql/binlog/walk.ts';
import type { SqlTarget } from '../../../src/sql/port.ts';
import { type MariaDbServer, type ServerOptions, startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { WORKLOAD } from './workload.ts';

await enterSandbox();
const LIMITS: DumpLimits = { deadlineMs: 10_000, maxBytes: 64 * 1024 * 1024 };

function targetOf(server: MariaDbServer): SqlTarget {
  const tls = { mode: 'Disabled' } as const;
  return { name: server.name, host: '127.0.0.1', port: server.port, user: 'repl', password: 'p', tls };
}

async function start(name: string, serverId: number, server: ServerOptions = {}): Promise<MariaDbServer> {
  const started = await startMariaDb({ name, serverId, server: { 'log-slave-updates': true, ...server } });
  await started.sql("SET sql_log_bin=0; CREATE USER repl IDENTIFIED BY 'p'; GRANT REPLICATION SLAVE ON *.* TO repl");
  return started;
}

function follow(replica: MariaDbServer, primary: MariaDbServer): Promise<unknown> {
  return replica.sql(
    `CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=?, MASTER_USER='repl', MASTER_PASSWORD='p',
       MASTER_USE_GTID=slave_pos; START SLAVE`,
    [primary.port],
  );
}

async function caughtUp(replica: MariaDbServer, primary: MariaDbServer): Promise<void> {
  const { gtid } = await primary.row('SELECT @@gtid_binlog_pos AS gtid');
  await until(`${replica.name} has applied ${gtid}`, async () => {
    return (await replica.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'] === gtid;
  });
}

async function transactionsOf(server: MariaDbServer): Promise<readonly Transaction[]> {
  const bounds = { gtid: '', strict: true, through: null, firstOnly: false };
  const { transactions, truncated } = await walkGtid(targetOf(server), bounds, LIMITS);
  assert.equal(truncated, null);
  return transactions;
}

describe('the content of transactions, on servers that have them from each other', { timeout: 120_000 }, () => {
  let primary: MariaDbServer;
  let plain: MariaDbServer;
  let compressing: MariaDbServer;

  before(async () => {
    primary = await start('primary', 1);
    plain = await start('plain', 2, { 'binlog-row-event-max-size': 1024 });
    const compression = { 'log-bin-compress': true, 'log-bin-compress-min-len': 10, 'binlog-checksum': 'NONE' };
    compressing = await start('compressing', 3, { ...compression, 'slave-parallel-threads': 4 });
    for (const replica of [plain, compressing]) await follow(replica, primary);
    await primary.sql(WORKLOAD);
    for (const replica of [plain, compressing]) await caughtUp(replica, primary);
  });
  after(async () => {
    for (const server of [primary, plain, compressing]) await server.stop();
  });

  test('is equal for every transaction: time, kind and digest', async () => {
    const [there, ...here] = [
      await transactionsOf(primary),
      await transactionsOf(plain),
      await transactionsOf(compressing),
    ];
    assert.ok(there.length > 30);
    for (const transactions of here) assert.deepEqual(transactions.map(comparable), there.map(comparable));
    const kinds = new Set(there.map(({ content }) => content.kind.replace(/ \(.*/, '')));
    assert.ok(kinds.has('rows') && kinds.has('statement') && kinds.has('mixed srs'), [...kinds].join());
  });

  test('shows no password', async () => {
    const transactions = await transactionsOf(primary);
    assert.doesNotMatch(JSON.stringify(transactions.map(({ content }) => content)), /top-secret/);
  });

  test('is different where a GTID was used twice', async () => {
    for (const server of [plain, compressing]) await server.sql('STOP SLAVE');
    const reuse = (value: string): string =>
      `SET gtid_domain_id=9, server_id=1, gtid_seq_no=1, timestamp=1800000000; ${value}`;
    const insert = (id: number): string => reuse(`INSERT INTO shop.t (id, v) VALUES (${id}, 5)`);
    await primary.sql(`SET binlog_format=ROW; ${insert(7001)}`);
    await plain.sql(`SET binlog_format=ROW; ${insert(7002)}`);
    await compressing.sql(`SET binlog_format=STATEMENT; ${insert(7001)}`);
    const [a, b, c] = [
      await transactionAt(targetOf(primary), '9-1-1', LIMITS),
      await transactionAt(targetOf(plain), '9-1-1', LIMITS),
      await transactionAt(targetOf(compressing), '9-1-1', LIMITS),
    ];
    assert.ok(a && b && c);
    assert.equal(a.kind, b.kind);
    assert.notEqual(a.digest, b.digest);
    // The same change, logged as a statement there: nobody can say.
    assert.notEqual(a.kind, c.kind);
  });

  test('is not comparable where row images are partial', async () => {
    const update = (value: number): string =>
      `SET gtid_domain_id=10, server_id=1, gtid_seq_no=1, binlog_format=ROW, binlog_row_image=MINIMAL;
       UPDATE shop.t SET v=${value} WHERE id=1`;
    await primary.sql(update(1001));
    await plain.sql(update(1002));
    const [a, b] = [
      await transactionAt(targetOf(primary), '10-1-1', LIMITS),
      await transactionAt(targetOf(plain), '10-1-1', LIMITS),
    ];
    assert.ok(a && b);
    assert.match(a.kind, /^rows of partial images/);
    assert.notEqual(a.kind, b.kind);
  });
});

/** All but the summary, which shows what each server wrote. */
function comparable({ gtid, timestamp, content }: Transaction): unknown {
  const { kind, digest, tables } = content;
  return { gtid: formatGtid(gtid), timestamp, kind, digest, tables };
}
