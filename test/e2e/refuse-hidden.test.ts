import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Status } from '../../src/api/v1alpha1.ts';
import { begin, calm } from './support/begin.ts';
import { insertAt, remember } from './support/refusal.ts';
import type { Stage } from './support/stage.ts';

let stage: Stage;

before(async () => {
  stage = await begin({ bench: { pair: 'dual', readOnly: false, server: { 'log-slave-updates': 0 } } });
});
after(async () => stage.close());

test('HolderHidesPeerWrites in calm: what the holder took in while nobody looked', async () => {
  const { bench } = stage;
  await calm(stage);
  await stage.operator.kill9();
  const untouched = await remember(bench.replicas);
  await insertAt(bench.b.db, 2);
  await stage.startOperator();

  const status = await stage.statusIs('every replica says so', allHidden, 60_000);
  assert.equal(status.source.situation, 'Stable');
  assert.equal(status.conditions.find(({ type }) => type === 'ReplicasIntact')?.reason, 'Unproven');
  await assertSaid(status);
  assert.ok(
    status.replicas.every(({ serving, ready }) => !serving && !ready),
    'rows that lack what the peer wrote are not the source',
  );
  await untouched();
});

test('HolderHidesPeerWrites while it happens: receiving stops, the verdict stays', async () => {
  const { bench } = stage;
  const peerWrites = async () => {
    await insertAt(bench.b.db, 2);
    return (await bench.b.db.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'];
  };
  const lists = (seen: Status, gtid: unknown) =>
    allHidden(seen) && seen.replicas.every(({ transactions }) => transactions?.gtids.join() === gtid);

  // Both members were looked at again since the process started: from here on a write of the peer is seen as new.
  const first = await peerWrites();
  // That it is other transactions now is written with the positions, every 30 s.
  await stage.statusIs('every replica lists what was written now', (seen) => lists(seen, first), 60_000);
  const second = await peerWrites();
  const status = await stage.statusIs(
    'every replica lists what was written now, and the pair is called split',
    (seen) => lists(seen, second) && seen.source.situation === 'SplitBrain',
  );
  await assertSaid(status);
});

async function assertSaid({ replicas }: Status): Promise<void> {
  const hidden = (await stage.bench.b.db.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'];
  for (const { verdict, transactions, message } of replicas) {
    assert.equal(verdict, 'Unproven');
    assert.deepEqual(transactions?.gtids, [hidden]);
    assert.match(message, /does not log what it applies.*set log_slave_updates=1/i);
  }
}

function allHidden({ replicas }: Status): boolean {
  return replicas.length === 3 && replicas.every(({ reason }) => reason === 'HolderHidesPeerWrites');
}
