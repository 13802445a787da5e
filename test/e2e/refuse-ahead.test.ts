import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { ReplicaStatus } from '../../src/api/status.ts';
import type { Status } from '../../src/api/v1alpha1.ts';
import type { Replica } from '../support/bench.ts';
import { judge } from '../support/judge.ts';
import type { LinkMode } from '../support/link.ts';
import { begin, calm } from './support/begin.ts';
import { positionings } from './support/modes.ts';
import { condition } from './support/moves.ts';
import type { Stage } from './support/stage.ts';
import { allReached, insertAt, onlyServe, remember } from './support/refusal.ts';
import { allSaved, eventNotes, SalvageVolume } from './support/salvaged.ts';

const MORE = 5;
let stage: Stage;
let volume: SalvageVolume;

// By file the standby, too, replicates by file and position and does not log what it applies: places are compared, not GTIDs.
for (const { name, by, options } of positionings({}, { server: { 'log-slave-updates': 0 }, standbyLink: 'file' })) {
  describe(`what the standby never received, ${name}`, () => {
    before(async () => {
      volume = await SalvageVolume.make();
      stage = await begin({ ...options, operator: volume.operator });
    });
    after(async () => {
      await stage.close();
      volume.close();
    });

    test('Ahead: what the standby never received is listed, the replicas that have it are left alone', async () => {
      const { bench } = stage;
      const [r1, r2, r3] = bench.replicas;
      assert.ok(r1 && r2 && r3);
      await calm(stage);
      await bench.follows(bench.b.db, bench.a.db);
      await bench.b.db.sql('STOP SLAVE IO_THREAD');
      const heal = await r3.host.drop({ direction: 'in', peer: bench.a.address });
      const since = Date.now();
      await insertAt(bench.a.db, MORE);
      await allReached(bench, [r1, r2], bench.a.db);
      const written = { since, until: Date.now() };
      const untouched = await remember([r1, r2]);

      await bench.a.powerOff();
      await bench.holderIs(bench.b);
      await heal();

      const status = await stage.statusIs(
        'r1 and r2 are ahead of the new holder, r3 follows it',
        ({ replicas, holder, handovers }) =>
          holder === 'hci-b' &&
          replicas.map((one) => one.verdict).join() === 'Ahead,Ahead,Following' &&
          replicas.slice(0, 2).every((one) => one.transactions?.bytes !== undefined) &&
          handovers[0]?.to === 'hci-b',
        60_000,
      );
      for (const replica of status.replicas.slice(0, 2)) {
        assert.equal(replica.ready, false);
        await assertListed(replica, r1, written);
        assert.match(replica.message, MESSAGES[by]);
      }
      assertPartial(status, by);
      await onlyServe(stage, ['r3']);
      await saved([r1, r2]);
      await insertAt(bench.b.db, 3);
      await bench.follows(r3.db, bench.b.db);
      await untouched();
      await cured(by, [r1, r2]);
    });
  });
}

const MESSAGES: Readonly<Record<LinkMode, RegExp>> = {
  gtid: /5 transactions that hci-b lacks.*salvage.*From its own binlog: .*INSERT INTO app\.plain/,
  file: /applied more than hci-b had when it took over \(\S+:\d+ against \S+:\d+\); salvage.*From its own binlog: .*INSERT INTO app\.plain/,
};

