import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Replica } from '../support/bench.ts';
import { assertRight } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import type { TestSession } from '../support/mariadb-sql.ts';
import { openSession } from '../support/mariadb-sql.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { Stage } from './support/stage.ts';
import { noteVerdicts } from './support/told.ts';

// A backup holds a lock on r1, so its applier stands still, and has asked for STOP SLAVE SQL_THREAD, which waits for the
// applier; every further STOP SLAVE there waits for that one, and no client can end it (facts/mariadb.md §5).
let stage: Stage;
let r1: Replica;
let writer: Writer;

before(async () => {
  stage = await Stage.open();
  const [first] = stage.bench.replicas;
  assert.ok(first);
  r1 = first;
  await stage.startOperator();
});
after(async () => stage.close());

test('a replica whose STOP SLAVE blocks: the others are adopted, it is told what it waits for, and seen all the time', async () => {
  const { bench } = stage;
  writer = new Writer(bench);
  await writer.writes(50, 'hci-a');
  const lock = await session('LOCK TABLES app.plain READ, app.auto READ, app.hot READ, app.firsts READ');
  await until('the applier of r1 waits', async () => {
    const status = await slaveStatus(r1.db);
    return status?.['Read_Master_Log_Pos'] !== status?.['Exec_Master_Log_Pos'];
  });
  const backup = await session('SELECT 1');
  const stopping = backup.sql('STOP SLAVE SQL_THREAD', [], 120_000);
  // It is awaited below; a test that ends before shall end for its own reason.
  stopping.catch(() => undefined);
  await until('the backup waits for the applier', async () => {
    const [row] = await r1.db.sql("SELECT 1 FROM information_schema.processlist WHERE info = 'STOP SLAVE SQL_THREAD'");
    return row !== undefined;
  });
  const verdicts = noteVerdicts(stage);

  await stage.createResource();

  await stage.statusIs(
    'r2 and r3 are adopted and follow',
    ({ replicas }) => replicas.length === 3 && replicas.every(({ pod, ready }) => ready === (pod !== 'r1')),
    60_000,
  );
  const blocked = await stage.statusIs(
    'r1 says what did not return',
    ({ replicas }) =>
      replicas.some(({ pod, message }) => pod === 'r1' && /tries stopped: .*could not stop receiving/.test(message)),
    60_000,
  );
  const told = blocked.replicas.find(({ pod }) => pod === 'r1');
  assert.equal(told?.ready, false);
  assert.equal(told.baseline, undefined, 'nothing is proven of it');

  const tries = stage.operator.lines.filter((line) => line.includes('plan stopped at a surprise'));
  assert.ok(tries.length < 10, `it was tried ${tries.length} times`);

  lock.close();
  await stopping;
  await backup.sql('START SLAVE SQL_THREAD');
  backup.close();
  await stage.following('hci-a', 60_000);
  const seen = (await verdicts.end()).get('r1') ?? new Set();
  assert.ok(![...seen].some((one) => one.startsWith('Unreachable/Unreachable')), [...seen].join());
  await writer.stop();
  await assertRight(bench, bench.a);
});

async function session(sql: string): Promise<TestSession> {
  const opened = await openSession({ name: r1.name, user: 'root', socketPath: r1.db.socket });
  await opened.sql(sql);
  return opened;
}
