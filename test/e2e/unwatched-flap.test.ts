import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, test } from 'node:test';
import { createReplicaAccount } from '../support/accounts.ts';
import type { Replica } from '../support/bench.ts';
import { cloneData } from '../support/clone.ts';
import { assertRight, compareTables, judge } from '../support/judge.ts';
import { attach, slaveStatus } from '../support/link.ts';
import type { Member } from '../support/member.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { insertAt } from './support/refusal.ts';
import { Stage } from './support/stage.ts';
import { noteVerdicts } from './support/told.ts';

// The VIP goes to the other member and comes back while mxr is down. Links that dial it have been on both, by MariaDB's
// own reconnect, and look as they did before: same server, Yes/Yes, lag 0.
let stage: Stage;

before(async () => {
  stage = await Stage.open({ bench: { pair: 'dual', readOnly: false }, spec: { link: { through: 'VIP' } } });
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

test('replicas that got everything on the way follow again, after their contents were compared', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await stage.following(a.name);
  const writer = new Writer(bench);
  await writer.writes(50, a.name);
  await writer.stop();
  await settled();
  await stage.operator.kill9();

  await vipMoves(a, b);
  await reconnect(bench.replicas, b);
  await insertAt(b.db, 5);
  await settled();
  await vipMoves(b, a);
  await reconnect(bench.replicas, a);
  await insertAt(a.db, 5);

  await stage.startOperator();
  await proven();
  await assertRight(bench, a);
});

test('a replica that skipped what the other one wrote is refused, though it is attached to the holder at Yes/Yes', async () => {
  const { bench } = stage;
  const { a } = bench;
  const [r1, r2, r3] = bench.replicas;
  assert.ok(r1 && r2 && r3);
  await stage.operator.kill9();
  await skips(r2, [r1, r3]);
  const [naive] = await judge(bench, a, { replicas: [r2], settleMs: 2_000 });
  assert.deepEqual([naive?.running, naive?.sameRows, naive?.fedBy], [true, false, [a.name]], 'MariaDB is content');

  await stage.startOperator();

  const told = await stage.statusIs('r2 is not believed any more', ({ replicas }) =>
    replicas.some(({ pod, ready }) => pod === r2.name && !ready),
  );
  const verdicts = noteVerdicts(stage);
  const status = await stage.statusIs('r2 is refused, the others follow', ({ replicas }) =>
    replicas.every(({ pod, ready, verdict }) =>
      pod === r2.name ? verdict === 'Unproven' || verdict === 'Diverged' : ready,
    ),
  );
  const refused = status.replicas.find(({ pod }) => pod === r2.name);
  assert.match(refused?.message ?? '', /[Rr]eseed/, JSON.stringify(told.replicas));
  await stage.statusIs('it has left the read Service', ({ replicas }) =>
    replicas.every(({ pod, serving }) => serving === (pod !== r2.name)),
  );
  await insertAt(a.db, 5);
  await delay(3_000);
  const seen = (await verdicts.end()).get(r2.name);
  assert.ok(![...(seen ?? [])].some((one) => /Following|CatchingUp/.test(one)), `r2 was ${[...(seen ?? [])].join()}`);
  const others = await judge(bench, a, { replicas: [r1, r3] });
  assert.deepEqual(
    others.flatMap(({ findings }) => findings),
    [],
  );
  assert.notEqual((await compareTables(a.db, r2.db)).length, 0, 'it does lack rows');
});

test('the cure: it is reseeded from the holder and follows', async () => {
  const { bench } = stage;
  const [, r2] = bench.replicas;
  assert.ok(r2);
  await r2.db.stop();
  const from = await cloneData(bench.a.db, r2.db);
  await r2.db.start();
  await createReplicaAccount(r2.db, bench.accounts.replica);
  await stage.statusIs('r2 is seen without a link', ({ replicas }) =>
    replicas.some(({ pod, verdict }) => pod === r2.name && ['Unseeded', 'StoppedByHand'].includes(verdict)),
  );
  await attach(r2.db, { ...bench.vip, account: bench.accounts.replication, mode: 'gtid', from });
  await stage.following(bench.a.name);
  await assertRight(bench, bench.a);
});

/**
 * Two primaries, one behind the other: b writes before it applies the last transaction of a, which one replica has already.
 * When that replica reconnects to b, it goes on after that transaction, and what b wrote before is skipped for ever.
 */
async function skips(victim: Replica, others: readonly Replica[]): Promise<void> {
  const { a, b } = stage.bench;
  await b.db.sql('STOP SLAVE');
  await Promise.all(others.map(({ db }) => db.sql('STOP SLAVE IO_THREAD')));
  await insertAt(a.db, 1);
  await stage.bench.follows(victim.db, a.db);
  await vipMoves(a, b);
  await victim.db.sql('STOP SLAVE IO_THREAD');
  await insertAt(b.db, 2);
  await b.db.sql('START SLAVE');
  await stage.bench.follows(b.db, a.db);
  await reconnect([victim, ...others], b);
  await insertAt(b.db, 1);
  await settled();
  await vipMoves(b, a);
  await reconnect([victim, ...others], a);
  await insertAt(a.db, 3);
}

async function vipMoves(from: Member, to: Member): Promise<void> {
  await from.planned();
  await stage.bench.holderIs(to);
  await from.keepalived.start();
}

/** What MariaDB does by itself once it notices that nobody answers any more. */
async function reconnect(replicas: readonly Replica[], holder: Member): Promise<void> {
  for (const { name, db } of replicas) {
    await db.sql('STOP SLAVE IO_THREAD; START SLAVE IO_THREAD');
    await until(`${name} is fed by ${holder.name}`, async () => {
      const status = await slaveStatus(db);
      return status?.['Slave_IO_Running'] === 'Yes' && Number(status['Master_Server_Id']) === holder.db.serverId;
    });
  }
}

/** Both members have all that the other one wrote, and so have the replicas. */
async function settled(): Promise<void> {
  const { bench } = stage;
  await Promise.all([bench.follows(bench.b.db, bench.a.db), bench.follows(bench.a.db, bench.b.db)]);
  for (const { name, db } of bench.replicas) {
    await until(`${name} has the last number of either member`, async () => {
      const [holder] = await bench.whoHoldsVip();
      const there = await holder?.db.row('SELECT @@gtid_binlog_pos AS gtid');
      const here = await db.row('SELECT @@gtid_slave_pos AS gtid');
      return there?.['gtid'] === here['gtid'];
    });
  }
}

/** Every replica follows, and was proven to since mxr is back: what the status says from before counts for nothing. */
async function proven(): Promise<void> {
  const { a } = stage.bench;
  const gtid = (await a.db.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'];
  const status = await stage.following(a.name);
  await stage.statusIs(
    'the baselines are of now',
    ({ replicas, following }) =>
      following === '3/3' && replicas.every(({ baseline }) => baseline?.gtid === gtid) && status.holder === a.name,
    60_000,
  );
}
