import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { slaveStatus } from '../support/link.ts';
import { condition, movesAmidWrites, movesUnderWrites } from './support/moves.ts';
import { Stage } from './support/stage.ts';

let stage: Stage;

before(async () => {
  stage = await Stage.open({ spec: { link: { through: 'VIP' } } });
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
