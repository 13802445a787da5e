import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { cloneData } from '../support/clone.ts';
import type { Replica } from '../support/bench.ts';
import { assertRight, judge } from '../support/judge.ts';
import type { LinkMode, Position } from '../support/link.ts';
import { attach, slaveStatus } from '../support/link.ts';
import { begin, calm } from './support/begin.ts';
import { positionings } from './support/modes.ts';
import { allReached, insertAt, remember } from './support/refusal.ts';
import type { Stage } from './support/stage.ts';

let stage: Stage;

const LSU_OFF = { 'log-slave-updates': 0 } as const;

// By file the standby, too, replicates by file and position: places are compared, not GTIDs.
for (const { name, by, options } of positionings({ server: LSU_OFF }, { standbyLink: 'file' })) {
  describe(`a standby that does not log what it applied, ${name}`, () => {
    before(async () => {
      stage = await begin(options);
    });
    after(async () => stage.close());

    test('Behind: a standby that does not log what it applied cannot give it to a replica that lacks it', async () => {
      const { bench } = stage;
      const [r1, r2, r3] = bench.replicas;
      assert.ok(r1 && r2 && r3);
      await calm(stage);
      const heal = await r3.host.drop({ direction: 'in', peer: bench.a.address });
      await insertAt(bench.a.db, 5);
      await allReached(bench, [r1, r2], bench.a.db);
      await bench.follows(bench.b.db, bench.a.db);
      const taken = (await r1.db.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'];
      const untouched = await remember([r3]);

      await bench.a.powerOff();
      await bench.holderIs(bench.b);
      await heal();

      const status = await stage.statusIs(
        'r3 is behind the takeover point, the others follow',
        ({ replicas, holder, handovers }) =>
          holder === 'hci-b' &&
          replicas.map((one) => one.verdict).join() === 'Following,Following,Behind' &&
          handovers[0]?.to === 'hci-b',
      );
      const behind = status.replicas[2];
      if (by === 'gtid') {
        assert.equal(behind?.transactions?.count, 5);
        assert.deepEqual(behind.transactions.gtids, [taken]);
        assert.match(behind.message, /5 transactions behind.*Bring the old primary back, or reseed/);
      } else {
        assert.match(
          behind?.message ?? '',
          /where hci-b took over \(\S+:\d+ against \S+:\d+\); bring the old primary back, or re/,
        );
      }
      const [record] = status.handovers;
      assert.equal(record?.outcome, 'Partial');
      assert.deepEqual(
        record.replicas.map(({ pod, proof, message }) => `${pod} ${proof ?? message.split(':')[0]}`).toSorted(),
        ['r1 TakeoverPoint', 'r2 TakeoverPoint', 'r3 Behind'],
      );
      assert.equal(status.conditions.find(({ type }) => type === 'ReplicasIntact')?.reason, 'Behind');
      await insertAt(bench.b.db, 3);
      await allReached(bench, [r1, r2], bench.b.db);
      await untouched();
      const judgements = await judge(bench, bench.b, { replicas: [r1, r2] });
      assert.deepEqual(
        judgements.flatMap(({ findings }) => findings),
        [],
      );

      await cured(by, r1, r3);
    });
  });
}

/** A person loads it anew from a sibling. Without a link nothing is known of it any more: it is a first sight. */
async function cured(mode: LinkMode, sibling: Replica, behind: Replica): Promise<void> {
  const { bench } = stage;
  await behind.db.stop();
  await cloneData(sibling.db, behind.db);
  await behind.db.start();
  await stage.statusIs('it begins anew', ({ replicas }) => replicas[2]?.verdict === 'StoppedByHand');
  await attach(behind.db, {
    host: bench.b.address,
    port: bench.vip.port,
    account: bench.accounts.replication,
    mode,
    from: await placeOf(sibling),
  });
  const status = await stage.following('hci-b');
  assert.equal(status.replicas[2]?.baseline?.by, 'Adopted');
  await insertAt(bench.b.db, 3);
  await assertRight(bench, bench.b);
}

/** Where a replica stands in its source, which is at rest. */
async function placeOf({ db }: Replica): Promise<Position> {
  const link = await slaveStatus(db);
  const { gtid } = await db.row('SELECT @@gtid_slave_pos AS gtid');
  const [file, position] = [link?.['Relay_Master_Log_File'], link?.['Exec_Master_Log_Pos']];
  return { file: file ?? '', position: Number(position), gtid: gtid ?? '' };
}
