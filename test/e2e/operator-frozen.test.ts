import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { MariaDbServer } from '../support/mariadb.ts';
import { assertRight } from '../support/judge.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { arm, LEASE, startKilledOperator } from './support/killed-operator.ts';
import { Stage } from './support/stage.ts';

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

/** The statements in a replica's general log that change replication. */
function statementsOf(db: MariaDbServer): string[] {
  const lines = readFileSync(db.generalLog, 'utf8').split('\n');
  return lines.filter((line) =>
    /\tQuery\s*(STOP|START) SLAVE|Query\s*CHANGE MASTER|Query\s*SET GLOBAL slave_/.test(line),
  );
}

function isStopped(pid: number): boolean {
  return /^State:\s*T/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}
