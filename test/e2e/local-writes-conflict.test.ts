import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Replica } from '../support/bench.ts';
import { assertRight, compareTables } from '../support/judge.ts';
import { until } from '../support/wait.ts';
import { slaveStatus } from '../support/link.ts';
import { condition } from './support/moves.ts';
import { Stage } from './support/stage.ts';

// Services may write to databases of their own; here one writes to the source's. The applier stops over it, and what is
// told must be the cause, not only the error.
const ROW = 'INSERT INTO app.auto VALUES (?, ?, ?)';
const OWN = ['of-the-service', 'x'];
const THEIRS = ['of-the-source', 'y'];
let stage: Stage;

before(async () => {
  stage = await Stage.open({
    bench: { replicas: { server: { 'read-only': 0 } } },
    spec: { replicas: { localWrites: 'Allowed' } },
  });
  await stage.startOperator();
  await stage.createResource();
  await stage.following('hci-a');
});
after(async () => stage.close());

for (const format of ['MIXED', 'ROW']) {
  test(`a key that a service took first: LocalConflict names key, both transactions and statements, ${format}`, async () => {
    const { a } = stage.bench;
    const r1 = replica(0);
    await r1.db.sql(`SET binlog_format=${format}; ${ROW}`, [100_001, ...OWN]);
    const own = await lastOwn(r1);
    // It is found although it is not the last write to the table.
    await r1.db.sql(`SET binlog_format=${format}; ${ROW}`, [200_001, ...OWN]);
    await a.db.sql(`SET binlog_format=${format}; ${ROW}`, [100_001, ...THEIRS]);
    const theirs = await lastOwn(a);

    const message = await isTold(r1, 'LocalConflict', 1062, own);
    const [statement, time] = [String.raw`(app: )?INSERT INTO app\.auto VALUES \(\?, \?, \?\)`, String.raw`\d{4}-\S+Z`];
    assert.match(
      message,
      new RegExp(`at app\\.auto with PRIMARY = '100001', applying ${theirs} of hci-a: ${statement}\\. `),
    );
    assert.match(message, new RegExp(`r1 itself wrote that key, last in ${own} of ${time}: ${statement}\\. `));
    assert.doesNotMatch(message, /of-the/, 'the key, and nothing else of the row');
    await assertNotSkipped(r1, theirs);
    assert.equal(await tokenOf(r1, 100_001), OWN[0], 'the row is as the service wrote it');

    await r1.db.sql('SET sql_log_bin=0; DELETE FROM app.auto WHERE id IN (100001, 200001); START SLAVE SQL_THREAD');
    await stage.following('hci-a');
    await stage.bench.follows(r1.db, a.db);
    assert.equal(await tokenOf(r1, 100_001), THEIRS[0]);
    assert.deepEqual(await compareTables(a.db, r1.db), []);
    await a.db.sql('DELETE FROM app.auto WHERE id=100001');
    await stage.bench.follows(r1.db, a.db);
  });
}

test('a row that a service deleted: LocalConflict, also where the source logs rows', async () => {
  const { a } = stage.bench;
  const r2 = replica(1);
  await a.db.sql(ROW, [100_001, ...THEIRS]);
  await stage.bench.follows(r2.db, a.db);
  await r2.db.sql('DELETE FROM app.auto WHERE id=100001');
  const own = await lastOwn(r2);
  await a.db.sql("SET binlog_format=ROW; UPDATE app.auto SET filler='z' WHERE id=100001");
  const theirs = await lastOwn(a);

  const message = await isTold(r2, 'LocalConflict', 1032, own);
  assert.match(
    message,
    new RegExp(
      `stopped with 1032 at app\\.auto with PRIMARY = '100001', applying ${theirs} of hci-a: UPDATE app\\.auto SET filler=\\? WHERE id=\\?\\. ` +
        `r2 itself wrote that key, last in ${own} of \\d{4}-\\S+Z: (app: )?DELETE FROM app\\.auto WHERE id=\\?\\. Nothing is skipped`,
    ),
  );
  await assertNotSkipped(r2, theirs);
  assert.equal(await tokenOf(r2, 100_001), undefined, 'the row is gone, as the service left it');

  await r2.db.sql(`SET sql_log_bin=0; ${ROW}; START SLAVE SQL_THREAD`, [100_001, ...THEIRS]);
  await stage.following('hci-a');
  await assertRight(stage.bench, a);
});

