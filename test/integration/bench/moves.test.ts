import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { createBench } from '../../support/bench.ts';
import type { Member } from '../../support/member.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { Watch } from '../../support/watch.ts';
import { Writer } from '../../support/writer.ts';

await enterSandbox();
const WRITES = 50;

// Replicas that notice a dead link early, so that these moves do not wait for MariaDB's defaults.
const bench = await createBench({ replicas: { server: { 'slave-net-timeout': 2 } } });
after(() => bench.close());
const writer = new Writer(bench);
const watch = new Watch(bench);

async function moves(from: Member, fault: () => Promise<unknown>): Promise<Member> {
  const to = bench.other(from);
  await writer.writes(WRITES, from.name);
  await fault();
  await bench.holderIs(to);
  await writer.writes(WRITES, to.name);
  await until(`the watch saw ${to.name}`, () => watch.vipAnswered(to.name, 0) !== undefined);
  return to;
}

describe('the VIP bench', () => {
  it('moves the VIP when keepalived is stopped', async () => {
    await moves(bench.a, () => bench.a.planned());
    await bench.rejoin(bench.a, 'keep');
  });

  it('moves the VIP when the database is killed', async () => {
    await moves(bench.b, () => bench.b.kill9());
    await bench.rejoin(bench.b, 'clone');
  });

  it('moves the VIP when the power fails', async () => {
    await moves(bench.a, () => bench.a.powerOff());
    assert.equal(await bench.a.holdsVip(), false);
    await bench.rejoin(bench.a, 'clone');
  });

  it('moves the VIP when the database freezes', async () => {
    await moves(bench.b, async () => bench.b.freeze());
    bench.b.thaw();
    await bench.rejoin(bench.b, 'clone');
  });

  it('moves the VIP when the network interface goes down', async () => {
    await moves(bench.a, () => bench.a.nicDown());
    await bench.a.nicUp();
    await bench.rejoin(bench.a, 'clone');
  });

  it('has two holders while VRRP is cut, and one after it is healed', async () => {
    await bench.a.cutVrrp();
    await until('both hold the VIP', async () => (await bench.whoHoldsVip()).length === 2);
    await bench.a.healVrrp();
    await until('one holds the VIP', async () => (await bench.whoHoldsVip()).length === 1);
  });

  it('reported what the application and the watch saw', async () => {
    await writer.stop();
    await watch.stop();
    assert.equal(new Set(writer.acknowledged.map((ack) => ack.token)).size, writer.acknowledged.length);
    const first = writer.firstOn('hci-b');
    assert.ok(first !== undefined);
    assert.equal(first.table, 'firsts');
    assert.equal(watch.arrivals(first.token).length, bench.replicas.length);
  });
});
