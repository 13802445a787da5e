import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { begin, calm } from './support/begin.ts';
import { allReached, insertAt, remember } from './support/refusal.ts';
import type { Stage } from './support/stage.ts';

let stage: Stage;

before(async () => {
  stage = await begin();
});
after(async () => stage.close());

test('Diverged: the same GTIDs with other content, under equal server ids', async () => {
  const { bench } = stage;
  await calm(stage);
  await bench.follows(bench.b.db, bench.a.db);
  await bench.b.db.sql('STOP SLAVE IO_THREAD');
  await insertAt(bench.a.db, 2);
  await allReached(bench, bench.replicas, bench.a.db);
  const reused = (await bench.a.db.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'] ?? '';
  const untouched = await remember(bench.replicas);

  await bench.a.powerOff();
  // The new primary numbers its own transactions as the old one did, and goes past what the replicas have.
  await bench.b.db.sql('SET GLOBAL server_id=1');
  await bench.holderIs(bench.b);
  await insertAt(bench.b.db, 4);

  const status = await stage.statusIs(
    'no replica attaches',
    ({ replicas, holder }) => holder === 'hci-b' && replicas.every(({ verdict }) => verdict === 'Diverged'),
  );
  for (const { transactions, message } of status.replicas) {
    assert.deepEqual(transactions?.gtids, [reused]);
    assert.ok(message.includes('not the same transaction on both sides'), message);
  }
  assert.equal(status.verdict, 'Diverged');
  await insertAt(bench.b.db, 3);
  await untouched();

  await bench.a.powerOn();
  await bench.b.planned();
  await bench.holderIs(bench.a);
  await stage.following('hci-a');
  await insertAt(bench.a.db, 3);
  await assertRight(bench, bench.a);
});
