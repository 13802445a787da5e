import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { drawPlan } from '../../chaos/plan.ts';
import type { Fault, Kind } from '../../chaos/plan.ts';
import { Field } from '../../chaos/field.ts';
import { strike } from '../../chaos/strikes.ts';
import type { Supervisor } from '../../chaos/supervisor.ts';
import type { Stage } from '../../e2e/support/stage.ts';
import type { Replica } from '../../support/bench.ts';
import { createBench } from '../../support/bench.ts';
import { slaveStatus } from '../../support/link.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { Writer } from '../../support/writer.ts';

const ER_MASTER_FATAL_ERROR_READING_BINLOG = '1236';

await enterSandbox();
const bench = await createBench({
  server: { 'sync-binlog': 0 },
  // A replica that hears nothing asks again soon.
  replicas: { server: { 'slave-net-timeout': 2 } },
});
const writer = new Writer(bench);
after(async () => {
  await writer.stop();
  await bench.close();
});
await writer.writes(20, 'hci-a');
const [r1, r2, r3] = bench.replicas;
assert.ok(r1 !== undefined && r2 !== undefined && r3 !== undefined);
const { configuration } = drawPlan(1);
const FAULT: Fault = { kind: 'flap', gapMs: 0, forMs: 0, replica: 0, comeback: 'keep', level: 0 };

function newField(): Field {
  return new Field({ bench } as Stage, {} as Supervisor, { ...configuration, pair: 'standby', readOnly: true });
}

/** Strikes, does something, heals; resolves with the kinds that count and what was noted. */
async function struck(fault: Partial<Fault>, meanwhile: () => Promise<void>): Promise<[Kind[], string[]]> {
  const field = newField();
  const heal = await strike(field, { ...FAULT, ...fault });
  await meanwhile();
  await heal();
  return [field.past.made, field.diary];
}

async function isPurged({ db }: Replica): Promise<boolean> {
  return (await slaveStatus(db))?.['Last_IO_Errno'] === ER_MASTER_FATAL_ERROR_READING_BINLOG;
}

describe('a purge', () => {
  // Even levels kill a replica, odd ones cut it off from the holder.
  for (const [replica, level, how] of [
    [r1, 0, 'that died'],
    [r2, 1, 'that is cut off'],
  ] as const) {
    it(`takes what a replica misses ${how}, and nothing from those that are connected`, async () => {
      const index = bench.replicas.indexOf(replica);
      const [made, notes] = await struck({ kind: 'purge-holder', replica: index, level }, () => writer.writes(5));
      assert.deepEqual(made, ['purge-holder'], notes.join('\n'));
      await until(`${replica.name} is told that its files are gone`, () => isPurged(replica));
      assert.equal(await isPurged(r3), false);
      await bench.follows(r3.db, bench.a.db);
      await bench.follows(bench.b.db, bench.a.db);
    });
  }

  it('that takes nothing, because the standby does not have it yet, does not count', async () => {
    await bench.b.freeze();
    const [made, notes] = await struck({ kind: 'purge-holder', replica: 2 }, async () => bench.b.thaw());
    assert.deepEqual(made, []);
    assert.match(notes.join('\n'), /nothing was purged: .*\n.*purge-holder did nothing/s);
    await bench.follows(bench.b.db, bench.a.db);
    await bench.follows(r3.db, bench.a.db);
  });
});

describe('what a storm does is seen by its effect', () => {
  it('a lock on a replica that was got, and packets that were kept back', async () => {
    const [locked] = await struck({ kind: 'lock-replica', replica: 2 }, () => writer.writes(20));
    assert.deepEqual(locked, ['lock-replica']);
    // The standby does not hear the holder, of which there is always something to hear.
    const [dropped] = await struck({ kind: 'half-open', level: 2 }, () => writer.writes(20));
    assert.deepEqual(dropped, ['half-open']);
    // The replicas of this bench dial the VIP: from the holder's own address nothing comes to them.
    const [idle] = await struck({ kind: 'half-open', replica: 2, level: 1 }, () => writer.writes(20));
    assert.deepEqual(idle, []);
  });

  it('a cable, a frozen server and a dead one', async () => {
    const [frozen] = await struck({ kind: 'freeze-standby' }, async () => undefined);
    assert.deepEqual(frozen, ['freeze-standby']);
    await bench.b.kill9();
    const [again, notes] = await struck({ kind: 'freeze-standby' }, async () => undefined);
    assert.deepEqual(again, [], notes.join('\n'));
    const [dead] = await struck({ kind: 'kill-standby' }, async () => undefined);
    assert.deepEqual(dead, [], 'it was dead already; its heal starts it');
    await bench.follows(bench.b.db, bench.a.db);
  });

  it('a machine that lost what it had logged last', async () => {
    const field = newField();
    // Of the time that is drawn most, so that something is written in it.
    const heal = await strike(field, { ...FAULT, kind: 'lost-tail-holder', level: 99 });
    assert.deepEqual(field.past.made, ['lost-tail-holder'], field.diary.join('\n'));
    assert.deepEqual([...field.past.lostTail], ['hci-a']);
    await bench.holderIs(bench.b);
    await heal();
    await bench.follows(bench.a.db, bench.b.db);
  });

  it('and one that had logged nothing in that time, which lost nothing', async () => {
    await writer.stop();
    const field = newField();
    const heal = await strike(field, { ...FAULT, kind: 'lost-tail-holder' });
    assert.deepEqual([field.past.made, [...field.past.lostTail]], [[], []]);
    assert.equal(bench.b.db.running, false, 'it had no power all the same');
    await heal();
  });
});
