import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { begin, calm } from './support/begin.ts';
import { allReached, insertAt, onlyServe, remember } from './support/refusal.ts';
import { allSaved, SalvageVolume } from './support/salvaged.ts';
import type { Stage } from './support/stage.ts';

let stage: Stage;
let volume: SalvageVolume;

before(async () => {
  volume = await SalvageVolume.make();
  stage = await begin({ operator: volume.operator });
});
after(async () => {
  await stage.close();
  volume.close();
});

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
    ({ replicas, holder }) =>
      holder === 'hci-b' &&
      replicas.every(({ verdict, transactions }) => verdict === 'Diverged' && transactions?.bytes !== undefined),
  );
  const before = reused.replace(/\d+$/, (seq) => String(Number(seq) - 1));
  for (const { transactions, message } of status.replicas) {
    // Both that the standby never received, although only the last was compared for the verdict.
    assert.deepEqual([transactions?.count, transactions?.gtids], [2, [before, reused]]);
    assert.ok(transactions?.firstAt !== undefined && transactions.lastAt !== undefined);
    assert.ok(message.includes('not the same transaction on both sides'), message);
  }
  assert.equal(status.verdict, 'Diverged');
  await onlyServe(stage, []);
  const saved = await allSaved(
    stage,
    bench.replicas.map(({ name }) => name),
  );
  for (const replica of saved.replicas) volume.assertSaved(replica, [before, reused]);
  await insertAt(bench.b.db, 3);
  await untouched();

  await bench.a.powerOn();
  await bench.b.planned();
  await bench.holderIs(bench.a);
  await stage.following('hci-a');
  await onlyServe(
    stage,
    bench.replicas.map(({ name }) => name),
  );
  await insertAt(bench.a.db, 3);
  await assertRight(bench, bench.a);
});
