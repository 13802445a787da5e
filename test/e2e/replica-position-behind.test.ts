import assert from 'node:assert/strict';
import { copyFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Replica } from '../support/bench.ts';
import { assertRight, judge } from '../support/judge.ts';
import { Writer } from '../support/writer.ts';
import { begin, calm } from './support/begin.ts';
import type { Stage } from './support/stage.ts';

// By file/position the position file is not written with the rows: after the death of a machine it may be older than they
// are, and what the relay log has from there on is in the replica already.
let stage: Stage;
let writer: Writer;

before(async () => {
  stage = await begin({
    bench: { replicas: { link: 'file', server: { 'skip-slave-start': true } } },
    spec: { link: { positioning: 'FilePosition' } },
  });
  await calm(stage);
});
after(async () => stage.close());

test('a position file that is behind the rows: the replica goes on where its GTID says', async () => {
  const { bench } = stage;
  const r2 = second();
  await diesWithOldPositionFile(r2);
  await r2.db.start();
  await writer.writes(50, 'hci-a');
  await writer.stop();
  await stage.following('hci-a');
  await assertRight(bench, bench.a);
});

test('a position file that is behind the rows while the VIP moves: nothing is applied twice, or it is refused', async () => {
  const { bench } = stage;
  const r2 = second();
  await diesWithOldPositionFile(r2);
  await bench.a.planned();
  await bench.holderIs(bench.b);
  await r2.db.start();
  await writer.writes(50, 'hci-b');
  await writer.stop();
  const status = await stage.statusIs(
    'r2 follows or is refused',
    ({ replicas }) => replicas[1]?.ready === true || replicas[1]?.verdict === 'Unproven',
  );
  const [judgement] = await judge(bench, bench.b, { replicas: [r2] });
  if (status.replicas[1]?.ready === true) assert.deepEqual(judgement?.findings, []);
  else
    assert.deepEqual(
      judgement?.differences.flatMap(({ extra }) => [...extra.keys()]),
      [],
    );
});

function second(): Replica {
  const [, r2] = stage.bench.replicas;
  assert.ok(r2);
  return r2;
}

/** What a machine that lost its last second has: the engine's rows are durable, the position file is not. */
async function diesWithOldPositionFile({ db }: Replica): Promise<void> {
  const { bench } = stage;
  writer = new Writer(bench, { mix: 'equal' });
  await writer.writes(100, 'hci-a');
  const file = join(db.datadir, 'relay-log.info');
  copyFileSync(file, `${file}.kept`);
  await writer.writes(20, 'hci-a');
  await bench.follows(db, bench.a.db);
  await db.kill9();
  copyFileSync(`${file}.kept`, file);
}
