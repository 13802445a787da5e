import assert from 'node:assert/strict';
import { getEventListeners } from 'node:events';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { isMxrError } from '../../../src/errors.ts';
import type { ErrorCode, MxrError } from '../../../src/errors.ts';
import { createKube } from '../../../src/kube/client.ts';
import type { Kube } from '../../../src/kube/client.ts';
import type { WatchEvent } from '../../../src/kube/list-watch.ts';
import type { Pod } from '../../../src/kube/objects.ts';
import { listBody, podObject, scriptedApi, statusBody } from '../../support/scripted-api.ts';
import type { Script, ScriptedApi, ScriptedOptions } from '../../support/scripted-api.ts';
import { until } from '../../support/wait.ts';

const POD = { namespace: 'orders', name: 'orders-0' };
const LEASE = { namespace: 'mxr', name: 'mxr' };

interface Setup {
  readonly api: ScriptedApi;
  readonly kube: Kube;
}

async function setup(
  t: TestContext,
  script: Script,
  options: ScriptedOptions & { timeoutMs?: number } = {},
): Promise<Setup> {
  const api = await scriptedApi(script, options);
  const kube = createKube(api.kubeConfig(), { requestTimeoutMs: options.timeoutMs ?? 30_000 });
  t.after(async () => {
    await kube.close();
    await api.close();
  });
  return { api, kube };
}

function resourceObject(resourceVersion = '7'): object {
  const metadata = { ...POD, uid: 'u', resourceVersion, generation: 2 };
  return { metadata, spec: { suspend: false }, status: { holder: 'a' } };
}

async function failure(promise: Promise<unknown>): Promise<MxrError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(isMxrError(error), `not an MxrError: ${String(error)}`);
    return error;
  }
  throw new assert.AssertionError({ message: 'it did not fail' });
}

describe('connections', () => {
  it('500 calls one after the other share a handful of connections over TLS', async (t) => {
    const { api, kube } = await setup(t, (call) => call.json(200, resourceObject()), { tls: true });
    for (let i = 0; i < 500; i += 1) await kube.getResource(POD);
    assert.ok(api.connections().total <= 4, `opened ${api.connections().total}`);
  });

  it('500 calls at once share a bounded number of connections over TLS, and all are answered', async (t) => {
    const { api, kube } = await setup(t, (call) => call.json(200, resourceObject()), { tls: true });
    await Promise.all(Array.from({ length: 500 }, () => kube.getResource(POD)));
    assert.equal(api.calls.length, 500);
    // 32 in flight; a call can begin just before the connection of the one that made room is idle again.
    assert.ok(api.connections().total <= 64, `opened ${api.connections().total}`);
  });

  it('140 watches one after the other leave no connection open but an idle one', async (t) => {
    const { api, kube } = await setup(t, (call) => call.stream().end(), { tls: true });
    for (let i = 0; i < 140; i += 1) for await (const _ of watchPods(kube)) assert.fail('no event was sent');
    assert.ok(api.connections().total <= 4, `opened ${api.connections().total}`);
  });

  it('close() closes every connection, and an open watch ends with an error', async (t) => {
    const { api, kube } = await setup(t, (call) => void call.stream());
    const watch = watchPods(kube).next();
    await until('the watch is open', () => api.calls.length === 1);
    await kube.close();
    assert.equal((await failure(watch)).code, 'KubeUnavailable');
    await until('no connection is open', () => api.connections().open === 0);
  });

  it('leaving the loop of a watch closes its connection', async (t) => {
    const { api, kube } = await setup(t, (call) => call.stream().send('ADDED', podObject('orders-0', '5')));
    for await (const event of watchPods(kube)) {
      assert.equal(event.type, 'Put');
      break;
    }
    await until('no connection is open', () => api.connections().open === 0);
  });

  it('speaks HTTP/1.1, so that a connection that dies takes one call with it', async (t) => {
    const { api, kube } = await setup(t, (call) => call.json(200, resourceObject()), { tls: true });
    await kube.getResource(POD);
    assert.equal(api.calls[0]?.httpVersion, '1.1');
  });

  it('after a deadline the next call uses a new connection', async (t) => {
    const { api, kube } = await setup(t, (call) => call.json(200, resourceObject()), { timeoutMs: 200 });
    await Promise.all([kube.getResource(POD), kube.getResource(POD)]);
    const before = api.connections().total;
    api.script(() => undefined);
    await failure(kube.getResource(POD));
    api.script((call) => call.json(200, resourceObject()));
    await kube.getResource(POD);
    assert.equal(api.connections().total, before + 1);
  });
});

