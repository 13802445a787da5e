import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { walk } from '../../../src/sql/binlog/walk.ts';
import { attach, ownPosition } from '../../support/link.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';

// Two primaries that follow each other, each with a domain of its own. `a` is written to before it caught up with `b`; the
// replica came from `b`, so it has what `a` applied later than its own new transactions.
await enterSandbox();
let a: MariaDbServer;
let b: MariaDbServer;
let replica: MariaDbServer;

before(async () => {
  const start = async (name: string, serverId: number, domain: number) =>
    startMariaDb({
      name,
      serverId,
      server: { 'log-slave-updates': true, 'gtid-domain-id': domain, 'binlog-format': 'ROW' },
    });
  [a, b, replica] = await Promise.all([start('a', 1, 1), start('b', 2, 2), start('r', 101, 0)]);
  for (const server of [a, b, replica]) {
    await server.sql(`SET sql_log_bin=0; CREATE USER repl IDENTIFIED BY 'p';
      GRANT REPLICATION SLAVE, SLAVE MONITOR, BINLOG MONITOR ON *.* TO repl`);
  }
  await follow(b, a);
  await a.sql('CREATE DATABASE app; CREATE TABLE app.t (id INT PRIMARY KEY, v INT); CREATE TABLE app.u LIKE app.t');
  await a.sql('INSERT INTO app.t VALUES (1, 0), (2, 0); INSERT INTO app.u VALUES (1, 0)');
  await follow(a, b);
  await follow(replica, b);
  await reach(b, a);
  await reach(replica, b);
});
after(async () => Promise.all([replica.stop(), a.stop(), b.stop()]));

test('each domain goes on at its own place: nothing is missing and nothing comes twice', async () => {
  await interleave({ onB: 'INSERT INTO app.t VALUES (?, 0)', onA: 'INSERT INTO app.u VALUES (?, 0)', from: 10 });
  assert.deepEqual(await rows(replica), await rows(a));
  assert.deepEqual([...(await tablesLogged())].sort(), ['app.t', 'app.u']);
  await backToB();
});

test('where both changed one row, the replica ends as the member does that it came from, and nobody stops', async () => {
  await interleave({
    onB: 'UPDATE app.t SET v = ? WHERE id = 1',
    onA: 'UPDATE app.t SET v = 100 + ? WHERE id = 1',
    from: 20,
  });
  assert.notDeepEqual(await rows(replica), await rows(a));
  assert.deepEqual(await rows(replica), await rows(b));
  assert.equal((await replica.row('SHOW SLAVE STATUS'))['Slave_SQL_Running'], 'Yes');
});

interface Writes {
  readonly onB: string;
  readonly onA: string;
  /** The value of the first write. */
  readonly from: number;
}

/** `a` writes before it applies what `b` wrote, which the replica has already; then the replica attaches to `a`. */
async function interleave({ onB, onA, from }: Writes): Promise<void> {
  await Promise.all([a.sql('STOP SLAVE'), b.sql('STOP SLAVE')]);
  for (const value of [from, from + 1]) await b.sql(onB, [value]);
  await reach(replica, b);
  await replica.sql('STOP SLAVE');
  for (const value of [from, from + 1]) await a.sql(onA, [value]);
  await a.sql('START SLAVE');
  await reach(a, b);
  await a.sql('INSERT INTO app.u VALUES (?, 0)', [from + 2]);
  await attach(replica, linkTo(a, (await replica.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'] ?? ''));
  await b.sql('START SLAVE');
  await reach(b, a);
  await reach(replica, a);
}

/** The tables whose rows changed, as a proof reads them. */
async function tablesLogged(): Promise<ReadonlySet<string>> {
  const target = {
    name: 'a',
    host: '127.0.0.1',
    port: a.port,
    user: 'repl',
    password: 'p',
    tls: { mode: 'Disabled' },
  } as const;
  const from = { file: 'a-bin.000001', position: 4 };
  const bounds = { from, through: null, firstOnly: false };
  const { transactions } = await walk(target, bounds, { deadlineMs: 10_000, maxBytes: 1024 * 1024 });
  return new Set(
    transactions
      .filter(({ content }) => content.kind === 'rows')
      .flatMap(({ content }) => content.tables.map(({ name }) => name)),
  );
}

async function backToB(): Promise<void> {
  await replica.sql('STOP SLAVE');
  await follow(replica, b);
  await reach(replica, b);
}

async function follow(server: MariaDbServer, source: MariaDbServer): Promise<void> {
  await attach(server, linkTo(source, (await server.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'] ?? ''));
}

function linkTo(source: MariaDbServer, gtid: string) {
  const account = { user: 'repl', password: 'p' };
  const from = { gtid, file: '', position: 0 };
  return { host: '127.0.0.1', port: source.port, account, mode: 'gtid', from } as const;
}

async function reach(server: MariaDbServer, source: MariaDbServer): Promise<void> {
  const { gtid } = await ownPosition(source);
  await until(`${server.name} has ${gtid}`, async () => {
    const row = await server.row('SELECT MASTER_GTID_WAIT(?, 0) AS reached', [gtid]);
    return row['reached'] === '0';
  });
}

async function rows(server: MariaDbServer): Promise<unknown> {
  return server.sql('SELECT "t" AS name, id, v FROM app.t UNION ALL SELECT "u", id, v FROM app.u ORDER BY 1, 2');
}
