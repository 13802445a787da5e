import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../../src/clock.ts';
import { isMxrError } from '../../../src/errors.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import { createKube } from '../../../src/kube/client.ts';
import type { Kube } from '../../../src/kube/client.ts';
import { createEmitter } from '../../../src/kube/events.ts';
import { startInformer } from '../../../src/kube/informer.ts';
import type { Informer } from '../../../src/kube/informer.ts';
import type { Pod } from '../../../src/kube/objects.ts';
import { systemTimers } from '../../../src/kube/timers.ts';
import { startKubeApi } from '../../support/kube/api.ts';
import type { KubeApi } from '../../support/kube/api.ts';
import { controlPlane } from '../../support/kube/build.ts';
import { until } from '../../support/wait.ts';
import { sampleResource } from '../../unit/api/sample.ts';

const CRD = join(import.meta.dirname, '../../../crds/mxr.dev_mariadbexternalreplicas.yaml');
const RESOURCES = { api: 'mxr.dev/v1alpha1', plural: 'mariadbexternalreplicas', namespace: 'orders' } as const;
const REF = { namespace: 'orders', name: 'orders' };
const NOBODY = 'nobody';

describe('the Kubernetes port on a real API server', () => {
  let dir: string;
  let api: KubeApi;
  let kube: Kube;

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'mxr-kernel-'));
    const binaries = await controlPlane((line) => console.error(line));
    api = await startKubeApi({ binaries, dir, address: '127.0.0.1', users: [NOBODY] });
    await api.apply(readFileSync(CRD, 'utf8'));
    await api.createNamespace('orders');
    kube = createKube(configOf(api.adminKubeconfig), { requestTimeoutMs: 5_000 });
    const create = (): Promise<unknown> => api.create(RESOURCES, { ...sampleResource(), metadata: { name: 'orders' } });
    await until('the API server takes a resource', async () => (await create()) !== undefined);
  });

  after(async () => {
    await kube?.close();
    await api?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  async function refused(call: Promise<unknown>, code: ErrorCode): Promise<string> {
    let detail = '';
    await assert.rejects(call, (error) => {
      if (isMxrError(error)) detail = error.detail;
      return isMxrError(error, code);
    });
    return detail;
  }

  it('replaces the whole status of the version that was read, and refuses an older one', async () => {
    const read = await kube.getResource(REF);
    const { resourceVersion } = read.metadata;
    const first = await kube.replaceStatus({ ...REF, resourceVersion }, { holder: 'a', following: '3/3' });
    assert.deepEqual(first.status, { holder: 'a', following: '3/3' });
    await refused(kube.replaceStatus({ ...REF, resourceVersion }, { holder: 'b' }), 'KubeConflict');
    const second = await kube.replaceStatus(
      { ...REF, resourceVersion: first.metadata.resourceVersion },
      { holder: 'b' },
    );
    assert.deepEqual(second.status, { holder: 'b' }, 'what the new status does not have is gone');
    assert.deepEqual(second.spec, read.spec);
    assert.equal(second.metadata.generation, read.metadata.generation);
  });

  it('a status that the schema refuses is KubeInvalid and names the field', async () => {
    const { resourceVersion } = (await kube.getResource(REF)).metadata;
    const call = kube.replaceStatus({ ...REF, resourceVersion }, { holder: 5 });
    assert.match(await refused(call, 'KubeInvalid'), /status\.holder/u);
  });

  it('sets and removes annotations and finalizers, on a condition', async () => {
    const finalizers = ['mxr.dev/handover'];
    const set = await kube.patchResourceMetadata(REF, { finalizers, annotations: { 'mxr.dev/approve': 'x' } });
    assert.deepEqual([set.metadata.finalizers, set.metadata.annotations], [finalizers, { 'mxr.dev/approve': 'x' }]);
    const stale = kube.patchResourceMetadata(REF, { resourceVersion: '1', finalizers: [] });
    await refused(stale, 'KubeConflict');
    const gone = {
      resourceVersion: set.metadata.resourceVersion,
      finalizers: [],
      annotations: { 'mxr.dev/approve': null },
    };
    const { metadata } = await kube.patchResourceMetadata(REF, gone);
    assert.deepEqual([metadata.finalizers, metadata.annotations], [[], {}]);
  });

  it('labels the pod that was meant, not its successor', async () => {
    const pod = { namespace: 'orders', name: 'labelled' };
    await api.createPod({ ...pod, labels: { app: 'labelled' }, ip: '10.9.0.1', ready: true });
    const read = async (): Promise<Pod | undefined> => (await kube.pods('orders', 'app=labelled').list()).items[0];
    const first = await read();
    assert.equal(first?.status.podIP, '10.9.0.1');
    assert.deepEqual(first?.status.conditions.find(({ type }) => type === 'Ready')?.status, 'True');
    const uid = first?.metadata.uid ?? '';
    await kube.labelPod({ ...pod, uid }, { 'mxr.dev/serving': 'true' });
    assert.deepEqual((await read())?.metadata.labels, { app: 'labelled', 'mxr.dev/serving': 'true' });
    await kube.labelPod({ ...pod, uid }, { 'mxr.dev/serving': null });
    assert.deepEqual((await read())?.metadata.labels, { app: 'labelled' });
    await api.deletePod('orders', 'labelled');
    await refused(kube.labelPod({ ...pod, uid }, { 'mxr.dev/serving': 'true' }), 'KubeNotFound');
    await api.createPod({ ...pod, labels: { app: 'labelled' } });
    await refused(kube.labelPod({ ...pod, uid }, { 'mxr.dev/serving': 'true' }), 'KubeConflict');
    await api.deletePod('orders', 'labelled');
  });

  it('reads a secret by name; a missing one is KubeNotFound', async () => {
    await api.createSecret('orders', 'source', { username: 'mxr', password: 'pä "ss' });
    assert.deepEqual(await kube.getSecret({ namespace: 'orders', name: 'source' }), {
      username: 'mxr',
      password: 'pä "ss',
    });
    await refused(kube.getSecret({ namespace: 'orders', name: 'other' }), 'KubeNotFound');
  });

  it('a user without rights is KubeForbidden, a wrong token too, and neither shows the token', async () => {
    const other = createKube(configOf(api.userKubeconfig(NOBODY)), { requestTimeoutMs: 5_000 });
    assert.match(await refused(other.getResource(REF), 'KubeForbidden'), /User "nobody" cannot get resource/u);
    await other.close();
    const { token } = api.as(NOBODY);
    const wrong = createKube(configOf(api.userKubeconfig(NOBODY).replace(token, 'wrong-token')), {
      requestTimeoutMs: 5_000,
    });
    const detail = await refused(wrong.getResource(REF), 'KubeForbidden');
    assert.equal(detail, 'the API server answered 401 (Unauthorized: Unauthorized)');
    await wrong.close();
  });

  it('lists beyond one page', async () => {
    await api.createNamespace('many');
    const create = (index: number): Promise<unknown> => api.createPod({ namespace: 'many', name: `pod-${index}` });
    for (let from = 0; from < 510; from += 30) {
      await Promise.all(Array.from({ length: Math.min(30, 510 - from) }, (_, index) => create(from + index)));
    }
    const { items } = await kube.pods('many').list();
    assert.equal(new Set(items.map((pod) => pod.metadata.name)).size, 510);
  });

  it('500 calls and the watches beside them keep a bounded number of connections', async () => {
    const mine = createKube(configOf(api.adminKubeconfig), { requestTimeoutMs: 20_000 });
    const before = openSockets();
    for (let i = 0; i < 250; i += 1) await mine.getResource(REF);
    assert.ok(openSockets() - before <= 2, `${openSockets() - before} connections after 250 calls in a row`);
    await Promise.all(Array.from({ length: 250 }, () => mine.getResource(REF)));
    assert.ok(openSockets() - before <= 64, `${openSockets() - before} connections after 250 calls at once`);
    await mine.close();
    await until('all connections are closed', () => openSockets() <= before, { deadlineMs: 5_000 });
  });

  it('kubectl describe shows an event with its count', async () => {
    const emitter = createEmitter({
      api: kube,
      table: { Diverged: 'Warning' } as const,
      instance: 'mxr-0',
      clock: systemClock,
      onDropped: (reason, why) => assert.fail(`${reason} was dropped: ${why}`),
      settleMs: 10,
      signal: new AbortController().signal,
      dedupeMs: 600_000,
      similar: 10,
      burst: 10,
      perMinute: 10,
    });
    const { metadata } = await kube.getResource(REF);
    const subject = { ...REF, apiVersion: RESOURCES.api, kind: 'MariaDBExternalReplica', uid: metadata.uid };
    for (let i = 0; i < 3; i += 1) await emitter.emit(subject, 'Diverged', 'orders-0 has another row 7');
    const shown = await api.kubectl(['describe', 'mxr', 'orders', '-n', 'orders']);
    assert.match(shown, /Warning\s+Diverged\s+\S+ \(x3 over \S+\)\s+mxr\s+orders-0 has another row 7/u);
  });

  it('the informer follows changes, a frozen, a killed and a restarted API server, and misses nothing', async () => {
    const errors: unknown[] = [];
    const mine = createKubeFor(1_000);
    const informer = startInformer<Pod>({
      source: mine.pods('orders'),
      onChange: () => undefined,
      onError: (error) => errors.push(error),
      inactivityMs: 1_500,
      resyncMs: 600_000,
      backoff: { baseMs: 50, maxMs: 500 },
      clock: systemClock,
      timers: systemTimers,
      random: Math.random,
    });
    await until('the informer is synced', () => informer.synced);
    await api.createPod({ namespace: 'orders', name: 'one', ip: '10.9.0.1' });
    await seesPod(informer, 'one', '10.9.0.1');
    assert.deepEqual(errors, [], 'nothing is wrong so far');

    await api.freeze();
    await until('the informer has noticed the freeze', () => errors.length > 0);
    api.thaw();
    await api.setPod('orders', 'one', { ip: '10.9.0.2' });
    await seesPod(informer, 'one', '10.9.0.2');

    await api.kill();
    await until('the informer meets a dead server', () =>
      errors.some((error) => String(error).includes('ECONNREFUSED')),
    );
    await api.restart();
    await api.createPod({ namespace: 'orders', name: 'two', ip: '10.9.0.3' });
    await api.deletePod('orders', 'one');
    await seesPod(informer, 'two', '10.9.0.3');
    await until('the deletion is seen', () => informer.get('orders/one') === undefined, { deadlineMs: 10_000 });
    await informer.stop();
    await mine.close();
    await api.deletePod('orders', 'two');
    assert.ok(informer.get('orders/two') !== undefined, 'a stopped informer hears nothing');
  });

  it('a frozen API server is a Deadline, and the first call after it works', async () => {
    const mine = createKubeFor(500);
    await mine.getResource(REF);
    await api.freeze();
    await refused(mine.getResource(REF), 'Deadline');
    api.thaw();
    await until('a call works again', async () => (await mine.getResource(REF)).metadata.name === 'orders');
    await mine.close();
  });

  function createKubeFor(requestTimeoutMs: number): Kube {
    return createKube(configOf(api.adminKubeconfig), { requestTimeoutMs });
  }
});

async function seesPod(informer: Informer<Pod>, name: string, ip: string): Promise<void> {
  const seen = (): boolean => informer.get(`orders/${name}`)?.status.podIP === ip;
  await until(`the informer sees pod ${name} at ${ip}`, seen, { deadlineMs: 15_000 });
}

function configOf(text: string): KubeConfig {
  const config = new KubeConfig();
  config.loadFromString(text);
  return config;
}

/** Sockets of this process, the idle ones of a pool included. */
function openSockets(): number {
  const isSocket = (fd: string): boolean => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      // The descriptor of the directory itself is closed again.
      return false;
    }
  };
  return readdirSync('/proc/self/fd').filter(isSocket).length;
}
