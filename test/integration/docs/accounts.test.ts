import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { accountsSql, accountsStatement, grantsOf } from '../../support/accounts-page.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { type TestSession, openSession } from '../../support/mariadb-sql.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { PASSWORD } from '../observe/servers.ts';
import { PublisherProcess } from '../publisher/process.ts';

await enterSandbox();
const BINLOG = { 'log-bin': 'binlog', 'log-slave-updates': true };

describe('the accounts of docs/accounts.md', { timeout: 120_000 }, () => {
  let source: MariaDbServer;
  let replica: MariaDbServer;

  before(async () => {
    source = await startMariaDb({ serverId: 1, server: BINLOG });
    replica = await startMariaDb({ serverId: 2, server: BINLOG });
    await source.sql(accountsSql('member'));
    await replica.sql(accountsSql('replica'));
  });
  after(async () => {
    await source.stop();
    await replica.stop();
  });

  async function as(server: MariaDbServer, user: string, password: string): Promise<TestSession> {
    return openSession({ name: user, user, password, host: server.host, port: server.port });
  }

  async function refuses(session: TestSession, ...statements: readonly string[]): Promise<void> {
    for (const statement of statements) await assert.rejects(session.sql(statement), /denied/u, statement);
  }

  it('leave no trace in the binlog of a replica', async () => {
    assert.deepEqual(await replica.sql('SELECT @@gtid_binlog_pos AS pos'), [{ pos: '' }]);
  });

  it('suffice to follow, and for nothing else', async () => {
    const acting = await as(replica, 'mxr_replica', 'change-me-replica');
    await acting.sql('SET GLOBAL slave_net_timeout = 8; SET GLOBAL read_only = 1');
    await acting.sql(
      `CHANGE MASTER TO MASTER_HOST='${source.host}', MASTER_PORT=${source.port}, MASTER_USER='mxr_repl',
       MASTER_PASSWORD='change-me-repl', MASTER_USE_GTID=slave_pos, MASTER_SSL=0; START SLAVE`,
    );
    await source.sql('CREATE DATABASE shop; CREATE TABLE shop.orders (id INT); INSERT INTO shop.orders VALUES (1)');
    await until(
      'the row arrives on the replica',
      async () => (await replica.sql('SELECT COUNT(*) AS n FROM shop.orders').catch(() => []))[0]?.['n'] === '1',
      { deadlineMs: 20_000 },
    );
    const status = await acting.sql('SHOW ALL SLAVES STATUS');
    assert.equal(status[0]?.['Slave_IO_Running'], 'Yes');
    for (const statement of ['SHOW MASTER STATUS', 'SHOW BINARY LOGS', 'SHOW RELAYLOG EVENTS LIMIT 1', 'STOP SLAVE']) {
      await acting.sql(statement);
    }
    await acting.sql('START SLAVE');
    await refuses(acting, 'SELECT * FROM shop.orders', 'CREATE DATABASE x', 'RESET MASTER', 'SET sql_log_bin = 0');
    acting.close();
  });

  it('suffice to look at a member, and for nothing else', async () => {
    const looking = await as(source, 'mxr_look', 'change-me-look');
    for (const statement of ['SHOW MASTER STATUS', 'SHOW BINARY LOGS', 'SHOW ALL SLAVES STATUS']) {
      await looking.sql(statement);
    }
    await until(
      'the dump connection of the replica shows',
      async () => {
        const dumps = await looking.sql(
          "SELECT host FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'",
        );
        return dumps.length === 1;
      },
      { deadlineMs: 20_000 },
    );
    const [row] = await looking.sql("SELECT GET_LOCK('x', 0) AS l, IS_USED_LOCK('x') = CONNECTION_ID() AS mine");
    assert.deepEqual(row, { l: '1', mine: '1' });
    await refuses(
      looking,
      'SELECT * FROM shop.orders',
      'STOP SLAVE',
      'SET GLOBAL read_only = 1',
      'CREATE DATABASE x',
      'PURGE BINARY LOGS BEFORE NOW()',
    );
    looking.close();
  });

  it('let the publisher say all that it has to, without PROCESS, and each grant is missed', async (t) => {
    const { sql, params } = accountsStatement('publisher', { mxr_publisher: PASSWORD });
    assert.deepEqual(grantsOf('mxr_publisher'), ['SLAVE MONITOR', 'BINLOG MONITOR']);
    for (const server of [source, replica]) await server.sql(`SET sql_log_bin = 0; ${sql}`, params);
    for (const [name, server] of Object.entries({ source, replica })) {
      const publisher = await PublisherProcess.start({ name, server, user: 'mxr_publisher' });
      t.after(async () => publisher.end('SIGKILL'));
      const answers = ({ databaseAnswers }: { databaseAnswers: boolean }) => databaseAnswers;
      const said = await publisher.coordinatesWhen('it says what it sees', answers);
      const [shown] = await server.sql('SHOW MASTER STATUS');
      const [{ gtid } = { gtid: '' }] = await server.sql('SELECT @@gtid_binlog_state AS gtid');
      assert.deepEqual([said.file, said.gtidBinlogState], [shown?.['File'], gtid]);
      for (const grant of grantsOf('mxr_publisher')) {
        await server.sql(`SET sql_log_bin = 0; REVOKE ${grant} ON *.* FROM mxr_publisher; KILL USER mxr_publisher`);
        await publisher.coordinatesWhen(`it misses ${grant}`, (now) => !answers(now));
        await server.sql(`SET sql_log_bin = 0; GRANT ${grant} ON *.* TO mxr_publisher; KILL USER mxr_publisher`);
        await publisher.coordinatesWhen(`it has ${grant} again`, answers);
      }
    }
  });

  it('let the replication account do nothing but replicate', async () => {
    const replicating = await as(source, 'mxr_repl', 'change-me-repl');
    await refuses(
      replicating,
      'SHOW MASTER STATUS',
      'SHOW ALL SLAVES STATUS',
      'SELECT * FROM shop.orders',
      'STOP SLAVE',
      'SET GLOBAL read_only = 1',
    );
    replicating.close();
  });
});
