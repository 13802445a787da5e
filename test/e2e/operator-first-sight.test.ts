import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import { Writer } from '../support/writer.ts';
import { Stage } from './support/stage.ts';

let stage: Stage;

before(async () => {
  stage = await Stage.open();
});
after(async () => stage.close());

test('mxr is started for the first time while the primary is dead: it touches nothing, then adopts on the new holder', async () => {
  const { bench } = stage;
  const early = new Writer(bench);
  await early.writes(100, 'hci-a');
  await early.stop();
  await Promise.all([bench.b.db, ...bench.replicas.map(({ db }) => db)].map((db) => bench.follows(db, bench.a.db)));
  await bench.a.kill9();
  await bench.b.keepalived.stop();

  await stage.startOperator();
  await stage.createResource();
  const blind = await stage.statusIs(
    'nobody answers at the VIP, and nothing is known of before',
    ({ source, replicas }) => {
      const told = replicas.map(({ verdict, reason }) => `${verdict}/${reason}`);
      return (
        source.situation !== undefined &&
        source.situation !== 'Stable' &&
        new Set(told).size === 1 &&
        told[0] === 'Unproven/NotAdopted'
      );
    },
  );
  for (const { message, baseline } of blind.replicas) {
    assert.match(message, /no baseline.*waits for calm/);
    assert.equal(baseline, undefined);
  }
  for (const { db } of bench.replicas) {
    const link = await slaveStatus(db);
    assert.equal(link?.['Master_Host'], bench.vip.host, `${db.name}: its link was changed`);
    assert.equal(link['Slave_IO_Running'], 'Connecting', `${db.name}: it was stopped`);
  }

  await bench.b.keepalived.start();
  await bench.holderIs(bench.b);
  const writer = new Writer(bench);
  await writer.writes(100, 'hci-b');
  const status = await stage.following('hci-b');
  await writer.stop();
  await assertRight(bench, bench.b);
  assert.deepEqual(
    status.replicas.map(({ baseline }) => baseline?.by),
    ['Adopted', 'Adopted', 'Adopted'],
  );
});
