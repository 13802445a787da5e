import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import type { Cluster, Operator } from '../../support/simulate/operator.ts';
import { advance, newCluster, pass, round, startOperator } from '../../support/simulate/operator.ts';
import { flow, newWorld, VIP, wallOf } from '../../support/simulate/world.ts';

/** How handovers end that do not go through: the whole operator over simulated servers. */
mock.timers.enable({ apis: ['setTimeout'] });

function cluster(link: Record<string, unknown> = {}, replicas = 1): Cluster {
  const lsu = { logSlaveUpdates: [true, true], replicaLogSlaveUpdates: true } as const;
  const modes = { memberMode: 'Slave_Pos', replicaMode: 'No', dial: 'vip', equalServerIds: false } as const;
  return newCluster(newWorld({ ...lsu, ...modes, replicas }), { link });
}

async function rounds(operator: Operator, count: number): Promise<void> {
  const { world } = operator.cluster;
  for (let left = count; left > 0; left -= 1) {
    await round(operator);
    flow(world, 10);
    await advance(world, 100);
  }
}

function statements({ trace }: Cluster): string[] {
  return trace.flatMap((line) => /^\d+ r0: ((?:STOP|CHANGE|START).*?)(?: TO .*)?$/.exec(line)?.[1] ?? []);
}

function told({ runtime }: Operator): string {
  const [decision] = runtime.picture?.decisions ?? [];
  return `${decision?.verdict}/${decision?.reason}`;
}

test('an adoption is refused at the last moment: receiving goes on, it is told and recorded, and not tried again at once', async () => {
  const there = cluster();
  const [replica] = there.world.replicas;
  assert.ok(replica?.link);
  const { link } = replica;
  // Once it stands still, its coordinates are not those of its GTID position.
  there.onStatement = (_, sql) => {
    if (sql === 'STOP SLAVE IO_THREAD') link.exec = { ...link.exec, position: link.exec.position - 100 };
  };
  const operator = startOperator(there);

  await rounds(operator, 60);

  assert.deepEqual(statements(there), ['STOP SLAVE IO_THREAD', 'START SLAVE']);
  assert.deepEqual([link.host, link.mode, link.io, link.sql], [VIP, 'No', 'Yes', 'Yes']);
  assert.equal(told(operator), 'Unproven/WitnessesDisagree');
  assert.equal(operator.runtime.open, null, 'no finalizer stays');
  const [record] = operator.runtime.handovers;
  assert.deepEqual([record?.trigger, record?.outcome], ['Adoption', 'Refused']);
  assert.match(record?.replicas[0]?.message ?? '', /^Unproven\/WitnessesDisagree: its adoption was refused/);
  assert.deepEqual(there.broken, []);
});

/** The primary dies; the VIP stays silent with everything proven ahead, and the resource is deleted. */
async function deletedInSilence(): Promise<{ operator: Operator; there: Cluster }> {
  const there = cluster();
  const operator = startOperator(there);
  await rounds(operator, 60);
  assert.equal(told(operator), 'Following/Following');
  const { world } = there;
  world.members[0].up = false;
  world.vip = [];
  await rounds(operator, 20);
  assert.notEqual(operator.runtime.open, null, 'the intent is stored ahead');
  operator.runtime.resource.metadata.deletionTimestamp = new Date(wallOf(world)).toISOString();
  await rounds(operator, 20);
  assert.notEqual(operator.runtime.open, null, 'it may still be ended');
  return { operator, there };
}

test('a deleted resource whose source stays away is let go after a minute', async () => {
  const { operator, there } = await deletedInSilence();
  await advance(there.world, 60_000);
  await rounds(operator, 2);
  assert.equal(operator.runtime.open, null);
});

test('a deleted resource whose source is there again in time ends its handover', async () => {
  const { operator, there } = await deletedInSilence();
  const [, b] = there.world.members;
  b.link = null;
  b.readOnly = false;
  there.world.vip = [b];
  await rounds(operator, 60);
  assert.deepEqual(
    operator.runtime.handovers.map(({ to, outcome }) => `${to} ${outcome}`).slice(0, 1),
    ['b Completed'],
    there.trace.slice(-40).join('\n'),
  );
  assert.equal(operator.runtime.open, null);
});

test('suspended while the intent was being stored: nothing is carried out', async () => {
  const there = cluster();
  const operator = startOperator(there);
  await rounds(operator, 60);
  assert.equal(told(operator), 'Following/Following');
  const { world } = there;
  const [a, b] = world.members;
  // At once, so that nothing of it was stored ahead.
  a.readOnly = true;
  b.link = null;
  b.readOnly = false;
  world.vip = [b];
  const before = statements(there).length;
  there.onStore = () => {
    const { resource } = operator.runtime;
    const wanted = resource.status.intent?.replicas.some(({ member }) => member === 'b') === true;
    if (!wanted || resource.metadata.generation > 1) return;
    const spec = { ...resource.spec, suspend: true };
    operator.runtime.resource = { ...resource, spec, metadata: { ...resource.metadata, generation: 2 } };
  };
  await rounds(operator, 20);

  assert.equal(operator.runtime.resource.spec.suspend, true, 'the intent was stored');
  const issued = statements(there).slice(before);
  assert.ok(!issued.includes('CHANGE MASTER') && !issued.includes('STOP SLAVE'), issued.join('; '));
});

test('in the middle of a move not every pass tells what it found, and another one is asked for that does', async () => {
  const there = cluster();
  const operator = startOperator(there);
  await rounds(operator, 60);
  const { world } = there;
  const [a, b] = world.members;
  const situation = (): string => operator.runtime.resource.status.source.situation ?? '';
  a.readOnly = true;
  await rounds(operator, 5);
  world.vip = [b];
  await rounds(operator, 2);
  assert.equal(situation(), 'HolderReadOnly');
  await round(operator);
  b.link = null;
  b.readOnly = false;
  await round(operator);
  assert.notEqual(operator.runtime.picture?.diagnosis.situation, 'HolderReadOnly');
  assert.equal(situation(), 'HolderReadOnly', 'not yet');
  const { woken } = operator;
  await advance(world, 100);
  assert.ok(operator.woken > woken, 'another pass is asked for');
  await pass(operator);
  assert.notEqual(situation(), 'HolderReadOnly');
});

test('a pod that came anew and has no address yet holds no other replica up', async () => {
  const there = cluster({}, 2);
  const operator = startOperator(there);
  await rounds(operator, 60);
  const { world } = there;
  const [a, b] = world.members;
  a.readOnly = true;
  await rounds(operator, 5);
  const pending = operator.acceptance.ok ? operator.acceptance.pods[1] : undefined;
  assert.ok(pending);
  Object.assign(pending, { ip: null });
  b.link = null;
  b.readOnly = false;
  world.vip = [b];
  await rounds(operator, 60);
  const [moved] = operator.runtime.resource.status.replicas;
  assert.deepEqual([moved?.pod, moved?.verdict, moved?.attachedTo], ['r0', 'Following', 'b']);
});
