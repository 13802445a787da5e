import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cloneData } from '../support/clone.ts';
import { assertRight, judge } from '../support/judge.ts';
import { attach } from '../support/link.ts';
import { begin, calm } from './support/begin.ts';
import { allReached, insertAt, remember } from './support/refusal.ts';
import type { Stage } from './support/stage.ts';

let stage: Stage;

before(async () => {
  stage = await begin({ bench: { server: { 'log-slave-updates': 0 } } });
});
after(async () => stage.close());

test('Behind: a standby that does not log what it applied cannot give it to a replica that lacks it', async () => {
  const { bench } = stage;
  const [r1, r2, r3] = bench.replicas;
  assert.ok(r1 && r2 && r3);
  await calm(stage);
  const heal = await r3.host.drop({ direction: 'in', peer: bench.a.address });
  await insertAt(bench.a.db, 5);
  await allReached(bench, [r1, r2], bench.a.db);
  await bench.follows(bench.b.db, bench.a.db);
  const taken = (await r1.db.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'];
  const untouched = await remember([r3]);

  await bench.a.powerOff();
  await bench.holderIs(bench.b);
  await heal();

  const status = await stage.statusIs(
    'r3 is behind the takeover point, the others follow',
    ({ replicas, holder, handovers }) =>
      holder === 'hci-b' &&
      replicas.map((one) => one.verdict).join() === 'Following,Following,Behind' &&
      handovers[0]?.to === 'hci-b',
  );
  const behind = status.replicas[2];
  assert.equal(behind?.transactions?.count, 5);
  assert.deepEqual(behind.transactions.gtids, [taken]);
  assert.match(behind.message, /5 transactions behind.*Bring the old primary back, or reseed/);
  const [record] = status.handovers;
  assert.equal(record?.outcome, 'Partial');
  assert.deepEqual(
    record.replicas.map(({ pod, proof, message }) => `${pod} ${proof ?? message.split(':')[0]}`).toSorted(),
    ['r1 TakeoverPoint', 'r2 TakeoverPoint', 'r3 Behind'],
  );
  assert.equal(status.conditions.find(({ type }) => type === 'ReplicasIntact')?.reason, 'Behind');
  await insertAt(bench.b.db, 3);
  await allReached(bench, [r1, r2], bench.b.db);
  await untouched();
  const judgements = await judge(bench, bench.b, { replicas: [r1, r2] });
  assert.deepEqual(
    judgements.flatMap(({ findings }) => findings),
    [],
  );

  // A person loads it anew from a sibling. Without a link nothing is known of it any more: it is a first sight.
  await r3.db.stop();
  const at = await cloneData(r1.db, r3.db);
  await r3.db.start();
  await stage.statusIs('r3 begins anew', ({ replicas }) => replicas[2]?.verdict === 'StoppedByHand');
  const { gtid = '' } = await r1.db.row('SELECT @@gtid_slave_pos AS gtid');
  await attach(r3.db, {
    host: bench.b.address,
    port: bench.vip.port,
    account: bench.accounts.replication,
    mode: 'gtid',
    from: { ...at, gtid: gtid ?? '' },
  });
  const cured = await stage.following('hci-b');
  assert.equal(cured.replicas[2]?.baseline?.by, 'Adopted');
  await insertAt(bench.b.db, 3);
  await assertRight(bench, bench.b);
});
