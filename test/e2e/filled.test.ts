import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { HandoverRecord, Status } from '../../src/api/v1alpha1.ts';
import type { Replica } from '../support/bench.ts';
import { assertRight, judge } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import { openSession } from '../support/mariadb-sql.ts';
import type { Member } from '../support/member.ts';
import { until } from '../support/wait.ts';
import { makeCertificates } from '../support/certificates.ts';
import { begin, calm } from './support/begin.ts';
import type { Boundary } from './support/killed-operator.ts';
import { boundaries, dies, LEASE, startArmedOperator } from './support/killed-operator.ts';
import type { Positioned } from './support/modes.ts';
import { positionings } from './support/modes.ts';
import { PUBLISHER_PORT, PUBLISHER_TOKEN, PublisherProcess } from './support/publisher-process.ts';
import { allReached, insertAt, onlyServe } from './support/refusal.ts';
import { NAMESPACE, Stage } from './support/stage.ts';
import type { StageOptions } from './support/stage.ts';

// The standby does not log what it applied, so it cannot give a replica what came before it took over.
const MODES = positionings({ server: { 'log-slave-updates': 0 } }, { standbyLink: 'file' });

function filling({ options }: Positioned): StageOptions {
  return { ...options, spec: { ...options.spec, policy: { onGap: 'Fill' } }, operator: { env: LEASE } };
}

let stage: Stage;

/** The primary goes on, and these replicas do not get it: the first one lacks most. Resolves with what lets them through. */
async function leftBehind(replicas: readonly Replica[]): Promise<() => Promise<void>> {
  const { bench } = stage;
  const heals: (() => Promise<void>)[] = [];
  for (const { host } of replicas) {
    heals.push(await host.drop({ direction: 'in', peer: bench.a.address }));
    await insertAt(bench.a.db, 5);
  }
  await bench.follows(bench.b.db, bench.a.db);
  return async () => {
    for (const heal of heals) await heal();
  };
}

