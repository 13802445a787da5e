import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { Stage } from './support/stage.ts';

// By file/position a replica's own crash can apply rows twice: its position file is not written with the rows.
let stage: Stage;

before(async () => {
  stage = await Stage.open({
    bench: { replicas: { link: 'file', server: { 'skip-slave-start': true } } },
    spec: { link: { positioning: 'FilePosition' } },
  });
  await stage.startOperator();
  await stage.createResource();
  await stage.following('hci-a');
});
after(async () => stage.close());

test('by file/position with skip-slave-start: a replica killed under load goes on at a proven place, nothing doubled', async () => {
  const { bench } = stage;
  const [r1] = bench.replicas;
  assert.ok(r1);
  const writer = new Writer(bench, { mix: 'equal', ratePerSecond: 300 });
  for (const round of [1, 2, 3, 4]) {
    await writer.writes(150 * round, 'hci-a');
    await r1.db.kill9();
    await writer.writes(30, 'hci-a');
    await r1.db.start();
    // Nobody else starts it.
    await until('r1 replicates again', async () => (await slaveStatus(r1.db))?.['Slave_IO_Running'] === 'Yes');
  }
  await writer.writes(50, 'hci-a');
  await writer.stop();
  const status = await stage.following('hci-a');
  await assertRight(bench, bench.a);
  assert.equal((await slaveStatus(r1.db))?.['Using_Gtid'], 'No', 'it was not converted');
  assert.deepEqual(
    status.handovers
      .flatMap(({ replicas }) => replicas.map(({ proof }) => proof))
      .filter((proof) => proof !== 'SameServer'),
    [],
  );
});

test('without skip-slave-start a restart leaves it Unproven and out of the read Service, also for the next process', async () => {
  const { bench } = stage;
  const [, r2] = bench.replicas;
  assert.ok(r2);
  r2.db.configure({ 'skip-slave-start': false });
  await r2.db.restart();
  // This start mxr was not needed for.
  const refused = ({ replicas }: { replicas: readonly { pod: string; verdict: string; reason: string }[] }): boolean =>
    replicas.some(
      ({ pod, verdict, reason }) => pod === 'r2' && verdict === 'Unproven' && reason === 'CrashUnsafePosition',
    );
  const status = await stage.statusIs('r2 is refused', refused);
  const [, there] = status.replicas;
  assert.match(there?.message ?? '', /skip-slave-start.*reseed/);
  assert.equal(there?.ready, false);
  assert.equal(status.following, '2/3');

  await stage.operator.kill9();
  r2.db.configure({ 'skip-slave-start': true });
  await r2.db.restart();
  await stage.startOperator();
  const later = await stage.statusIs('the others follow', ({ following }) => following === '2/3');
  assert.ok(refused(later), 'what may have been applied twice stays so');
});
