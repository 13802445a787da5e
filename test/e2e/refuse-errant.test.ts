import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { begin } from './support/begin.ts';
import type { Stage } from './support/stage.ts';
import { allReached, approvalAsked, insertAt, purge, remember } from './support/refusal.ts';

let stage: Stage;

before(async () => {
  stage = await begin();
});
after(async () => stage.close());

test('NotPrefix: an errant write on the standby, which no replica would ever get', async () => {
  const { bench } = stage;
  await stage.following('hci-a');
  await insertAt(bench.a.db, 3);
  await bench.follows(bench.b.db, bench.a.db);
  await insertAt(bench.b.db, 1);
  const errant = (await bench.b.db.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'] ?? '';
  assert.match(errant, /^0-2-/);

  // A write without the VIP is a split as far as anybody can tell: a person decides that it was only an errant one.
  const id = await approvalAsked(stage);
  assert.ok((await stage.status()).source.message.includes(errant));
  await stage.annotate({ 'mxr.dev/approve': id });
  const { approvals } = await stage.following('hci-a');
  assert.equal(approvals[0]?.id, id);
  const audited = await stage.statusIs('the audit tells before the night', ({ findings }) =>
    findings.some(({ finding, subject }) => finding === 'StandbyOwnWrites' && subject === 'hci-b'),
  );
  assert.equal(audited.conditions.find(({ type }) => type === 'FailoverReady')?.status, 'False');
  await insertAt(bench.a.db, 3);
  await bench.follows(bench.b.db, bench.a.db);
  await allReached(bench, bench.replicas, bench.a.db);
  const untouched = await remember(bench.replicas);

  await bench.a.planned();
  await bench.holderIs(bench.b);

  const status = await stage.statusIs(
    'no replica attaches',
    ({ replicas, holder }) => holder === 'hci-b' && replicas.every(({ reason }) => reason === 'NotPrefix'),
  );
  for (const { verdict, transactions, message } of status.replicas) {
    assert.equal(verdict, 'Unproven');
    assert.deepEqual(transactions?.gtids, [errant]);
    assert.match(message, /errant write on the standby.*reseed/);
  }
  assert.equal(status.following, '0/3');
  await insertAt(bench.b.db, 3);
  await untouched();
  const { handovers } = await stage.statusIs('it is recorded', (one) => one.handovers[0]?.to === 'hci-b');
  assert.deepEqual(
    [handovers[0]?.from, handovers[0]?.trigger, handovers[0]?.outcome],
    ['hci-a', 'VipMoved', 'Refused'],
  );
  const told = handovers[0]?.replicas.map(({ pod, message }) => `${pod} ${message.split(':')[0]}`);
  assert.deepEqual(told?.toSorted(), ['r1 Unproven/NotPrefix', 'r2 Unproven/NotPrefix', 'r3 Unproven/NotPrefix']);

  await bench.a.keepalived.start();
  await bench.b.planned();
  await bench.holderIs(bench.a);
  await stage.following('hci-a');
  await insertAt(bench.a.db, 3);
  await assertRight(bench, bench.a);
});

test('UnknownDomain: a standby seeded with a GTID domain of its own, which MariaDB would replay', async () => {
  const { bench } = stage;
  // Had mxr looked in between, it would know that the domain came later, and what the replicas would be passed over with.
  const heal = await bench.op.drop({ direction: 'in', peer: bench.b.address });
  await bench.rejoin(bench.b, 'clone');
  await bench.b.db.sql(`SET SESSION gtid_domain_id=7;
    DROP TABLE app.firsts; CREATE TABLE app.firsts (token CHAR(24) PRIMARY KEY) ENGINE=InnoDB`);
  await heal();
  await stage.statusIs('the standby was looked at', ({ source }) =>
    source.members.some(({ name, binlogState }) => name === 'hci-b' && binlogState?.includes('7-2-') === true),
  );
  await stage.following('hci-a');
  await insertAt(bench.a.db, 3);
  await bench.follows(bench.b.db, bench.a.db);
  await allReached(bench, bench.replicas, bench.a.db);
  const untouched = await remember(bench.replicas);

  await bench.a.planned();
  await bench.holderIs(bench.b);

  const status = await stage.statusIs(
    'no replica attaches',
    ({ replicas, holder }) => holder === 'hci-b' && replicas.every(({ reason }) => reason === 'UnknownDomain'),
  );
  for (const { verdict, transactions, message } of status.replicas) {
    assert.equal(verdict, 'Unproven');
    assert.deepEqual(transactions?.gtids, ['7-2-2']);
    assert.match(message, /domain 7 .*replay it from its start.*DELETE_DOMAIN_ID/);
  }
  await untouched();

  await purge(bench.b.db);
  await bench.b.db.sql('FLUSH BINARY LOGS DELETE_DOMAIN_ID=(7)');
  await stage.following('hci-b');
  await insertAt(bench.b.db, 3);
  await assertRight(bench, bench.b);
});
