import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { slaveStatus } from '../support/link.ts';
import { movesUnderWrites } from './support/moves.ts';
import { Stage } from './support/stage.ts';

// From one of the replicas only the VIP is routed: that one falls back to it, the others dial the members.
let stage: Stage;

before(async () => {
  stage = await Stage.open();
  const { bench } = stage;
  for (const member of bench.members) await bench.replicas[1]?.host.drop({ direction: 'out', peer: member.address });
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

async function hosts(): Promise<(string | null | undefined)[]> {
  const links = await Promise.all(stage.bench.replicas.map(({ db }) => slaveStatus(db)));
  return links.map((link) => link?.['Master_Host']);
}

test('a replica that cannot reach the member is adopted through the VIP, the others through the member', async () => {
  const { a, vip } = stage.bench;
  const status = await stage.following(a.name, 60_000);
  assert.deepEqual(await hosts(), [a.address, vip.host, a.address]);
  assert.deepEqual(
    status.replicas.map(({ through }) => through),
    ['Member', 'VIP', 'Member'],
  );
  assert.ok(status.findings.some(({ finding, subject }) => finding === 'VipLink' && subject === 'r2'));
});

test('each moves by its own way', async () => {
  const { a, b, vip } = stage.bench;
  await movesUnderWrites(stage, { from: a, to: b, fault: async () => a.planned() });
  assert.deepEqual(await hosts(), [b.address, vip.host, b.address]);
});
