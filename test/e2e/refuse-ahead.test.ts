import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { judge } from '../support/judge.ts';
import { begin, calm } from './support/begin.ts';
import type { Stage } from './support/stage.ts';
import { allReached, insertAt, remember } from './support/refusal.ts';

let stage: Stage;

before(async () => {
  stage = await begin();
});
after(async () => stage.close());

test('Ahead: what the standby never received is listed, the replicas that have it are left alone', async () => {
  const { bench } = stage;
  const [r1, r2, r3] = bench.replicas;
  assert.ok(r1 && r2 && r3);
  await calm(stage);
  await bench.follows(bench.b.db, bench.a.db);
  await bench.b.db.sql('STOP SLAVE IO_THREAD');
  const heal = await r3.host.drop({ direction: 'in', peer: bench.a.address });
  await insertAt(bench.a.db, 5);
  await allReached(bench, [r1, r2], bench.a.db);
  const untouched = await remember([r1, r2]);

  await bench.a.powerOff();
  await bench.holderIs(bench.b);
  await heal();

  const status = await stage.statusIs(
    'r1 and r2 are ahead of the new holder, r3 follows it',
    ({ replicas, holder, handovers }) =>
      holder === 'hci-b' &&
      replicas.map((one) => one.verdict).join() === 'Ahead,Ahead,Following' &&
      replicas.slice(0, 2).every(({ transactions }) => transactions?.lastAt !== undefined) &&
      handovers[0]?.to === 'hci-b',
    60_000,
  );
  const last = (await r1.db.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'];
  const number = Number(last?.split('-')[2]);
  for (const { transactions, message, ready } of status.replicas.slice(0, 2)) {
    assert.equal(ready, false);
    assert.equal(transactions?.count, 5);
    assert.deepEqual(
      transactions.gtids,
      [4, 3, 2, 1, 0].map((back) => `0-1-${number - back}`),
    );
    assert.ok(transactions.firstAt !== undefined && transactions.lastAt !== undefined);
    assert.match(message, /5 transactions that hci-b lacks.*salvage.*From its own binlog: .*INSERT INTO app\.plain/);
  }
  assert.equal(status.following, '1/3');
  assert.equal(status.verdict, 'Ahead');
  const conditions = Object.fromEntries(status.conditions.map((one) => [one.type, `${one.status} ${one.reason}`]));
  assert.equal(conditions['Ready'], 'False Ahead');
  assert.equal(conditions['ReplicasIntact'], 'False Ahead');
  assert.match(conditions['SourceAvailable'] ?? '', /^True/);
  const [record] = status.handovers;
  assert.equal(record?.outcome, 'Partial');
  assert.deepEqual(
    record.replicas.map(({ pod, proof, message }) => `${pod} ${proof ?? message.split(':')[0]}`).toSorted(),
    ['r1 Ahead', 'r2 Ahead', 'r3 Contained'],
  );
  await insertAt(bench.b.db, 3);
  await bench.follows(r3.db, bench.b.db);
  await untouched();

  // The cure that the message names: the server that has them comes back and takes the VIP.
  await bench.a.powerOn();
  await bench.b.planned();
  await bench.holderIs(bench.a);
  const cured = await stage.statusIs(
    'r1 and r2 follow the server that has what they have; now r3 has what it lacks',
    ({ replicas, holder }) =>
      holder === 'hci-a' && replicas.map((one) => one.verdict).join() === 'Following,Following,Ahead',
  );
  assert.equal(cured.replicas[2]?.transactions?.gtids.length, 1);
  await insertAt(bench.a.db, 3);
  const judgements = await judge(bench, bench.a, { replicas: [r1, r2] });
  assert.deepEqual(
    judgements.flatMap(({ findings }) => findings),
    [],
  );
});
