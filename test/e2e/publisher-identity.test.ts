import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Status } from '../../src/api/v1alpha1.ts';
import { movesUnderWrites } from './support/moves.ts';
import { PUBLISHER_TOKEN, PublisherProcess, publishing } from './support/publisher-process.ts';
import { NAMESPACE, Stage } from './support/stage.ts';

// Only the VIP and the publishers are routed: the operator reaches no MariaDB of a member by its own address, and has no `match`.
let stage: Stage;
let publishers: readonly PublisherProcess[] = [];

before(async () => {
  stage = await Stage.open({ spec: { link: { through: 'VIP' } } });
  const { bench, api } = stage;
  for (const member of bench.members) {
    for (const host of [bench.op, ...bench.replicas.map((replica) => replica.host)]) {
      await host.drop({ direction: 'out', peer: member.address, port: bench.vip.port });
    }
  }
  await api.createSecret(NAMESPACE, 'orders-publisher', { token: PUBLISHER_TOKEN });
  publishers = await Promise.all(bench.members.map(async (member) => PublisherProcess.start(bench, member)));
  await stage.startOperator();
});
after(async () => {
  await Promise.all(publishers.map(async (publisher) => publisher.kill9()));
  await stage.close();
});

function said({ source }: Status): string[] {
  return source.members.map(({ name, publisher }) => `${name} ${publisher?.reachable} ${publisher?.vipHeld}`);
}

test('without its publishers nobody can tell the members apart; with them the holder is known', async () => {
  await stage.createResource();
  const unknown = await stage.statusIs('the holder is unknown', ({ source }) => source.situation === 'HolderUnknown');
  assert.match(unknown.source.message, /members\[\]\.publisher/);
  await stage.patchSpec({ source: publishing(stage.bench) });
  await stage.following('hci-a');
  const heard = (now: Status): boolean => said(now).join() === 'hci-a true true,hci-b true false';
  const status = await stage.statusIs('both publishers were heard', heard, 60_000);
  assert.equal(
    status.source.members.some(({ reachable }) => reachable),
    false,
    'no member answers directly',
  );
});

test('a planned move to a member that the operator has never seen', async () => {
  const { a, b } = stage.bench;
  await movesUnderWrites(stage, { from: a, to: b, fault: async () => a.planned() });
  await stage.statusIs('the publishers say so too', (now) => said(now).join() === 'hci-a true false,hci-b true true');
  await stage.bench.rejoin(a, 'keep');
});

test('the publishers die: it is told, and what was seen before is enough for a kill -9', async () => {
  const { a, b } = stage.bench;
  await Promise.all(publishers.map(async (publisher) => publisher.kill9()));
  const { findings } = await stage.statusIs('both are said not to answer', (now) =>
    now.source.members.every(({ publisher }) => publisher?.reachable === false),
  );
  const told = findings.filter(({ finding }) => finding === 'PublisherUnreachable');
  assert.deepEqual(
    told.map(({ subject, severity }) => `${subject} ${severity}`),
    ['hci-a warning', 'hci-b warning'],
  );
  await movesUnderWrites(stage, { from: b, to: a, pause: true, fault: async () => b.kill9() });
});
