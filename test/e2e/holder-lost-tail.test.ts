import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Replica } from '../support/bench.ts';
import { createReplicaAccount } from '../support/accounts.ts';
import { cloneData, snapshotData } from '../support/clone.ts';
import { assertRight, judge } from '../support/judge.ts';
import type { LinkMode } from '../support/link.ts';
import { attach, ownPosition, slaveStatus } from '../support/link.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { begin } from './support/begin.ts';
import { tokensOf } from './support/lost-tail.ts';
import { positionings } from './support/modes.ts';
import { condition } from './support/moves.ts';
import type { Stage } from './support/stage.ts';

// The dangerous restart: nothing moves, the server comes back at once without its last transactions, and clients write
// on at once. MariaDB's own reconnect ends at Yes/Yes with wrong rows (facts/mariadb.md §11b).
let stage: Stage;

for (const { name, by, options } of positionings({ readOnly: false, fall: 10 })) {
  describe(`the holder loses its tail, ${name}`, () => {
    before(async () => {
      stage = await begin(options);
      await stage.following('hci-a');
    });
    after(async () => stage.close());

    test('the holder loses its tail and is written to at once: receiving stops first, nothing foreign arrives', async () => {
      const { bench } = stage;
      const writer = new Writer(bench);
      await writer.writes(200, 'hci-a');

      const late = await losesTail(writer);

      const status = await stage.statusIs('every replica is refused because of the lost tail', ({ replicas }) =>
        replicas.every(({ reason }) => reason === 'LostTail'),
      );
      await writer.writes(200, 'hci-a');
      await writer.stop();
      assert.deepEqual(
        status.replicas.map(({ verdict, ready }) => `${verdict} ${String(ready)}`),
        ['Ahead false', 'Ahead false', 'Ahead false'],
      );
      for (const replica of status.replicas) {
        assert.match(replica.message, /hci-a.*reseed/);
        assert.ok((replica.transactions?.gtids.length ?? 0) > 0, 'it lists what the holder lacks');
      }
      assert.equal(condition(status, 'ReplicasIntact'), 'False/Ahead');
      assert.equal(condition(status, 'Ready'), 'False/Ahead');
      const wanted = late();
      for (const replica of bench.replicas) {
        assert.deepEqual(
          await tokensOf(replica, wanted),
          [],
          `${replica.name} received what was written after the restart`,
        );
        assert.equal((await slaveStatus(replica.db))?.['Slave_IO_Running'], 'No');
      }
    });

    test('the cure: replicas that were reseeded from the holder follow it, whatever was proven of them before', async () => {
      const { bench } = stage;
      await Promise.all(bench.replicas.map(async (replica) => reseed(replica, by)));
      await stage.following('hci-a');
      const writer = new Writer(bench);
      await writer.writes(50, 'hci-a');
      await writer.stop();
      await assertRight(bench, bench.a);
    });

    test('nobody watched: a replica that went on over the lost tail is Diverged, both sides shown', async () => {
      const { bench } = stage;
      // No unique key that could collide: luck is no protection.
      const writer = new Writer(bench, { mix: 'equal' });
      await writer.writes(100, 'hci-a');
      await stage.operator.kill9();

      await losesTail(writer);

      await Promise.all(bench.replicas.map(async (replica) => goesOn(replica, by)));
      await writer.stop();
      const naive = await judge(bench, bench.a, { settleMs: 3_000 });
      assert.deepEqual(
        naive.map(({ running, sameRows }) => ({ running, sameRows })),
        naive.map(() => ({ running: true, sameRows: false })),
        'the servers themselves are content: Yes/Yes with wrong rows',
      );
      await stage.startOperator();
      const status = await stage.statusIs('every replica is Diverged', ({ replicas }) =>
        replicas.every(({ verdict }) => verdict === 'Diverged'),
      );
      for (const replica of status.replicas) {
        assert.match(replica.message, /is not the same transaction on both sides. On hci-a: .* On r\d: /);
      }
      assert.equal(condition(status, 'Ready'), 'False/Diverged');
      for (const { db } of bench.replicas) {
        await until('it receives nothing more', async () => (await slaveStatus(db))?.['Slave_IO_Running'] === 'No');
      }
    });
  });
}

/** What a person does: other data, from the holder, and a link that points there. */
async function reseed({ name, db }: Replica, mode: LinkMode): Promise<void> {
  const { bench } = stage;
  await db.stop();
  const from = await cloneData(bench.a.db, db);
  await db.start();
  await createReplicaAccount(db, bench.accounts.replica);
  await stage.statusIs(`${name} is seen without a link`, ({ replicas }) =>
    replicas.some(({ pod, verdict }) => pod === name && ['Unseeded', 'StoppedByHand'].includes(verdict ?? '')),
  );
  const { host, port } = bench.vip;
  await attach(db, { host, port, account: bench.accounts.replication, mode, from });
}

/**
 * By GTID MariaDB's own reconnect; where the server refused the position, what a script or a person does: START SLAVE again.
 * By file the place is beyond the end of a file that never grows again: the advice that people find for this error is to go
 * on at the begin of the next one.
 */
async function goesOn({ name, db }: Replica, by: LinkMode): Promise<void> {
  await until(`${name} replicates again`, async () => {
    const status = await slaveStatus(db);
    if (status?.['Slave_IO_Running'] === 'No') await db.sql(by === 'gtid' ? 'START SLAVE' : await toNextFile());
    return status?.['Slave_IO_Running'] === 'Yes' && status['Slave_SQL_Running'] === 'Yes';
  });
}

async function toNextFile(): Promise<string> {
  const { file } = await ownPosition(stage.bench.a.db);
  return `STOP SLAVE; CHANGE MASTER TO MASTER_LOG_FILE='${file}', MASTER_LOG_POS=4; START SLAVE`;
}

/** Kills the holder, puts back its data as it was a few transactions ago, and answers what is written from then on. */
async function losesTail(writer: Writer): Promise<() => ReadonlySet<string>> {
  const { bench } = stage;
  const restore = await snapshotData(bench.a.db);
  await writer.writes(8, 'hci-a');
  await bench.a.kill9();
  await restore();
  const known = new Set(writer.acknowledged.map(({ token }) => token));
  const unsure = writer.failed.length;
  await bench.a.db.start();
  await writer.writes(50, 'hci-a');
  return () => {
    const failed = new Set(writer.failed.slice(0, unsure + 1).map(({ token }) => token));
    return new Set(writer.acknowledged.map(({ token }) => token).filter((one) => !known.has(one) && !failed.has(one)));
  };
}