async function assertListed(
  { transactions }: ReplicaStatus,
  { db }: Replica,
  written: { readonly since: number; readonly until: number },
): Promise<void> {
  const last = (await db.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'];
  const number = Number(last?.split('-')[2]);
  assert.equal(transactions?.count, MORE);
  assert.deepEqual(
    transactions.gtids,
    [4, 3, 2, 1, 0].map((back) => `0-1-${number - back}`),
  );
  const [first, end] = [Date.parse(transactions.firstAt ?? ''), Date.parse(transactions.lastAt ?? '')];
  assert.ok(first > 0 && end > 0, 'the times are told');
  // The binlog has whole seconds.
  const times = [Math.floor(written.since / 1000) * 1000, first, end, written.until];
  assert.deepEqual(
    times,
    times.toSorted((one, other) => one - other),
    `${transactions.firstAt} to ${transactions.lastAt}`,
  );
  assert.ok((transactions.bytes ?? 0) > 100 * MORE && transactions.atLeast === undefined);
}

/** Before anything may wipe them; once, whichever process asks. */
async function saved(ahead: readonly Replica[]): Promise<void> {
  const pods = ahead.map(({ name }) => name);
  const last = (await ahead[0]?.db.row('SELECT @@gtid_slave_pos AS gtid'))?.['gtid'] ?? '';
  const gtids = [4, 3, 2, 1, 0].map((back) => last.replace(/\d+$/, (seq) => String(Number(seq) - back)));
  const { replicas } = await allSaved(stage, pods);
  for (const replica of replicas.filter(({ pod }) => pods.includes(pod))) volume.assertSaved(replica, gtids);
  const files = volume.files();
  assert.equal(files.length, 3 * pods.length, files.join());
  const notes = await eventNotes(stage, 'Salvaged', pods.length);
  assert.deepEqual(notes.map((note) => note.split(' were saved as ')[0] ?? '').toSorted(), [
    '5 transactions that only r1 has',
    '5 transactions that only r2 has',
  ]);

  await stage.operator.kill9();
  const since = Date.now();
  await stage.startOperator();
  // What is written on a server without log_slave_updates before that counts as unwatched.
  await stage.statusIs('the new process has looked at the holder', ({ holder, source }) =>
    source.members.some(({ name, observedAt = '' }) => name === holder && Date.parse(observedAt) > since),
  );
  // Its words alone are told anew every 30 s at most.
  const again = await allSaved(stage, pods, 90_000);
  for (const replica of again.replicas.filter(({ pod }) => pods.includes(pod))) volume.assertSaved(replica, gtids);
  assert.deepEqual(volume.files(), files);
}

function assertPartial(status: Status, by: LinkMode): void {
  assert.equal(status.following, '1/3');
  assert.equal(status.verdict, 'Ahead');
  assert.equal(condition(status, 'Ready'), 'False/Ahead');
  assert.equal(condition(status, 'ReplicasIntact'), 'False/Ahead');
  assert.match(condition(status, 'SourceAvailable'), /^True/);
  const [record] = status.handovers;
  assert.equal(record?.outcome, 'Partial');
  assert.deepEqual(
    record.replicas.map(({ pod, proof, message }) => `${pod} ${proof ?? message.split(':')[0]}`).toSorted(),
    ['r1 Ahead', 'r2 Ahead', by === 'gtid' ? 'r3 Contained' : 'r3 TakeoverPoint'],
  );
}

/** The cure that the message names: the server that has them comes back and takes the VIP. */
async function cured(by: LinkMode, ahead: readonly Replica[]): Promise<void> {
  const { bench } = stage;
  await bench.a.powerOn();
  await bench.b.planned();
  await bench.holderIs(bench.a);
  // A server that does not log what it applies, and never was a standby, cannot say what it lacks.
  const third = by === 'gtid' ? 'Ahead' : 'StandbyNeverSeen';
  const status = await stage.statusIs(
    'r1 and r2 follow the server that has what they have; now r3 has what it lacks',
    ({ replicas, holder }) =>
      holder === 'hci-a' &&
      replicas.map((one) => one.reason).join() === `Following,Following,${third}` &&
      (by === 'file' || replicas[2]?.transactions?.count === 3),
  );
  assert.equal(status.replicas[2]?.ready, false);
  await insertAt(bench.a.db, 3);
  const judgements = await judge(bench, bench.a, { replicas: ahead });
  assert.deepEqual(
    judgements.flatMap(({ findings }) => findings),
    [],
  );
}
