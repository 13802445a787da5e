import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Replica } from '../support/bench.ts';
import { assertRight, judge } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import type { Member } from '../support/member.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { assertBound } from './support/bound.ts';
import { insertAt } from './support/refusal.ts';
import { Stage } from './support/stage.ts';
import { statementsOf } from './support/statements.ts';
import { leadVip } from './support/sticky-vip.ts';
import { Telling } from './support/telling.ts';
import { noteVerdicts } from './support/told.ts';

// Links dial the VIP. The way to it moves for new connections only, so that sessions which stand end on the member that
// was there before: alive, with heartbeats, at Yes/Yes and lag 0, for as long as nobody asks on a new connection.
let stage: Stage;

before(async () => {
  stage = await Stage.open({ spec: { link: { through: 'VIP', netTimeoutSeconds: 40 } } });
  await lead(stage.bench.a);
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

test('the VIP is on the other member, every kept session still on the old one: the fresh connection is believed', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await stage.following(a.name);
  const writer = new Writer(bench);
  await writer.writes(50, a.name);

  await a.planned();
  await bench.holderIs(b);
  await lead(b);

  await writer.writes(100, b.name);
  await stage.following(b.name, 60_000);
  await writer.stop();
  await assertRight(bench, b);
});

test('A-B-A within a moment: a session that reconnected meanwhile is kept on the standby, and is not believed', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  const [r1] = bench.replicas;
  assert.ok(r1);
  await bench.rejoin(a, 'keep');
  await stage.following(b.name);
  await stage.operator.stop();
  await leadVip(bench, [r1.host], a);
  await r1.db.sql('STOP SLAVE IO_THREAD; START SLAVE IO_THREAD');
  await isFedBy(r1, a);
  await leadVip(bench, [r1.host], b);
  const [naive] = await judge(bench, b, { replicas: [r1], settleMs: 1_000 });
  assert.deepEqual([naive?.running, naive?.sameRows, naive?.fedBy], [true, true, [a.name]], 'MariaDB is content');

  await stage.startOperator();

  await until('r1 is fed by the holder', async () => {
    const [now] = await judge(bench, b, { replicas: [r1], settleMs: 0 });
    return now?.right === true;
  });
  await stage.following(b.name);
  const writer = new Writer(bench);
  await writer.writes(50, b.name);
  await writer.stop();
  await assertRight(bench, b);
});

test('A-B-A under the eyes of mxr, with writes on both: it ends where the VIP ends', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  const writer = new Writer(bench);
  await writer.writes(50, b.name);

  await lead(a);
  await lead(b);

  await writer.writes(100, b.name);
  await writer.stop();
  await stage.following(b.name, 60_000);
  await assertRight(bench, b);
});

test('one replica alone reconnects to the old server: found on that pod within the bound, the others are not touched', async (t) => {
  const { bench } = stage;
  const { a, b } = bench;
  const [r1, ...others] = bench.replicas;
  assert.ok(r1);
  await stage.following(b.name);
  await bench.follows(a.db, b.db);
  // What clients write from now on is on the new server only.
  await a.db.sql('STOP SLAVE');
  await leadVip(bench, [r1.host], a);
  for (const { db } of others) await db.sql('SET GLOBAL general_log = 1');
  const links = await Promise.all(others.map(linkOf));
  const notes = noteVerdicts(stage);
  const telling = new Telling(stage);

  const since = performance.now();
  await endSession(b, r1);
  await isFedBy(r1, a);
  await insertAt(b.db, 3);

  const foundAt = await until('r1 is not ready, and stays so', () => unreadySince(telling, r1));
  assertBound(t, 'not ready since its session broke', foundAt - since);
  for (const { db } of others) await bench.follows(db, b.db);
  assert.equal(unreadySince(telling, r1), foundAt);
  await telling.stop();
  const told = await notes.end();
  for (const { name } of others) assert.deepEqual([...(told.get(name) ?? [])], ['Following/Following'], name);
  assert.deepEqual(await Promise.all(others.map(linkOf)), links);
  for (const { db, name } of others) assert.deepEqual(statementsOf(db), [], name);

  await leadVip(bench, [r1.host], b);
  await stage.following(b.name, 60_000);
  await assertRight(bench, b);
  await a.db.sql('START SLAVE');
});

/** The old session of a replica breaks; it dials again by itself. */
async function endSession({ db }: Member, { host }: Replica): Promise<void> {
  const text = "SELECT id FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%' AND host LIKE ?";
  const dumps = await db.sql(text, [`${host.address}:%`]);
  assert.notEqual(dumps.length, 0, `${db.name} feeds ${host.name}`);
  for (const { id } of dumps) await db.sql(`KILL ${id}`);
}

async function isFedBy({ name, db }: Replica, member: Member): Promise<void> {
  await until(`${name} is fed by ${member.name}`, async () => {
    const link = await slaveStatus(db);
    return link?.['Slave_IO_Running'] === 'Yes' && Number(link['Master_Server_Id']) === member.db.serverId;
  });
}

async function linkOf({ db }: Replica): Promise<unknown> {
  const link = await slaveStatus(db);
  const fields = ['Master_Host', 'Master_Port', 'Master_Server_Id', 'Using_Gtid', 'Slave_IO_Running'] as const;
  return fields.map((field) => link?.[field]);
}

/** Since when this pod has been told to be not ready; while it is told to be ready, nothing. */
function unreadySince({ told }: Telling, { name }: Replica): number | undefined {
  const isReady = told.map(({ status }) => status.replicas.some(({ pod, ready }) => pod === name && ready));
  return told[isReady.lastIndexOf(true) + 1]?.at;
}

/** The way of the operator and of every replica. */
async function lead(to: Member): Promise<void> {
  const { bench } = stage;
  await leadVip(bench, [bench.op, ...bench.replicas.map(({ host }) => host)], to);
}
