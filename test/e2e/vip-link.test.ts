import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { condition, movesAmidWrites, movesUnderWrites } from './support/moves.ts';
import { Stage } from './support/stage.ts';

let stage: Stage;

before(async () => {
  // MariaDB itself would notice a silent source only after 40 s: whatever happens earlier, mxr did it.
  stage = await Stage.open({ spec: { link: { through: 'VIP', netTimeoutSeconds: 40 } } });
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

test('links through the VIP, by choice: a warning, and the planned move is as right as on member links', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await stage.following(a.name);
  const status = await movesUnderWrites(stage, { from: a, to: b, fault: async () => a.planned() });
  assertThroughVip(status.findings);
  for (const { db } of bench.replicas) assert.equal((await slaveStatus(db))?.['Master_Host'], bench.vip.host);
  await bench.rejoin(a, 'keep');
  const ready = await stage.statusIs(
    'a failover is possible',
    (one) => condition(one, 'FailoverReady') === 'True/NoFinding',
  );
  assertThroughVip(ready.findings);
});

test('the VIP falls silent and the same member takes it again: receiving was stopped, and goes on', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  const before = (await stage.following(b.name)).handovers[0]?.id;
  await a.keepalived.stop();
  await b.keepalived.stop();
  await stage.statusIs(
    'the VIP is silent and every replica waits',
    ({ source, replicas }) =>
      source.situation === 'VipSilent' && replicas.every(({ verdict }) => verdict === 'Waiting'),
  );
  for (const { name, db } of bench.replicas) {
    const isStopped = async () => (await slaveStatus(db))?.['Slave_IO_Running'] === 'No';
    await until(`receiving is stopped on ${name}`, isStopped, { deadlineMs: 20_000 });
  }

  await b.keepalived.start();

  await stage.following(b.name, 60_000);
  const { handovers } = await stage.statusIs('it is recorded', (status) => status.handovers[0]?.id !== before);
  assert.deepEqual([handovers[0]?.trigger, handovers[0]?.outcome], ['Resume', 'Completed']);
  assert.deepEqual(
    handovers[0]?.replicas.map(({ proof }) => proof),
    bench.replicas.map(() => 'SameServer'),
  );
  const writer = new Writer(bench);
  await writer.writes(50, b.name);
  await writer.stop();
  await assertRight(bench, b);
  await a.keepalived.start();
});

test('and back by a crash in the middle of writes', async () => {
  const { a, b } = stage.bench;
  await movesAmidWrites(stage, { from: b, to: a, fault: async () => b.kill9() });
});

function assertThroughVip(findings: readonly { finding: string; severity: string; subject: string }[]): void {
  const found = findings.filter(({ finding }) => finding === 'VipLink');
  assert.deepEqual(
    found.map(({ severity, subject }) => [severity, subject]),
    stage.bench.replicas.map(({ name }) => ['warning', name]),
  );
}
