import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type KubeApi, startKubeApi } from '../../support/kube/api.ts';
import { controlPlane } from '../../support/kube/build.ts';
import { type KubeObject, KubeStatusError, callKube } from '../../support/kube/rest.ts';
import { OPERATOR_USER } from '../../support/kube/servers.ts';
import { until } from '../../support/wait.ts';

const CONFIG_MAPS = { api: 'v1', plural: 'configmaps', namespace: 'default' } as const;

const POLICY = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-data}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - {apiGroups: [''], apiVersions: [v1], operations: [UPDATE], resources: [configmaps]}
  matchConditions:
    - {name: operator, expression: "request.userInfo.username == '${OPERATOR_USER}'"}
  validations:
    - {expression: '!has(object.data)', message: data is not yours}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-data}
spec: {policyName: no-data, validationActions: [Deny]}
`;

describe('the API server of the bench', () => {
  let dir: string;
  let api: KubeApi;

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'mxr-kube-'));
    api = await startKubeApi({
      binaries: await controlPlane((line) => console.error(line)),
      dir,
      address: '127.0.0.1',
      users: ['stranger'],
    });
  });

  after(async () => {
    await api?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  test('an object makes the round trip, patched and removed', async () => {
    const one = { ...CONFIG_MAPS, name: 'round-trip' };
    await api.create(CONFIG_MAPS, {
      metadata: { name: one.name, labels: { test: 'round-trip' } },
      data: { a: '1', b: '2' },
    });
    await api.patch(one, { data: { a: '3', b: null } });
    assert.deepEqual((await api.get(one))['data'], { a: '3' });
    assert.deepEqual(
      (await api.list(CONFIG_MAPS, 'test=round-trip')).map((object) => object.metadata?.name),
      [one.name],
    );
    await api.remove(one);
    await assert.rejects(api.get(one), (error) => error instanceof KubeStatusError && error.reason === 'NotFound');
  });

  test('kubectl applies documents and reports what was wrong', async () => {
    await api.apply(
      ['one', 'two'].map((name) => `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}}`).join('\n---\n'),
    );
    assert.equal(
      await api.kubectl(['get', 'configmaps', 'one', 'two', '-o', 'name']),
      'configmap/one\nconfigmap/two\n',
    );
    await assert.rejects(
      api.apply('apiVersion: v1\nkind: Nonsense\nmetadata: {name: x}'),
      /no matches for kind "Nonsense"/,
    );
  });

  test('a pod has the address, the readiness and the labels that it was given', async () => {
    await api.createNamespace('shop');
    await api.createNamespace('shop');
    const pod = { api: 'v1', plural: 'pods', namespace: 'shop', name: 'orders-0' };
    const made = await api.createPod({ ...pod, labels: { app: 'orders' }, ip: '10.0.0.7' });
    assert.deepEqual(readinessOf(made), { ip: '10.0.0.7', ready: 'True', labels: { app: 'orders' } });
    await api.setPod('shop', 'orders-0', { ready: false, ip: '10.0.0.8' });
    await api.setPod('shop', 'orders-0', { labels: { zone: 'b' } });
    assert.deepEqual(readinessOf(await api.get(pod)), {
      ip: '10.0.0.8',
      ready: 'False',
      labels: { app: 'orders', zone: 'b' },
    });
    await api.deletePod('shop', 'orders-0');
    const again = await api.createPod({ ...pod, ip: '10.0.0.7', ready: false });
    assert.notEqual(again.metadata?.uid, made.metadata?.uid);
    assert.equal(readinessOf(again).ready, 'False');
  });

  test('a secret is made and replaced', async () => {
    const secret = { api: 'v1', plural: 'secrets', namespace: 'default', name: 'account' };
    await api.createSecret('default', 'account', { username: 'mxr', password: 'old' });
    await api.createSecret('default', 'account', { password: 'new' });
    assert.deepEqual((await api.get(secret))['data'], { password: Buffer.from('new').toString('base64') });
  });

  test('a user may do what a role allows it, and nothing before', async () => {
    const secrets = { method: 'GET', path: '/api/v1/namespaces/default/secrets' } as const;
    for (const user of ['stranger', OPERATOR_USER]) {
      await assert.rejects(
        callKube(api.as(user), secrets),
        (error) => error instanceof KubeStatusError && error.status === 403,
      );
    }
    await api.kubectl(['create', 'role', 'reader', '--verb=list', '--resource=secrets']);
    await api.kubectl(['create', 'rolebinding', 'reader', '--role=reader', '--serviceaccount=mxr:mxr']);
    await callKube(api.as(OPERATOR_USER), secrets);
    await assert.rejects(callKube(api.as('stranger'), secrets), /403 Forbidden/);
    assert.throws(() => api.userKubeconfig('nobody-named'), /no user nobody-named/);
  });

  test('a ValidatingAdmissionPolicy refuses by user', async () => {
    await api.kubectl(['create', 'clusterrole', 'labels', '--verb=patch,get', '--resource=configmaps']);
    await api.kubectl(['create', 'clusterrolebinding', 'labels', '--clusterrole=labels', `--user=${OPERATOR_USER}`]);
    await api.create(CONFIG_MAPS, { metadata: { name: 'guarded' } });
    await api.apply(POLICY);
    const change = {
      method: 'PATCH',
      path: '/api/v1/namespaces/default/configmaps/guarded',
      body: { data: { changed: 'yes' } },
      contentType: 'application/merge-patch+json',
    } as const;
    // The API server takes a policy into account a moment after it was stored.
    await until('the policy refuses', () => refusal(callKube(api.as(OPERATOR_USER), change), /data is not yours/));
    await callKube(api.as('admin'), change);
  });

  test('a frozen server answers nobody until it is thawed', async () => {
    const read = { method: 'GET', path: '/api/v1/namespaces/default', deadlineMs: 300 } as const;
    await api.freeze();
    try {
      await assert.rejects(callKube(api.as('admin'), read), /no answer within 300 ms/);
    } finally {
      api.thaw();
    }
    await callKube(api.as('admin'), { ...read, deadlineMs: 10_000 });
  });

  test('what was stored is there after a restart and after a kill, under the same url and token', async () => {
    const kept = { ...CONFIG_MAPS, name: 'kept' };
    await api.create(CONFIG_MAPS, { metadata: { name: 'kept' }, data: { a: '1' } });
    await api.restart();
    assert.deepEqual((await api.get(kept))['data'], { a: '1' });
    await api.kill();
    await assert.rejects(api.get(kept), /ECONNREFUSED/);
    await api.restart();
    assert.deepEqual((await api.get(kept))['data'], { a: '1' });
  });
});

function readinessOf(pod: KubeObject): { ip: unknown; ready: unknown; labels: unknown } {
  const conditions = pod.status?.['conditions'] as { type: string; status: string }[];
  const ready = conditions.find((condition) => condition.type === 'Ready')?.status;
  return { ip: pod.status?.['podIP'], ready, labels: pod.metadata?.labels };
}

async function refusal(call: Promise<unknown>, message: RegExp): Promise<boolean> {
  try {
    await call;
    return false;
  } catch (error) {
    if (error instanceof KubeStatusError && message.test(error.message)) return true;
    throw error;
  }
}