test('an applier that fails without a write of its own is no LocalConflict', async () => {
  const { a } = stage.bench;
  const r3 = replica(2);
  await r3.db.sql(`SET sql_log_bin=0; ${ROW}`, [100_003, ...OWN]);
  await r3.db.sql(
    'CREATE DATABASE service; CREATE TABLE service.auto (id INT); INSERT INTO service.auto VALUES (100003)',
  );
  await a.db.sql(ROW, [100_003, ...THEIRS]);
  const theirs = await lastOwn(a);

  await isTold(r3, 'ApplierFailed', 1062, null);
  await assertNotSkipped(r3, theirs);

  await r3.db.sql('SET sql_log_bin=0; DELETE FROM app.auto WHERE id=100003; START SLAVE SQL_THREAD');
  await stage.following('hci-a');
  await assertRight(stage.bench, a);
});

test('localWrites: Forbidden: a replica that may be written to is a finding, until its link is started anew', async () => {
  const { a, b } = stage.bench;
  await stage.patchSpec({ replicas: { localWrites: 'Forbidden' } });
  const pods = stage.bench.replicas.map(({ name }) => name);
  const status = await stage.statusIs('each is a finding', ({ findings }) =>
    pods.every((pod) => findings.some(({ finding, subject }) => finding === 'ReplicaWritable' && subject === pod)),
  );
  assert.equal(condition(status, 'FailoverReady'), 'True/NoFinding', 'it stands in the way of nobody');

  await a.planned();

  await stage.following(b.name, 60_000);
  const left = await stage.statusIs('the findings are gone', ({ findings }) =>
    findings.every(({ finding }) => finding !== 'ReplicaWritable'),
  );
  assert.equal(left.following, '3/3');
  for (const { db } of stage.bench.replicas) {
    assert.equal((await db.row('SELECT @@read_only AS ro'))['ro'], '1', db.name);
  }
});

/** The applier has failed with this error; the verdict is this one, and stays it; the others follow. */
async function isTold({ name, db }: Replica, verdict: string, errno: number, own: string | null): Promise<string> {
  await until(`the applier of ${name} fails`, async () => {
    return Number((await slaveStatus(db))?.['Last_SQL_Errno']) === errno;
  });
  const status = await stage.statusIs(`${name} is ${verdict}, the others follow`, ({ replicas }) =>
    replicas.every((one) =>
      one.pod === name
        ? one.verdict === verdict && (own === null || /applying \S+ of \S+: /.test(one.message))
        : one.verdict === 'Following',
    ),
  );
  const told = status.replicas.find(({ pod }) => pod === name);
  assert.match(told?.message ?? '', new RegExp(`stopped with ${errno}(: | at )`));
  assert.equal(told?.ready, false);
  assert.deepEqual(told?.transactions?.gtids ?? [], own === null ? [] : [own]);
  if (own === null) return '';
  assert.match(
    told?.message ?? '',
    new RegExp(`app\\.auto.*${name} itself wrote (that key|to that table), last in ${own} .*START SLAVE SQL_THREAD`),
  );
  await stage.statusIs(`${name} has left the read Service`, ({ replicas }) =>
    replicas.every(({ pod, serving }) => serving === (pod !== name)),
  );
  return told?.message ?? '';
}

/** Its position still ends before the transaction over which the applier stopped. */
async function assertNotSkipped({ name, db }: Replica, gtid: string): Promise<void> {
  const { position } = await db.row('SELECT @@gtid_slave_pos AS position');
  const before = gtid.replace(/\d+$/, (seq) => String(Number(seq) - 1));
  assert.equal(position, before, `${name} has not skipped ${gtid}`);
}

async function tokenOf({ db }: Replica, id: number): Promise<string | null | undefined> {
  const [row] = await db.sql('SELECT token FROM app.auto WHERE id=?', [id]);
  return row?.['token'];
}

/** The last transaction that this server wrote itself. */
async function lastOwn({ db }: Pick<Replica, 'db'>): Promise<string> {
  const state = (await db.row('SELECT @@gtid_binlog_state AS state'))['state'] ?? '';
  return state.split(',').find((gtid) => gtid.split('-')[1] === String(db.serverId)) ?? 'none';
}

function replica(index: number): Replica {
  const found = stage.bench.replicas[index];
  assert.ok(found);
  return found;
}
