import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { slaveStatus } from '../support/link.ts';
import { movesUnderWrites } from './support/moves.ts';
import { Stage } from './support/stage.ts';

// `positioning: FilePosition`: replicas stay on file and position, whatever the move.
let stage: Stage;

before(async () => {
  stage = await Stage.open({
    bench: {
      server: { 'log-slave-updates': 0 },
      standbyLink: 'file',
      replicas: { link: 'file', server: { 'skip-slave-start': 1 } },
    },
    spec: { link: { positioning: 'FilePosition' } },
  });
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

async function assertByFile(host: string): Promise<void> {
  for (const { name, db } of stage.bench.replicas) {
    const link = await slaveStatus(db);
    assert.deepEqual([link?.['Master_Host'], link?.['Using_Gtid']], [host, 'No'], name);
  }
}

test('replicas are adopted without conversion', async () => {
  const { a } = stage.bench;
  await stage.following(a.name);
  await assertByFile(a.address);
});

test("a planned move: each replica goes on at the new holder's own file and offset", async () => {
  const { a, b } = stage.bench;
  const status = await movesUnderWrites(stage, {
    from: a,
    to: b,
    mix: 'equal',
    proof: 'TakeoverPoint',
    fault: async () => a.planned(),
  });
  await assertByFile(b.address);
  const point = b.takeoverPoint();
  for (const { to } of status.handovers[0]?.replicas ?? []) {
    assert.deepEqual([to.file, to.position], [point.file, point.position]);
  }
});

test('and back, after a kill -9', async () => {
  const { a, b } = stage.bench;
  await stage.bench.rejoin(a, 'keep');
  await movesUnderWrites(stage, { from: b, to: a, pause: true, proof: 'TakeoverPoint', fault: async () => b.kill9() });
  await assertByFile(a.address);
});
