import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight, judge } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import type { Member } from '../support/member.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { leadVip } from './support/sticky-vip.ts';
import { Stage } from './support/stage.ts';

// Links dial the VIP. The way to it moves for new connections only, so that sessions which stand end on the member that
// was there before: alive, with heartbeats, at Yes/Yes and lag 0, for as long as nobody asks on a new connection.
let stage: Stage;

before(async () => {
  stage = await Stage.open({ spec: { link: { through: 'VIP', netTimeoutSeconds: 40 } } });
  await lead(stage.bench.a);
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

test('the VIP is on the other member, every kept session still on the old one: the fresh connection is believed', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await stage.following(a.name);
  const writer = new Writer(bench);
  await writer.writes(50, a.name);

  await a.planned();
  await bench.holderIs(b);
  await lead(b);

  await writer.writes(100, b.name);
  await stage.following(b.name, 60_000);
  await writer.stop();
  await assertRight(bench, b);
});

test('A-B-A within a moment: a session that reconnected meanwhile is kept on the standby, and is not believed', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  const [r1] = bench.replicas;
  assert.ok(r1);
  await bench.rejoin(a, 'keep');
  await stage.following(b.name);
  await stage.operator.stop();
  await leadVip(bench, [r1.host], a);
  await r1.db.sql('STOP SLAVE IO_THREAD; START SLAVE IO_THREAD');
  await until('r1 is fed by the standby', async () => {
    const link = await slaveStatus(r1.db);
    return link?.['Slave_IO_Running'] === 'Yes' && Number(link['Master_Server_Id']) === a.db.serverId;
  });
  await leadVip(bench, [r1.host], b);
  const [naive] = await judge(bench, b, { replicas: [r1], settleMs: 1_000 });
  assert.deepEqual([naive?.running, naive?.sameRows, naive?.fedBy], [true, true, [a.name]], 'MariaDB is content');

  await stage.startOperator();

  await until('r1 is fed by the holder', async () => {
    const [now] = await judge(bench, b, { replicas: [r1], settleMs: 0 });
    return now?.right === true;
  });
  await stage.following(b.name);
  const writer = new Writer(bench);
  await writer.writes(50, b.name);
  await writer.stop();
  await assertRight(bench, b);
});

test('A-B-A under the eyes of mxr, with writes on both: it ends where the VIP ends', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  const writer = new Writer(bench);
  await writer.writes(50, b.name);

  await lead(a);
  await lead(b);

  await writer.writes(100, b.name);
  await writer.stop();
  await stage.following(b.name, 60_000);
  await assertRight(bench, b);
});

/** The way of the operator and of every replica. */
async function lead(to: Member): Promise<void> {
  const { bench } = stage;
  await leadVip(bench, [bench.op, ...bench.replicas.map(({ host }) => host)], to);
}
