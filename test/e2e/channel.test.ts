import assert from 'node:assert/strict';
import { after, before as beforeAll, test } from 'node:test';
import type { Bench } from '../support/bench.ts';
import { slaveStatus } from '../support/link.ts';
import { MariaDbServer } from '../support/mariadb.ts';
import { until } from '../support/wait.ts';
import { movesUnderWrites } from './support/moves.ts';
import { Stage } from './support/stage.ts';

const CHANNEL = 'orders';
const OTHER = { channel: 'stock', host: '10.77.0.70', serverId: 70, domain: 7 } as const;
/** What a person has configured of a channel. */
const SETTINGS = [
  'Connection_name',
  'Master_Host',
  'Master_Port',
  'Master_User',
  'Connect_Retry',
  'Using_Gtid',
  'SQL_Delay',
  'Slave_heartbeat_period',
  'Master_SSL_Allowed',
  'Replicate_Wild_Ignore_Table',
] as const;

// Each replica has a link to the pair, and another to a server that mxr knows nothing of.
let stage: Stage;
let other: MariaDbServer;
let before: readonly Channel[];

beforeAll(async () => {
  stage = await Stage.open({
    bench: { replicas: { channel: CHANNEL } },
    spec: { link: { channel: CHANNEL } },
  });
  const { bench } = stage;
  other = await startOther(bench);
  for (const { db } of bench.replicas) await attachOther(bench, db);
  before = await channels();
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

test('the channel is adopted, the other one is as it was', async () => {
  await stage.following('hci-a');
  await assertOtherUntouched();
});

test('a planned move and back: the other channel is never touched, and goes on', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await movesUnderWrites(stage, { from: a, to: b, fault: async () => a.planned() });
  await assertOtherUntouched();
  await bench.rejoin(a, 'keep');
  await movesUnderWrites(stage, { from: b, to: a, fault: async () => b.planned() });
  await assertOtherUntouched();
});

/** A source of its own, with a GTID domain of its own, as MariaDB wants it for several sources. */
async function startOther(bench: Bench): Promise<MariaDbServer> {
  const host = await bench.network.addHost('other', OTHER.host);
  const server = new MariaDbServer({
    name: host.name,
    serverId: OTHER.serverId,
    host: host.address,
    bindAddress: '0.0.0.0',
    port: bench.vip.port,
    enter: host.enter,
    server: { 'gtid-domain-id': OTHER.domain },
    tools: bench.tools.mariadb,
    cache: bench.tools.cache,
  });
  await server.start();
  const { user, password } = bench.accounts.replication;
  await server.sql("SET sql_log_bin=0; CREATE USER ?@'%' IDENTIFIED BY ?; GRANT REPLICATION SLAVE ON *.* TO ?@'%'", [
    user,
    password,
    user,
  ]);
  await server.sql('CREATE DATABASE stock; CREATE TABLE stock.items (id INT PRIMARY KEY AUTO_INCREMENT)');
  return server;
}

async function attachOther({ accounts, vip }: Bench, db: MariaDbServer): Promise<void> {
  const { user, password } = accounts.replication;
  const own = 'MASTER_CONNECT_RETRY=7, MASTER_HEARTBEAT_PERIOD=3, MASTER_USE_GTID=slave_pos';
  await db.sql(
    `CHANGE MASTER '${OTHER.channel}' TO MASTER_HOST=?, MASTER_PORT=?, MASTER_USER=?, MASTER_PASSWORD=?, ${own};
     START SLAVE '${OTHER.channel}'`,
    [OTHER.host, vip.port, user, password],
  );
  await reached(db);
}

/** Resolves when a replica has applied all that the other source has written. */
async function reached(db: MariaDbServer): Promise<void> {
  const end = await other.row('SHOW MASTER STATUS');
  await until(`${db.name} has all of the other source`, async () => {
    const status = await slaveStatus(db, OTHER.channel);
    const [file, position] = [status?.['Relay_Master_Log_File'], status?.['Exec_Master_Log_Pos']];
    return file === end['File'] && position === end['Position'];
  });
}

interface Channel {
  readonly pod: string;
  readonly settings: Readonly<Record<string, string | null | undefined>>;
  /** Connection at the other source: a link that was stopped has another one afterwards. */
  readonly dump: readonly string[];
  /** Ids of the applier threads, of every channel. */
  readonly appliers: readonly string[];
}

async function channels(): Promise<Channel[]> {
  return Promise.all(
    stage.bench.replicas.map(async ({ name, host, db }) => {
      const status = await slaveStatus(db, OTHER.channel);
      const settings = Object.fromEntries(SETTINGS.map((field) => [field, status?.[field]]));
      const dump = await other.sql(
        "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%' AND host LIKE ?",
        [`${host.address}:%`],
      );
      const appliers = await db.sql("SELECT id FROM information_schema.processlist WHERE command = 'Slave_SQL'");
      return { pod: name, settings, dump: idsOf(dump), appliers: idsOf(appliers) };
    }),
  );
}

function idsOf(rows: readonly Readonly<Record<string, string | null>>[]): string[] {
  return rows.map((row) => row['id'] ?? '').toSorted();
}

async function assertOtherUntouched(): Promise<void> {
  await other.sql('INSERT INTO stock.items VALUES ()');
  const [{ n: rows } = { n: null }] = await other.sql('SELECT COUNT(*) AS n FROM stock.items');
  const now = await channels();
  for (const [index, { name, db }] of stage.bench.replicas.entries()) {
    await reached(db);
    assert.equal((await db.row('SELECT COUNT(*) AS n FROM stock.items'))['n'], rows, name);
    const [then, channel] = [before[index], now[index]];
    assert.deepEqual(channel?.settings, then?.settings, name);
    assert.deepEqual(channel?.dump, then?.dump, `${name}: the other link was stopped`);
    const kept = channel?.appliers.filter((id) => then?.appliers.includes(id)) ?? [];
    // That of the channel that mxr leads was started anew.
    assert.equal(kept.length, 1, `${name}: of the appliers ${then?.appliers.join()} are left ${kept.join()}`);
  }
}