describe('deadlines', () => {
  it('a call that is never answered ends with Deadline', async (t) => {
    const { kube } = await setup(t, () => undefined, { timeoutMs: 100 });
    const error = await failure(kube.getResource(POD));
    assert.equal(error.code, 'Deadline');
    assert.equal(error.message, 'could not read on resource orders/orders-0: no answer within 100 ms');
  });

  it('an answer that stops in the middle of its body ends with Deadline', async (t) => {
    const { kube } = await setup(t, (call) => call.stream().raw('{"meta'), { timeoutMs: 100 });
    assert.equal((await failure(kube.getResource(POD))).code, 'Deadline');
  });

  it('an authentication that hangs ends with Deadline', async (t) => {
    const api = await scriptedApi((call) => call.json(200, resourceObject()));
    t.after(() => api.close());
    const config = api.kubeConfig();
    config.applySecurityAuthentication = () => new Promise(() => undefined);
    const kube = createKube(config, { requestTimeoutMs: 100 });
    assert.equal((await failure(kube.getResource(POD))).code, 'Deadline');
  });

  it('a watch whose headers never come ends with Deadline and gives its connection up', async (t) => {
    const { api, kube } = await setup(t, () => undefined, { timeoutMs: 100 });
    assert.equal((await failure(watchPods(kube).next())).code, 'Deadline');
    await until('no connection is open', () => api.connections().open === 0);
  });

  it('a long-lived signal keeps no listener of calls and watches that ended', async (t) => {
    const { api, kube } = await setup(t, (call) => call.json(200, resourceObject()));
    const { signal } = new AbortController();
    for (let i = 0; i < 20; i += 1) await kube.getResource(POD, { signal });
    api.script((call) => call.stream().end());
    for await (const _ of watchPods(kube, { signal })) assert.fail('no event was sent');
    assert.equal(getEventListeners(signal, 'abort').length, 0);
  });

  it('a refused watch whose error body never ends ends with Deadline', async (t) => {
    const { kube } = await setup(t, (call) => call.stream(503).raw('{'), { timeoutMs: 100 });
    assert.equal((await failure(watchPods(kube).next())).code, 'Deadline');
  });

  it('the deadline of one call wins over the default', async (t) => {
    const { kube } = await setup(t, () => undefined, { timeoutMs: 60_000 });
    assert.equal((await failure(kube.getLease(LEASE, { timeoutMs: 50 }))).code, 'Deadline');
  });

  it('the caller can cancel', async (t) => {
    const { api, kube } = await setup(t, () => undefined);
    const controller = new AbortController();
    const call = kube.getResource(POD, { signal: controller.signal });
    await until('the call has arrived', () => api.calls.length === 1);
    controller.abort();
    const error = await failure(call);
    assert.deepEqual([error.code, error.detail], ['KubeUnavailable', 'the call was cancelled']);
    const late = await failure(kube.getResource(POD, { signal: controller.signal }));
    assert.equal(late.detail, 'the call was cancelled');
  });

  it('the Lease is renewed while all slots hang', async (t) => {
    const { kube } = await setup(t, (call) => {
      if (call.path.includes('/leases/')) call.json(200, { metadata: { ...LEASE, uid: 'l', resourceVersion: '1' } });
    });
    const stuck = new AbortController();
    const hanging = Array.from({ length: 40 }, () => failure(kube.getResource(POD, { signal: stuck.signal })));
    assert.equal((await kube.getLease(LEASE)).metadata.resourceVersion, '1');
    stuck.abort();
    await Promise.all(hanging);
  });
});

