import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Trigger } from '../../src/api/reasons.ts';
import type { Replica } from '../support/bench.ts';
import { assertRight, judge } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import type { TestSession } from '../support/mariadb-sql.ts';
import { openSession } from '../support/mariadb-sql.ts';
import type { Member } from '../support/member.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { begin } from './support/begin.ts';
import { positionings } from './support/modes.ts';
import type { Stage } from './support/stage.ts';

const DELAY_SECONDS = 8;
let stage: Stage;
let writer: Writer;

for (const { name, by, options } of positionings()) {
  describe(`a replica in trouble, ${name}`, () => {
    before(async () => {
      stage = await begin(options);
      await stage.following('hci-a');
    });
    after(async () => stage.close());

    test('a locked replica at the moment of the move: the others go on at once, it follows when it is released', async () => {
      const { bench } = stage;
      const [r1, r2, r3] = threeOf(bench.replicas);
      writer = new Writer(bench);
      await writer.writes(50, 'hci-a');
      const lock = await lockTables(r1);
      await until('r1 waits with received transactions', () => hasBacklog(r1));
      await writer.writes(50, 'hci-a');

      await bench.a.planned();

      await bench.holderIs(bench.b);
      await writer.writes(100, 'hci-b');
      await stage.statusIs('r2 and r3 follow the new holder', ({ replicas }) =>
        replicas.every(({ pod, ready }) => ready === (pod !== 'r1')),
      );
      await writer.stop();
      const others = await judge(bench, bench.b, { replicas: [r2, r3] });
      assert.deepEqual(
        others.flatMap(({ findings }) => findings),
        [],
      );
      const waiting = (await stage.status()).replicas.find(({ pod }) => pod === 'r1');
      assert.equal(waiting?.verdict, 'HandingOver', waiting?.message);

      lock.close();
      await ends(bench.b, 'VipMoved');
      await bench.rejoin(bench.a, 'keep');
    });

    // By GTID the new holder sends again what waits. By file that is the only copy, and has to be applied where it is.
    const delayed = by === 'gtid' ? 'moves at once' : 'first applies what it received, in its own time';
    test(`a delayed replica ${delayed}, keeps the delay that a person set, and gets everything`, async () => {
      const { bench } = stage;
      const [r1, r2, r3] = threeOf(bench.replicas);
      await r1.db.sql(`STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = ${DELAY_SECONDS}; START SLAVE`);
      await stage.following('hci-b');
      writer = new Writer(bench);
      await writer.writes(100, 'hci-b');
      await until('r1 waits with received transactions', () => hasBacklog(r1));

      await bench.b.planned();

      await bench.holderIs(bench.a);
      await writer.writes(100, 'hci-a');
      await writer.stop();
      if (by === 'gtid') {
        await until('the new holder feeds the delayed replica, which is still behind', async () => {
          return (await isFedBy(r1, bench.a)) && (await hasBacklog(r1));
        });
      } else {
        const { replicas } = await stage.statusIs('the others follow, r1 applies what it received', (status) =>
          status.replicas.every(({ pod, ready, verdict }) => (pod === 'r1' ? verdict === 'HandingOver' : ready)),
        );
        assert.match(
          replicas.find(({ pod }) => pod === 'r1')?.message ?? '',
          /r1 applies what it received before it is/,
        );
        assert.equal((await slaveStatus(r1.db))?.['Master_Host'], bench.b.address);
        const others = await judge(bench, bench.a, { replicas: [r2, r3] });
        assert.deepEqual(
          others.flatMap(({ findings }) => findings),
          [],
        );
        await until('the new holder feeds r1, too', () => isFedBy(r1, bench.a));
      }
      assert.equal((await slaveStatus(r1.db))?.['SQL_Delay'], `${DELAY_SECONDS}`);
      await ends(bench.a, 'VipMoved');
      await r1.db.sql('STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 0; START SLAVE');
      await stage.following('hci-a');
      await bench.rejoin(bench.b, 'keep');
    });

    test('a replica restarted in mid-handover, another killed: both follow, nothing lost or doubled', async () => {
      const { bench } = stage;
      const [r1, r2] = threeOf(bench.replicas);
      writer = new Writer(bench);
      await writer.writes(100, 'hci-a');

      await bench.a.planned();
      await Promise.all([r1.db.restart(), r2.db.kill9().then(() => r2.db.start())]);

      await bench.holderIs(bench.b);
      await writer.writes(100, 'hci-b');
      await writer.stop();
      // By file nobody but mxr starts the link of a server that restarted, also where it had just been moved.
      await ends(bench.b, 'VipMoved', ...(by === 'file' ? (['Resume'] as const) : []));
      await bench.rejoin(bench.a, 'keep');
    });

    test('a replica killed under load, three times: it follows again, nothing doubled', async () => {
      const { bench } = stage;
      const [r1] = threeOf(bench.replicas);
      writer = new Writer(bench, { mix: 'equal', ratePerSecond: 200 });
      for (const round of [1, 2, 3]) {
        await writer.writes(100 * round, 'hci-b');
        await r1.db.kill9();
        await writer.writes(20, 'hci-b');
        await r1.db.start();
      }
      await writer.writes(50, 'hci-b');
      await writer.stop();
      await stage.following('hci-b');
      await assertRight(bench, bench.b);
    });
  });
}

/** Every replica has arrived, rows are right, and the last handover says so. */
async function ends(holder: Member, ...triggers: readonly Trigger[]): Promise<void> {
  const status = await stage.statusIs(
    `every replica follows ${holder.name}, and the handover ended`,
    ({ following, holder: name, intent, handovers }) =>
      following === '3/3' && name === holder.name && intent === undefined && handovers[0]?.to === name,
    60_000,
  );
  const [record] = status.handovers;
  assert.ok(record !== undefined && triggers.includes(record.trigger), JSON.stringify(record));
  assert.equal(record.outcome, 'Completed', JSON.stringify(record));
  await assertRight(stage.bench, holder, 30_000);
}

/** A session that keeps the applier from writing, as a backup or a long query does. */
async function lockTables({ db }: Replica): Promise<TestSession> {
  const session = await openSession({ name: db.name, user: 'root', socketPath: db.socket });
  await session.sql('LOCK TABLES app.plain READ, app.auto READ, app.hot READ, app.firsts READ');
  return session;
}

async function isFedBy({ db }: Replica, member: Member): Promise<boolean> {
  const status = await slaveStatus(db);
  return status?.['Master_Host'] === member.address && status['Slave_IO_Running'] === 'Yes';
}

async function hasBacklog({ db }: Replica): Promise<boolean> {
  const status = await slaveStatus(db);
  return status?.['Read_Master_Log_Pos'] !== status?.['Exec_Master_Log_Pos'];
}

function threeOf(replicas: readonly Replica[]): [Replica, Replica, Replica] {
  const [r1, r2, r3] = replicas;
  assert.ok(r1 && r2 && r3);
  return [r1, r2, r3];
}
