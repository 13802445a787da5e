import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { monotonicMs } from '../support/monotonic.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { blockStop, runs } from './support/blocked.ts';
import { arm, LEASE, startKilledOperator } from './support/killed-operator.ts';
import type { OperatorProcess } from './support/operator-process.ts';
import { NAMESPACE, Stage } from './support/stage.ts';
import { statementsOf } from './support/statements.ts';

/** Longer than a test waits for a leader: one that was not released would be missed. */
const LONG_LEASE = {
  MXR_LEASE_DURATION_MS: '120000',
  MXR_LEASE_RENEW_DEADLINE_MS: '80000',
  MXR_LEASE_RETRY_MS: '2000',
};
let stage: Stage;

before(async () => {
  stage = await Stage.open({ operator: { env: { ...LEASE, MXR_HTTP_PORT: '8081' } } });
  await stage.createResource();
});
after(async () => stage.close());

test('a leader frozen in the middle of a step issues nothing when it wakes: another process has led since', async () => {
  const { bench } = stage;
  const frozen = await startKilledOperator(stage, 'before CHANGE MASTER', 'SIGSTOP');
  await stage.following('hci-a');
  const writer = new Writer(bench);
  await writer.writes(100, 'hci-a');
  for (const { db } of bench.replicas) await db.sql('SET GLOBAL general_log = 1');
  arm(frozen);
  await bench.a.planned();
  await until('the leader froze before its CHANGE', () => isStopped(frozen.pid));

  // It stands with a statement in its hand; the lease passes on.
  await stage.startOperator();
  await bench.holderIs(bench.b);
  await writer.writes(100, 'hci-b');
  await stage.following('hci-b');
  const before = new Map(bench.replicas.map(({ db }) => [db.name, statementsOf(db).length]));
  frozen.thaw();
  await until('the frozen process ends: it leads no more', () => !frozen.running);

  await writer.writes(100, 'hci-b');
  await writer.stop();
  for (const { db } of bench.replicas) {
    const statements = statementsOf(db);
    assert.deepEqual(statements.slice(before.get(db.name)), [], `${db.name}: statements after the process woke`);
    assert.equal(
      statements.filter((one) => one.includes('CHANGE MASTER')).length,
      1,
      `${db.name}: ${statements.join('; ')}`,
    );
  }
  await assertRight(bench, bench.b);
  await stage.following('hci-b');
});

test('SIGTERM in calm: it releases its Lease and exits 0 within 10 s, and a successor need not wait for the Lease', async () => {
  await stage.operator.stop();
  await stage.startOperator({ ...LONG_LEASE, MXR_POD_NAME: 'mxr-calm' });
  await stage.following('hci-b');

  await endsWell(stage.operator);

  assert.equal(await leaseHolder(), '');
  await stage.startOperator({ ...LONG_LEASE, MXR_POD_NAME: 'mxr-after-calm' });
  await stage.following('hci-b');
  assert.match((await leaseHolder()) ?? '', /^mxr-after-calm/);
});

test('SIGTERM while a STOP SLAVE blocks: it exits 0 within 10 s all the same, and a successor ends the move', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  const [r1] = bench.replicas;
  assert.ok(r1);
  await bench.rejoin(a, 'keep');
  await stage.following('hci-b');
  const writer = new Writer(bench);
  await writer.writes(50, 'hci-b');
  const release = await blockStop(r1);
  await b.planned();
  await until('the leader waits for its STOP SLAVE on r1', () => runs(r1, 'STOP SLAVE'));

  await endsWell(stage.operator);

  await stage.startOperator({ ...LONG_LEASE, MXR_POD_NAME: 'mxr-after-plan' });
  await bench.holderIs(a);
  await writer.writes(100, 'hci-a');
  await stage.statusIs('the others follow the new holder', ({ holder, replicas }) => {
    return holder === 'hci-a' && replicas.every(({ pod, ready }) => ready === (pod !== 'r1'));
  });
  await release();
  await stage.following('hci-a', 60_000);
  await writer.stop();
  await assertRight(bench, a);
});

/** What the contract gives the process from SIGTERM on. */
const GRACE_MS = 10_000;

async function endsWell(operator: OperatorProcess): Promise<void> {
  const since = monotonicMs();
  assert.equal(await operator.stop(), 0, operator.tail());
  const tookMs = monotonicMs() - since;
  assert.ok(tookMs <= GRACE_MS, `it took ${Math.round(tookMs)} ms\n${operator.tail()}`);
}

async function leaseHolder(): Promise<string | undefined> {
  const lease = { api: 'coordination.k8s.io/v1', plural: 'leases', namespace: NAMESPACE, name: 'mxr' };
  return (await stage.api.get<{ spec: { holderIdentity?: string } }>(lease)).spec.holderIdentity;
}

function isStopped(pid: number): boolean {
  return /^State:\s*T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}