describe('errors', () => {
  const cases: readonly (readonly [number, ErrorCode, boolean])[] = [
    [401, 'KubeForbidden', false],
    [403, 'KubeForbidden', false],
    [404, 'KubeNotFound', false],
    [409, 'KubeConflict', true],
    [410, 'KubeUnavailable', true],
    [413, 'KubeInvalid', false],
    [422, 'KubeInvalid', false],
    [429, 'KubeUnavailable', true],
    [500, 'KubeUnavailable', true],
    [503, 'KubeUnavailable', true],
  ];
  for (const [status, code, retryable] of cases) {
    it(`${status} is ${code}`, async (t) => {
      const { kube } = await setup(t, (call) => call.json(status, statusBody(status, 'Why', 'because')));
      const error = await failure(kube.getResource(POD));
      assert.deepEqual([error.code, error.retryable], [code, retryable]);
      assert.equal(error.detail, `the API server answered ${status} (Why: because)`);
    });
  }

  it('a long message of the server is cut', async (t) => {
    const { kube } = await setup(t, (call) => call.json(422, statusBody(422, 'Invalid', 'x'.repeat(10_000))));
    assert.equal(
      (await failure(kube.getResource(POD))).detail.length,
      'the API server answered 422 (Invalid: )'.length + 400,
    );
  });

  it('no header, token or page of a proxy travels in an error', async (t) => {
    const secret = 'do-not-show-this-token';
    const script: Script = (call) => call.json(502, `<html>${call.authorization} bad gateway</html>`);
    const { api, kube } = await setup(t, script, { token: secret });
    const error = await failure(kube.getResource(POD));
    assert.equal(api.calls[0]?.authorization, `Bearer ${secret}`);
    assert.equal(error.message, 'could not read on resource orders/orders-0: the API server answered 502');
    assert.ok(!JSON.stringify(error, Object.getOwnPropertyNames(error)).includes(secret));
  });

  it('a refused connection is KubeUnavailable and names the cause', async (t) => {
    const { api, kube } = await setup(t, () => undefined);
    await api.close();
    const error = await failure(kube.getResource(POD));
    assert.deepEqual(
      [error.code, error.detail],
      ['KubeUnavailable', 'the API server could not be reached (ECONNREFUSED)'],
    );
  });

  it('a cut connection, another certificate and an answer that is not JSON are KubeUnavailable', async (t) => {
    const { api, kube } = await setup(t, (call) => call.cut());
    assert.equal((await failure(kube.getResource(POD))).code, 'KubeUnavailable');
    api.script((call) => call.stream().end());
    assert.equal((await failure(kube.getResource(POD))).detail, 'the answer is not JSON');
    const other = await scriptedApi(() => undefined, { tls: true });
    const config = other.kubeConfig();
    config.clusters[0] = { name: 'scripted', server: config.clusters[0]?.server ?? '', skipTLSVerify: false };
    const distrusting = createKube(config, { requestTimeoutMs: 2_000 });
    const error = await failure(distrusting.getResource(POD));
    await other.close();
    assert.deepEqual([error.code, error.detail.includes('SELF_SIGNED')], ['KubeUnavailable', true]);
  });

  it('an object without the fields that every object has is refused', async (t) => {
    const { kube } = await setup(t, (call) => call.json(200, { metadata: { name: 'x' } }));
    const error = await failure(kube.getResource(POD));
    assert.deepEqual(
      [error.code, error.detail],
      ['KubeUnavailable', 'the answer is not what was asked for (metadata.uid)'],
    );
  });

  it('a name that would leave its collection is refused before anything is sent', async (t) => {
    const { api, kube } = await setup(t, (call) => call.json(200, {}));
    for (const name of ['..', '../../nodes', 'a/b', 'a?b', '', 'A']) {
      assert.equal((await failure(kube.getSecret({ namespace: 'orders', name }))).code, 'KubeInvalid');
    }
    assert.equal(api.calls.length, 0);
  });

  it('a kubeconfig without a cluster is ConfigInvalid', () => {
    const config = { getCurrentCluster: () => null } as never;
    assert.throws(
      () => createKube(config, { requestTimeoutMs: 1 }),
      (error) => isMxrError(error, 'ConfigInvalid'),
    );
  });
});

