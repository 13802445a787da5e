import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Replica } from '../support/bench.ts';
import { judge } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { passes } from './support/accepting.ts';
import { begin, calm } from './support/begin.ts';
import { condition } from './support/moves.ts';
import type { Stage } from './support/stage.ts';
import { statementsOf } from './support/statements.ts';

const PASSES = 20;

// Another management believes that r1 is to follow the standby, and says so again and again.
let stage: Stage;
let r1: Replica;

before(async () => {
  stage = await begin();
  const [first] = stage.bench.replicas;
  assert.ok(first);
  r1 = first;
  await calm(stage);
  await r1.db.sql('SET GLOBAL general_log = 1');
});
after(async () => stage.close());

test('somebody else repoints a link: once it is put right, twice it is Contested and left alone', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await repoint(b.address);
  await until('r1 is led back to the holder', async () => {
    const link = await slaveStatus(r1.db);
    return link?.['Master_Host'] === a.address && link['Slave_IO_Running'] === 'Yes';
  });
  await stage.following(a.name);
  assert.ok(
    changesOf().some((one) => one.includes('CHANGE MASTER') && one.includes(a.address)),
    `the log shows what mxr does: ${changesOf().join('; ')}`,
  );

  await repoint(b.address);
  const own = changesOf();

  const status = await stage.statusIs(
    'r1 is contested, the others follow',
    ({ replicas, following }) => replicas[0]?.reason === 'Contested' && following === '2/3',
  );
  const [told] = status.replicas;
  assert.deepEqual([told?.verdict, told?.ready, told?.serving], ['Unproven', false, false]);
  assert.match(told?.message ?? '', /changed its link twice within ten minutes .*End the other management/);
  assert.equal(condition(status, 'ReplicasIntact'), 'False/Unproven');
  await passes(stage, PASSES);
  assert.deepEqual(changesOf(), own, 'mxr changed something on a replica that is contested');
});

test('the VIP moves: the others follow it, nothing is done on the contested one', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  const before = changesOf();
  const [, ...others] = bench.replicas;
  const writer = new Writer(bench);
  await writer.writes(50, a.name);

  await a.planned();

  await bench.holderIs(b);
  await writer.writes(100, b.name);
  await writer.stop();
  const status = await stage.statusIs(
    'the others follow the new holder',
    ({ holder, replicas }) => holder === b.name && replicas.slice(1).every(({ ready }) => ready),
  );
  assert.equal(status.replicas[0]?.reason, 'Contested');
  const judgements = await judge(bench, b, { replicas: others });
  assert.deepEqual(
    judgements.flatMap(({ findings }) => findings),
    [],
  );
  await passes(stage, PASSES);
  assert.deepEqual(changesOf(), before, 'mxr changed something on a replica that is contested');
});

async function repoint(host: string): Promise<void> {
  await r1.db.sql(`STOP SLAVE; CHANGE MASTER TO MASTER_HOST='${host}'; START SLAVE`);
}

/** What anybody changed of the replication of r1. */
function changesOf(): string[] {
  return statementsOf(r1.db);
}
