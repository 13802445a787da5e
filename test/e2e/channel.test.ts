import assert from 'node:assert/strict';
import { after, before as beforeAll, test } from 'node:test';
import type { Bench } from '../support/bench.ts';
import { ownPosition, slaveStatus } from '../support/link.ts';
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
/** Where it stands, and that it runs. */
const STATE = [
  'Slave_IO_Running',
  'Slave_SQL_Running',
  'Master_Log_File',
  'Read_Master_Log_Pos',
  'Relay_Master_Log_File',
  'Exec_Master_Log_Pos',
] as const;

// Each replica has a link to the pair, and another to a server that mxr knows nothing of. That one runs, and its source is
// at rest: it has written nothing that carries a GTID.
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
  return server;
}

async function attachOther({ accounts, vip }: Bench, db: MariaDbServer): Promise<void> {
  const { user, password } = accounts.replication;
  const { file, position } = await ownPosition(other);
  const own = 'MASTER_CONNECT_RETRY=7, MASTER_HEARTBEAT_PERIOD=3, MASTER_USE_GTID=no';
  await db.sql(
    `CHANGE MASTER '${OTHER.channel}' TO MASTER_HOST=?, MASTER_PORT=?, MASTER_USER=?, MASTER_PASSWORD=?, MASTER_LOG_FILE=?, MASTER_LOG_POS=?, ${own};
     START SLAVE '${OTHER.channel}'`,
    [OTHER.host, vip.port, user, password, file, position],
  );
  await until(`${OTHER.channel} of ${db.name} runs`, async () => {
    const status = await slaveStatus(db, OTHER.channel);
    return status?.['Slave_IO_Running'] === 'Yes' && status['Slave_SQL_Running'] === 'Yes';
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
      const settings = Object.fromEntries([...SETTINGS, ...STATE].map((field) => [field, status?.[field]]));
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
  for (const [index, now] of (await channels()).entries()) {
    const { pod, settings, dump, appliers } = now;
    const then = before[index];
    assert.deepEqual(settings, then?.settings, pod);
    assert.deepEqual(dump, then?.dump, `${pod}: the other link was stopped`);
    const kept = appliers.filter((id) => then?.appliers.includes(id));
    // That of the channel that mxr leads was started anew.
    assert.equal(kept.length, 1, `${pod}: of the appliers ${then?.appliers.join()} are left ${kept.join()}`);
  }
}
