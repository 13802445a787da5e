import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { begin, calm } from './support/begin.ts';
import type { Stage } from './support/stage.ts';
import { allReached, insertAt, purge, remember } from './support/refusal.ts';

let stage: Stage;

before(async () => {
  stage = await begin();
});
after(async () => stage.close());

test('Purged: the new holder no longer has what one replica needs next', async () => {
  const { bench } = stage;
  const [r1, r2, r3] = bench.replicas;
  assert.ok(r1 && r2 && r3);
  await calm(stage);
  const heal = await r3.host.drop({ direction: 'in', peer: bench.a.address });
  await insertAt(bench.a.db, 5);
  await allReached(bench, [r1, r2], bench.a.db);
  await bench.follows(bench.b.db, bench.a.db);
  await purge(bench.b.db);
  const untouched = await remember([r3]);

  await bench.a.powerOff();
  await bench.holderIs(bench.b);
  await heal();

  const status = await stage.statusIs(
    'r3 needs what was purged, the others follow',
    ({ replicas, holder }) =>
      holder === 'hci-b' && replicas.map((one) => one.verdict).join() === 'Following,Following,Purged',
  );
  assert.match(status.replicas[2]?.message ?? '', /hci-b has purged; reseed the replica, or restore/);
  assert.equal(status.conditions.find(({ type }) => type === 'ReplicasIntact')?.reason, 'Purged');
  await insertAt(bench.b.db, 3);
  await allReached(bench, [r1, r2], bench.b.db);
  await untouched();

  // Whoever still has it can give it: the old primary comes back, catches up, and takes the VIP.
  await bench.rejoin(bench.a, 'keep');
  await bench.b.planned();
  await bench.holderIs(bench.a);
  await stage.following('hci-a');
  await insertAt(bench.a.db, 3);
  await assertRight(bench, bench.a);
});
