import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { compareTables, judge } from '../support/judge.ts';
import { Writer } from '../support/writer.ts';
import { movesUnderWrites } from './support/moves.ts';
import { Stage } from './support/stage.ts';

let stage: Stage;

before(async () => {
  stage = await Stage.open();
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

test('kill -9 of the primary: each replica continues on the new member, nothing lost or doubled', async () => {
  const { a, b } = stage.bench;
  await movesUnderWrites(stage, { from: a, to: b, pause: true, fault: async () => a.kill9() });
});

test('kill -9 in the middle of writes: a replica continues with the right rows, or says that it is ahead and is', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await bench.rejoin(a, 'clone');
  await stage.following(b.name);
  const writer = new Writer(bench, { ratePerSecond: 400 });
  await writer.writes(200, b.name);

  await b.kill9();

  await writer.writes(200, a.name, 60_000);
  const status = await stage.statusIs(
    'every replica follows or is ahead',
    ({ holder, replicas }) =>
      holder === a.name && replicas.every(({ ready, verdict }) => ready || ['Ahead', 'Diverged'].includes(verdict)),
    60_000,
  );
  await writer.stop();
  // Replication to the standby is asynchronous: what only a replica received before the crash is nowhere else.
  for (const replica of bench.replicas) {
    const told = status.replicas.find(({ pod }) => pod === replica.name);
    if (told?.ready === true) {
      const [judgement] = await judge(bench, a, { replicas: [replica] });
      assert.deepEqual(judgement?.findings, [], `${replica.name} is ${told.verdict}`);
      continue;
    }
    const more = (await compareTables(a.db, replica.db)).flatMap(({ extra }) => [...extra.keys()]);
    assert.notEqual(more.length, 0, `${replica.name} is ${told?.verdict}, so it has rows that the holder lacks`);
    assert.notEqual(told?.transactions?.gtids.length ?? 0, 0, 'the transactions concerned are listed');
  }
});
