import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { slaveStatus } from '../support/link.ts';
import { until } from '../support/wait.ts';
import { NAME, NAMESPACE, Stage } from './support/stage.ts';

const RESOURCES = { api: 'mxr.dev/v1alpha1', plural: 'mariadbexternalreplicas', namespace: NAMESPACE };
const RESOURCE = { ...RESOURCES, name: NAME };
const SECRET = { api: 'v1', plural: 'secrets', namespace: NAMESPACE, name: 'orders-source' };

let stage: Stage;

before(async () => {
  stage = await Stage.open();
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

interface Metadata {
  readonly metadata: { readonly finalizers?: readonly string[]; readonly deletionTimestamp?: string };
}

test('a resource that is deleted in the middle of a handover, with its Secret: the finalizer lets it go', async () => {
  const { a, b, replicas } = stage.bench;
  await stage.following(a.name);
  await b.keepalived.stop();
  await a.kill9();
  await stage.statusIs(
    'the VIP is silent, and what is proven is stored ahead',
    ({ source, intent }) => source.situation === 'VipSilent' && intent?.replicas.length === replicas.length,
  );
  const { metadata } = await stage.api.get<Metadata>(RESOURCE);
  assert.deepEqual(metadata.finalizers, ['mxr.dev/handover']);

  await stage.api.remove(SECRET);
  await stage.api.remove(RESOURCE);

  const isGone = async (): Promise<boolean> => (await stage.api.list(RESOURCES)).length === 0;
  assert.equal(await isGone(), false, 'it waits for the handover at first');
  await until('the resource is gone', isGone, { deadlineMs: 120_000 });
  for (const { db, name } of replicas) {
    const link = await slaveStatus(db);
    assert.deepEqual([link?.['Master_Host'], link?.['Slave_SQL_Running']], [a.address, 'Yes'], name);
  }
});