describe('calls', () => {
  it('replaceStatus replaces the whole status of one version', async (t) => {
    const { api, kube } = await setup(t, (call) => call.json(200, resourceObject('8')));
    const written = await kube.replaceStatus({ ...POD, resourceVersion: '7' }, { holder: 'b' });
    assert.equal(written.metadata.resourceVersion, '8');
    const [call] = api.calls;
    assert.equal(call?.path, '/apis/mxr.dev/v1alpha1/namespaces/orders/mariadbexternalreplicas/orders-0/status');
    assert.deepEqual([call?.method, call?.contentType], ['PATCH', 'application/json-patch+json']);
    assert.deepEqual(call?.body, [
      { op: 'replace', path: '/metadata/resourceVersion', value: '7' },
      { op: 'add', path: '/status', value: { holder: 'b' } },
    ]);
  });

  it('labelPod names the pod by uid and patches labels only', async (t) => {
    const { api, kube } = await setup(t, (call) => call.json(200, podObject('orders-0', '9')));
    await kube.labelPod({ ...POD, uid: 'uid-1' }, { 'mxr.dev/serving': null });
    const [call] = api.calls;
    assert.deepEqual(
      [call?.path, call?.contentType],
      ['/api/v1/namespaces/orders/pods/orders-0', 'application/merge-patch+json'],
    );
    assert.deepEqual(call?.body, { metadata: { uid: 'uid-1', labels: { 'mxr.dev/serving': null } } });
  });

  it('a pod of the same name with another uid is a conflict', async (t) => {
    const message = 'Pod "orders-0" is invalid: metadata.uid: Invalid value: "uid-1": field is immutable';
    const { api, kube } = await setup(t, (call) => call.json(422, statusBody(422, 'Invalid', message)));
    const error = await failure(kube.labelPod({ ...POD, uid: 'uid-1' }, { 'mxr.dev/serving': 'true' }));
    assert.deepEqual([error.code, error.detail], ['KubeConflict', 'it is another pod of the same name']);
    api.script((call) => call.json(422, statusBody(422, 'Invalid', 'metadata.labels: no')));
    assert.equal((await failure(kube.labelPod({ ...POD, uid: 'uid-1' }, { a: 'b' }))).code, 'KubeInvalid');
  });

  it('a resource may have no status yet', async (t) => {
    const metadata = { ...POD, uid: 'u', resourceVersion: '1' };
    const { kube } = await setup(t, (call) => call.json(200, { metadata, spec: {} }));
    assert.equal((await kube.getResource(POD)).status, undefined);
  });

  it('getSecret decodes its values', async (t) => {
    const data = { username: Buffer.from('mxr').toString('base64'), password: Buffer.from('pä ss').toString('base64') };
    const metadata = { ...POD, uid: 's', resourceVersion: '1' };
    const { kube } = await setup(t, (call) => call.json(200, { metadata, data }));
    assert.deepEqual(await kube.getSecret(POD), { username: 'mxr', password: 'pä ss' });
  });

  it('a list follows its pages', async (t) => {
    const { api, kube } = await setup(t, (call) => {
      const next = call.query.get('continue');
      if (next === null) call.json(200, listBody('3', [podObject('a', '1')], 'page-2'));
      else call.json(200, listBody('3', [podObject('b', '2')]));
    });
    const listed = await kube.pods('orders', 'app=orders').list();
    assert.deepEqual([listed.items.map((pod) => pod.metadata.name), listed.resourceVersion], [['a', 'b'], '3']);
    assert.deepEqual(
      api.calls.map((call) => call.query.get('labelSelector')),
      ['app=orders', 'app=orders'],
    );
    assert.equal(listed.items[0]?.status.podIP, '10.0.0.9');
  });

  it('a list whose continue token expired begins again, once', async (t) => {
    const { api, kube } = await setup(t, (call, nth) => {
      if (call.query.get('continue') !== null) call.json(410, statusBody(410, 'Expired', 'too old'));
      else call.json(200, listBody('3', [podObject('a', '1')], nth === 1 ? 'page-2' : undefined));
    });
    assert.equal((await kube.pods().list()).items.length, 1);
    assert.deepEqual(
      api.calls.map((call) => call.path),
      ['/api/v1/pods', '/api/v1/pods', '/api/v1/pods'],
    );
  });

  it('a watch yields events, bookmarks and an in-stream expiry', async (t) => {
    const { api, kube } = await setup(t, (call) => {
      const stream = call.stream();
      const line = JSON.stringify({ type: 'MODIFIED', object: podObject('a', '11') });
      stream.raw(line.slice(0, 20));
      setTimeout(() => {
        stream.raw(`${line.slice(20)}\n`);
        stream.send('DELETED', podObject('a', '12'));
        stream.send('BOOKMARK', { metadata: { resourceVersion: '15' } });
        stream.send('ERROR', statusBody(410, 'Expired', 'too old resource version'));
      }, 20);
    });
    const seen: string[] = [];
    const error = await failure(
      (async () => {
        for await (const event of watchPods(kube)) seen.push(`${event.type} ${event.resourceVersion}`);
      })(),
    );
    assert.deepEqual(seen, ['Put 11', 'Deleted 12', 'Bookmark 15']);
    assert.equal(error.detail, 'the API server answered 410 (Expired: too old resource version)');
    const query = Object.fromEntries(api.calls[0]?.query ?? []);
    assert.deepEqual(query, {
      watch: 'true',
      allowWatchBookmarks: 'true',
      timeoutSeconds: '60',
      resourceVersion: '10',
    });
  });

  it('a watch that is not answered with 200 fails with its status', async (t) => {
    const { kube } = await setup(t, (call) => call.json(403, statusBody(403, 'Forbidden', 'no')));
    assert.equal((await failure(watchPods(kube).next())).code, 'KubeForbidden');
  });

  it('a watch with events goes on beyond the inactivity deadline', async (t) => {
    const { kube } = await setup(t, (call) => {
      const stream = call.stream();
      let nth = 10;
      const timer = setInterval(() => {
        nth += 1;
        stream.send('MODIFIED', podObject('a', String(nth)));
        if (nth === 20) stream.end();
        if (nth === 20) clearInterval(timer);
      }, 50);
    });
    let last = '';
    for await (const event of watchPods(kube, { inactivityMs: 250 })) last = event.resourceVersion;
    assert.equal(last, '20');
  });

  it('an event without end is given up', async (t) => {
    const { kube } = await setup(t, (call) => call.stream().raw('x'.repeat(9 * 1024 * 1024)));
    assert.equal((await failure(watchPods(kube).next())).detail, 'the answer is not an event of a sane size');
  });

  it('a silent watch just ends', async (t) => {
    const { kube } = await setup(t, (call) => void call.stream());
    for await (const _ of watchPods(kube, { inactivityMs: 50 })) assert.fail('no event was sent');
  });

  it('createLease, updateLease and events send what the API wants', async (t) => {
    const lease = { metadata: { ...LEASE, uid: 'l', resourceVersion: '4', labels: { a: 'b' } }, spec: {} };
    const { api, kube } = await setup(t, (call) => call.json(200, lease));
    const got = await kube.createLease(LEASE, { holderIdentity: 'x' });
    await kube.updateLease(got, { holderIdentity: 'y' });
    const again = { count: 3, lastTimestamp: '2026-01-01T00:00:00Z', message: 'once more' };
    await kube.countEvent(POD, again);
    assert.deepEqual(
      api.calls.map(({ method, path }) => `${method} ${path}`),
      [
        'POST /apis/coordination.k8s.io/v1/namespaces/mxr/leases',
        'PUT /apis/coordination.k8s.io/v1/namespaces/mxr/leases/mxr',
        'PATCH /api/v1/namespaces/orders/events/orders-0',
      ],
    );
    const metadata = { ...LEASE, resourceVersion: '4', labels: { a: 'b' }, annotations: {} };
    const put = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata, spec: { holderIdentity: 'y' } };
    assert.deepEqual(api.calls[1]?.body, put);
    assert.deepEqual(api.calls[2]?.body, again);
  });
});

interface Watching {
  readonly inactivityMs?: number;
  readonly signal?: AbortSignal;
}

function watchPods(kube: Kube, watching: Watching = {}): AsyncGenerator<WatchEvent<Pod>, void> {
  const defaults = { inactivityMs: 10_000, signal: new AbortController().signal };
  return kube.pods('orders').watch({ ...defaults, ...watching, resourceVersion: '10', lifetimeMs: 60_000 });
}
