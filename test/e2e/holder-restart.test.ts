import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import type { LinkMode } from '../support/link.ts';
import { slaveStatus } from '../support/link.ts';
import { Writer } from '../support/writer.ts';
import { begin } from './support/begin.ts';
import { positionings } from './support/modes.ts';
import type { Stage } from './support/stage.ts';

let stage: Stage;

// A server that opens for writes as soon as it is up, and a keepalived that lets it restart in place.
for (const { name, by, options } of positionings({ readOnly: false, fall: 10 })) {
  describe(`the holder restarts, ${name}`, () => {
    before(async () => {
      stage = await begin(options);
      await stage.following('hci-a');
    });
    after(async () => stage.close());

    test('the holder restarts cleanly under writes: every replica goes on, nothing lost or doubled', async () => {
      await restartsUnderWrites(by, async () => stage.bench.a.db.restart());
    });

    test('the holder is killed and starts again at once: every replica goes on, nothing lost or doubled', async () => {
      await restartsUnderWrites(by, async () => {
        await stage.bench.a.kill9();
        await stage.bench.a.db.start();
      });
    });
  });
}

async function restartsUnderWrites(by: LinkMode, restart: () => Promise<void>): Promise<void> {
  const { bench } = stage;
  const lineage = (await stage.following('hci-a')).source.members.find(({ name }) => name === 'hci-a')?.lineage;
  const before = (await stage.status()).handovers[0]?.id;
  const writer = new Writer(bench);
  await writer.writes(200, 'hci-a');

  await restart();

  await writer.writes(200, 'hci-a');
  const status = await stage.statusIs(
    'the restart is recorded and every replica follows',
    ({ handovers, following }) => handovers[0]?.id !== before && following === '3/3',
  );
  await writer.stop();
  await assertRight(bench, bench.a);
  const [record] = status.handovers;
  assert.equal(record?.outcome, 'Completed', stage.operator.tail(5));
  assert.equal(record.trigger, 'HolderRestarted');
  assert.deepEqual([record.from, record.to], ['hci-a', 'hci-a']);
  assert.deepEqual(
    record.replicas.map((replica) => replica.proof),
    ['SameServer', 'SameServer', 'SameServer'],
  );
  assert.equal(
    status.source.members.find(({ name }) => name === 'hci-a')?.lineage,
    lineage,
    'the same history goes on',
  );
  const links = await Promise.all(bench.replicas.map(({ db }) => slaveStatus(db)));
  const positioned = by === 'gtid' ? 'Slave_Pos' : 'No';
  assert.deepEqual(
    links.map((link) => link?.['Using_Gtid']),
    [positioned, positioned, positioned],
  );
}
