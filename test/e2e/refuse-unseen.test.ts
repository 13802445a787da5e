import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { begin, calm } from './support/begin.ts';
import { insertAt, remember } from './support/refusal.ts';
import type { Stage } from './support/stage.ts';

let stage: Stage;

before(async () => {
  stage = await begin({
    bench: { server: { 'log-slave-updates': 0 }, standbyLink: 'file', resetSlaveAll: true },
  });
});
after(async () => stage.close());

test('StandbyNeverSeen: a file/position standby that nobody watched, after RESET SLAVE ALL', async () => {
  const { bench } = stage;
  const heal = await bench.op.drop({ direction: 'in', peer: bench.b.address });
  await calm(stage);
  await bench.follows(bench.b.db, bench.a.db);
  const untouched = await remember(bench.replicas);

  await bench.a.planned();
  await bench.holderIs(bench.b);
  await heal();

  const status = await stage.statusIs(
    'no replica attaches',
    ({ replicas, holder }) => holder === 'hci-b' && replicas.every(({ reason }) => reason === 'StandbyNeverSeen'),
  );
  for (const { verdict, message } of status.replicas) {
    assert.equal(verdict, 'Unproven');
    assert.match(message, /never saw it as a standby.*log_slave_updates=1.*reseed/);
  }
  await untouched();

  await bench.a.keepalived.start();
  await bench.b.planned();
  await bench.holderIs(bench.a);
  await stage.following('hci-a');
  await insertAt(bench.a.db, 3);
  await assertRight(bench, bench.a);
});