async function positionOf({ db }: Replica): Promise<string> {
  return (await db.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'] ?? '';
}

/** How each replica came to the new holder, with the place that it came from. */
function proofsOf(handovers: readonly HandoverRecord[], to: string): string[] {
  return handovers
    .filter((record) => record.to === to)
    .flatMap(({ replicas }) => replicas)
    .filter(({ to: place }) => place.gtid !== undefined)
    .map(({ pod, proof, from, to: place }) => `${pod} ${proof} from ${from.gtid} to ${place.gtid}`)
    .toSorted();
}

/** All follow, it is recorded, and no handover is open any more. */
async function allFollow(what: string): Promise<Status> {
  return stage.statusIs(
    what,
    ({ following, holder, intent }) => following === '3/3' && holder === 'hci-b' && intent === undefined,
    60_000,
  );
}

async function rightWith(rows: number): Promise<void> {
  const { bench } = stage;
  await insertAt(bench.b.db, rows);
  await allReached(bench, bench.replicas, bench.b.db);
  await assertRight(bench, bench.b);
  for (const { db } of bench.replicas) {
    const link = await slaveStatus(db);
    assert.deepEqual([link?.['Master_Host'], link?.['Until_Condition']], [bench.b.address, 'None'], db.name);
  }
}

/** No two replicas have as much, and none as much as the standby; the old primary alone has more, which nobody may take in. */
async function nobodyHasAll(): Promise<{ heal: () => Promise<unknown>; from: readonly string[] }> {
  const { bench } = stage;
  await calm(stage);
  const heal = await leftBehind(bench.replicas);
  await bench.b.db.sql('STOP SLAVE IO_THREAD');
  await insertAt(bench.a.db, 2);
  const from = await Promise.all(bench.replicas.map(positionOf));
  assert.equal(new Set(from).size, 3);
  return { heal, from };
}

async function allFilled(from: readonly string[]): Promise<void> {
  const { handovers } = await allFollow('all replicas follow hci-b');
  const taken = (await stage.bench.b.db.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'];
  assert.deepEqual(
    proofsOf(handovers, 'hci-b'),
    from.map((gtid, index) => `r${index + 1} Filled from ${gtid} to ${taken}`),
  );
}

for (const mode of MODES) {
  describe(`the old primary is dead, and one replica has what the others lack, ${mode.name}`, () => {
    before(async () => {
      stage = await begin(filling(mode));
    });
    after(async () => stage.close());

    test('they are filled from it up to the takeover point, and follow the new holder like any other', async () => {
      const { bench } = stage;
      const [r1, r2, r3] = bench.replicas;
      assert.ok(r1 && r2 && r3);
      await calm(stage);
      const start = await positionOf(r1);
      const heal = await leftBehind([r3, r2]);
      await allReached(bench, [r1], bench.a.db);
      const [taken, halfWay] = [await positionOf(r1), await positionOf(r2)];
      const { user, password } = bench.accounts.replication;
      await r1.db.sql(`SET sql_log_bin=0; DROP USER ?@'%'`, [user]);

      await bench.a.powerOff();
      await bench.holderIs(bench.b);
      await insertAt(bench.b.db, 3);
      await heal();
      await stage.statusIs('r1 does not let them in, and the message says what would', ({ replicas }) =>
        replicas
          .slice(1)
          .every(({ verdict, message }) => verdict === 'Behind' && /r1 could.*replicationUsername/.test(message)),
      );
      const account = `CREATE USER ?@'%' IDENTIFIED BY ?; GRANT REPLICATION SLAVE ON *.* TO ?@'%'`;
      await r1.db.sql(`SET sql_log_bin=0; ${account}`, [user, password, user]);

      const { handovers } = await allFollow('all replicas follow hci-b');
      assert.deepEqual(proofsOf(handovers, 'hci-b'), [
        `r1 TakeoverPoint from ${taken} to ${taken}`,
        `r2 Filled from ${halfWay} to ${taken}`,
        `r3 Filled from ${start} to ${taken}`,
      ]);
      await rightWith(3);
    });
  });
}

for (const mode of MODES) {
  describe(`the old primary is dead, its disk is not, and nobody else has what the replicas lack, ${mode.name}`, () => {
    let publisher: PublisherProcess;

    before(async () => {
      stage = await Stage.open(filling(mode));
      const { bench, api } = stage;
      const { a, b, op } = bench;
      const certificates = makeCertificates(join(a.host.directory, 'certificates'), `IP:${a.address}`);
      const { base } = await a.db.row('SELECT @@log_bin_basename AS base');
      publisher = await PublisherProcess.start(bench, a, certificates, [`--binlog=${base}`]);
      await api.createSecret(NAMESPACE, 'orders-publisher', { token: PUBLISHER_TOKEN, 'ca.crt': certificates.ca });
      await stage.startOperator({ MXR_FILL_PORT: '9481', MXR_POD_IP: op.address });
      const url = `https://${a.address}:${PUBLISHER_PORT}`;
      await stage.createResource({
        members: [
          { name: a.name, host: a.address, publisher: { url } },
          { name: b.name, host: b.address },
        ],
        publisherAuth: { secretName: 'orders-publisher' },
      });
    });
    after(async () => {
      await publisher?.kill9();
      await stage.close();
    });

    test('each is filled from the binlog files that it left, up to the takeover point', async () => {
      const { bench } = stage;
      const { heal, from } = await nobodyHasAll();

      await bench.a.kill9();
      await bench.holderIs(bench.b);
      await heal();
      await insertAt(bench.b.db, 3);

      await allFilled(from);
      await stage.operator.says('what a replica lacked was handed out from files');
      await rightWith(3);
    });
  });
}

const KILLED: readonly (Boundary | null)[] =
  process.env['MXR_FULL'] === '1'
    ? [null, ...boundaries(['STOP SLAVE', 'CHANGE MASTER', 'START SLAVE'])]
    : [null, 'after START SLAVE'];
/** It dies in the first mode only. */
const DEATHS = MODES.flatMap((mode) =>
  KILLED.filter((one) => one === null || mode === MODES[0]).map((boundary) => ({ mode, boundary })),
);

for (const { mode, boundary } of DEATHS) {
  const killed = boundary === null ? '' : `, and mxr is killed ${boundary}`;
  describe(`no replica has all of it, and the old primary comes back with more than anybody has${killed}, ${mode.name}`, () => {
    before(async () => {
      stage = await begin(filling(mode));
    });
    after(async () => stage.close());

    test('each is filled from it up to the takeover point: behind by different amounts, they end at one place', async () => {
      const { bench } = stage;
      const { heal, from } = await nobodyHasAll();

      await bench.a.kill9();
      await bench.holderIs(bench.b);
      await heal();
      const { replicas } = await stage.statusIs('every replica is behind', (status) =>
        status.replicas.every(
          ({ verdict, message }) => verdict === 'Behind' && /Nobody can fill it: hci-a/.test(message),
        ),
      );
      assert.match(replicas[0]?.message ?? '', /replica r2 does not have 0-1-\d+ in its binlog/);

      await comesBack(boundary);

      await allFilled(from);
      await rightWith(3);
    });
  });
}

test('a replica that restarts while it is filled forgets where that ends: what it gets beyond is listed, and it goes no further', async () => {
  const options = filling({ name: '', by: 'gtid', options: { bench: { server: { 'log-slave-updates': 0 } } } });
  stage = await begin(options);
  try {
    const { bench } = stage;
    const [r1] = bench.replicas;
    assert.ok(r1);
    const { heal } = await nobodyHasAll();
    const more = await lastTwo(bench.a);

    await bench.a.kill9();
    await bench.holderIs(bench.b);
    await heal();
    await insertAt(bench.b.db, 3);
    // Its applier waits in the middle.
    const session = await openSession({ name: 'r1', user: 'root', socketPath: r1.db.socket });
    await session.sql('LOCK TABLES app.plain WRITE');
    await bench.a.db.start();
    await until('r1 is being filled', async () => (await slaveStatus(r1.db))?.['Until_Condition'] === 'Gtid');
    await r1.db.kill9();
    session.close();
    await r1.db.start();
    assert.equal((await slaveStatus(r1.db))?.['Until_Condition'], 'None', 'it started by itself, without an end');

    const isTold = ({ pod, verdict }: Status['replicas'][number]): boolean =>
      verdict === (pod === 'r1' ? 'Ahead' : 'Following');
    const status = await stage.statusIs(
      'r1 is ahead, the others were filled up to the takeover point and follow hci-b',
      ({ holder, replicas }) =>
        holder === 'hci-b' && replicas.every(isTold) && replicas[0]?.transactions?.bytes !== undefined,
      60_000,
    );
    assert.deepEqual(status.replicas[0]?.transactions?.gtids, more);
    await onlyServe(stage, ['r2', 'r3']);
    await until('r1 receives nothing', async () => (await slaveStatus(r1.db))?.['Slave_IO_Running'] === 'No');
    await insertAt(bench.b.db, 3);
    const rest = bench.replicas.slice(1);
    await allReached(bench, rest, bench.b.db);
    const judgements = await judge(bench, bench.b, { replicas: rest });
    assert.deepEqual(
      judgements.flatMap(({ findings }) => findings),
      [],
    );
    const [of] = await r1.db.sql("SELECT COUNT(*) AS n FROM app.plain WHERE token LIKE 'hci-b-%'");
    assert.equal(of?.['n'], '0', 'nothing of the new holder');
  } finally {
    await stage.close();
  }
});

/** What a server wrote last. */
async function lastTwo({ db }: Member): Promise<string[]> {
  const { gtid } = await db.row('SELECT @@gtid_binlog_pos AS gtid');
  return [1, 0].map((back) => (gtid ?? '').replace(/\d+$/, (seq) => String(Number(seq) - back)));
}

async function comesBack(boundary: Boundary | null): Promise<void> {
  const { bench } = stage;
  if (boundary === null) {
    await bench.a.db.start();
    return;
  }
  await stage.operator.stop();
  // Nothing is done before the old primary is there.
  const operator = await startArmedOperator(stage, boundary);
  await bench.a.db.start();
  try {
    await dies(stage, operator);
  } finally {
    await operator.kill9();
  }
  await stage.startOperator();
}
