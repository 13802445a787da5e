import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { slaveStatus } from '../support/link.ts';
import { movesUnderWrites } from './support/moves.ts';
import { Stage } from './support/stage.ts';

// Only the VIP is routed: the operator reaches no member by its own address, and neither do the replicas.
let stage: Stage;

before(async () => {
  stage = await Stage.open();
  const { bench } = stage;
  for (const member of bench.members) {
    for (const host of [bench.op, ...bench.replicas.map((replica) => replica.host)]) {
      await host.drop({ direction: 'out', peer: member.address });
    }
  }
  await stage.startOperator();
});
after(async () => stage.close());

test('a holder that nobody can tell from another is said to be unknown, with what would name it', async () => {
  await stage.createResource();
  const status = await stage.statusIs('the holder is unknown', ({ source }) => source.situation === 'HolderUnknown');
  assert.match(status.source.message, /members\[\]\.match/);
  assert.equal(status.holder, '');
  for (const { db } of stage.bench.replicas) {
    assert.equal((await slaveStatus(db))?.['Master_Host'], stage.bench.vip.host);
  }
});

test('members[].match names the holder, and the replicas are adopted where they are', async () => {
  const { a, b } = stage.bench;
  const members = [a, b].map(({ name, address }) => ({ name, host: address, match: { hostname: name } }));
  await stage.patchSpec({ source: { members }, link: { through: 'VIP' } });
  await stage.following(a.name);
});

test('a planned move and a kill -9 with the VIP as the only witness', async () => {
  const { a, b } = stage.bench;
  await movesUnderWrites(stage, { from: a, to: b, fault: async () => a.planned() });
  await stage.bench.rejoin(a, 'keep');
  await movesUnderWrites(stage, { from: b, to: a, pause: true, fault: async () => b.kill9() });
});
