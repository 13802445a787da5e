import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import type { Member } from '../support/member.ts';
import { Writer } from '../support/writer.ts';
import { NAME, NAMESPACE, Stage } from './support/stage.ts';

// What a person may forbid, hold back or approve, and that a replica at a wrong place is none of mxr's to repair.
let stage: Stage;

before(async () => {
  stage = await Stage.open({ spec: { policy: { handover: 'Observe' } } });
  await stage.startOperator();
});
after(async () => stage.close());

async function hosts(): Promise<(string | null | undefined)[]> {
  const links = await Promise.all(stage.bench.replicas.map(({ db }) => slaveStatus(db)));
  return links.map((link) => link?.['Master_Host']);
}

async function moveUnderWrites(from: Member, to: Member): Promise<void> {
  const writer = new Writer(stage.bench);
  await writer.writes(50, from.name);
  await from.planned();
  await writer.writes(50, to.name, 60_000);
  await writer.stop();
}

test('Observe: what mxr would do is said, and nothing is touched', async () => {
  const { vip } = stage.bench;
  await stage.createResource();
  const status = await stage.statusIs(
    'every replica says what would be done',
    ({ replicas }) => replicas.length === 3 && replicas.every(({ reason }) => reason === 'ObserveOnly'),
  );
  for (const { message } of status.replicas) assert.match(message, /policy\.handover is Observe; mxr would .*Change/);
  assert.deepEqual(await hosts(), [vip.host, vip.host, vip.host]);
});

test('a replica at a wrong place is left alone under a true verdict, and does not hold the others', async () => {
  const { a, b, vip, replicas } = stage.bench;
  const [wrong] = replicas;
  assert.ok(wrong);
  await wrong.db.sql(`STOP SLAVE; CHANGE MASTER TO MASTER_HOST='${b.address}'; START SLAVE`);
  await stage.patchSpec({ policy: { handover: 'Auto' } });

  const status = await stage.statusIs(
    'the others follow, and it is judged',
    ({ following, replicas: all }) => following === '2/3' && all[0]?.verdict === 'Unproven',
  );

  const [verdict] = status.replicas;
  assert.deepEqual([verdict?.pod, verdict?.verdict, verdict?.reason], [wrong.name, 'Unproven', 'NotAdopted']);
  assert.match(verdict?.message ?? '', new RegExp(b.address.replaceAll('.', String.raw`\.`)));
  assert.deepEqual(await hosts(), [b.address, a.address, a.address]);

  await wrong.db.sql(`STOP SLAVE; CHANGE MASTER TO MASTER_HOST='${vip.host}'; START SLAVE`);
  await stage.following(a.name);
  await assertRight(stage.bench, a);
});

test('suspend: a move of the VIP changes nothing until it is lifted', async () => {
  const { a, b } = stage.bench;
  await stage.patchSpec({ suspend: true });
  await stage.statusIs('all are suspended', ({ verdict }) => verdict === 'Suspended');
  await moveUnderWrites(a, b);
  const status = await stage.statusIs(
    'what would be done is said',
    ({ holder, replicas }) => holder === b.name && replicas.every(({ message }) => message.includes('mxr would')),
  );
  for (const { message } of status.replicas) assert.match(message, /spec\.suspend is true/);
  assert.deepEqual(await hosts(), [a.address, a.address, a.address]);

  await stage.patchSpec({ suspend: false });
  await stage.following(b.name);
  await assertRight(stage.bench, b);
});

test('Confirm: proven, stopped and waiting; the printed id is what approves', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await bench.rejoin(a, 'keep');
  await stage.following(b.name);
  await stage.patchSpec({ policy: { handover: 'Confirm' } });
  await moveUnderWrites(b, a);
  const waiting = await stage.statusIs('all wait for an approval', ({ replicas }) =>
    replicas.every(({ verdict }) => verdict === 'AwaitingApproval'),
  );
  const id = /mxr\.dev\/approve=(\S+)/.exec(waiting.replicas[0]?.message ?? '')?.[1] ?? '';
  assert.notEqual(id, '');
  assert.deepEqual(await hosts(), [b.address, b.address, b.address]);

  await stage.annotate({ 'mxr.dev/approve': 'something-else' });
  await stage.statusIs('the other approval was noted', ({ approvals }) =>
    approvals.some((approval) => approval.id === 'something-else'),
  );
  assert.deepEqual(await hosts(), [b.address, b.address, b.address]);

  const person = 'dba-on-call';
  const annotation = [`mxr.dev/approve=${id}`, '--overwrite', `--field-manager=${person}`];
  await stage.api.kubectl(['annotate', 'mxr', NAME, '--namespace', NAMESPACE, ...annotation]);
  const status = await stage.following(a.name);
  const [other, approval] = ['something-else', id].map((of) => status.approvals.find((one) => one.id === of));
  // Who approved is what the API server says of the annotation, each time.
  assert.deepEqual([approval?.by, approval?.via], [person, 'annotation']);
  assert.ok(other !== undefined && other.by !== person && other.by !== '', JSON.stringify(status.approvals));
  assert.deepEqual([status.handovers[0]?.trigger, status.handovers[0]?.outcome], ['Approval', 'Completed']);
  await assertRight(bench, a);
});

test('holdDownSeconds: proven at once, changed only when the holder has held for so long', async () => {
  const { a, b } = stage.bench;
  await stage.bench.rejoin(b, 'keep');
  await stage.following(a.name);
  await stage.patchSpec({ policy: { handover: 'Auto' }, detection: { holdDownSeconds: 6 } });
  await moveUnderWrites(a, b);
  await stage.statusIs('it says that it holds down', ({ replicas }) =>
    replicas.every(({ reason }) => reason === 'HoldDown'),
  );
  assert.deepEqual(await hosts(), [a.address, a.address, a.address]);

  const status = await stage.following(b.name);
  const [record] = status.handovers;
  assert.ok((record?.durationMs ?? 0) >= 5_500, `it took ${record?.durationMs} ms`);
  await assertRight(stage.bench, b);
});
