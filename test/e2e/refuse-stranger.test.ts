import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { begin, calm } from './support/begin.ts';
import { insertAt, remember } from './support/refusal.ts';
import type { Stage } from './support/stage.ts';

let stage: Stage;
const A = { name: 'hci-a', host: '10.77.0.11' };
const B = { name: 'hci-b', host: '10.77.0.12' };

before(async () => {
  stage = await begin({ spec: { source: { members: [A] } } });
});
after(async () => stage.close());

test('HolderUnknown: a server that is none of the members answers behind the VIP', async () => {
  const { bench } = stage;
  await calm(stage);
  await bench.follows(bench.b.db, bench.a.db);
  const untouched = await remember(bench.replicas);

  await bench.a.planned();
  await bench.holderIs(bench.b);

  const status = await stage.statusIs('every replica is frozen', ({ replicas }) =>
    replicas.every(({ verdict, reason }) => verdict === 'Frozen' && reason === 'HolderUnknown'),
  );
  assert.equal(status.holder, '');
  assert.equal(status.source.situation, 'HolderUnknown');
  assert.match(status.source.message, /answers as hci-b \(server_id 2\).*check spec\.source\.members/);
  const available = status.conditions.find(({ type }) => type === 'SourceAvailable');
  assert.equal(`${available?.status} ${available?.reason}`, 'False HolderUnknown');
  assert.ok(
    status.replicas.every(({ serving }) => serving),
    'reads go on',
  );
  await insertAt(bench.b.db, 3);
  await untouched();

  // Named, it is a server that nobody watched: the last transactions are compared by content before anything moves.
  await stage.patchSpec({ source: { members: [A, B] } });
  await stage.following('hci-b');
  await assertRight(bench, bench.b);
});
