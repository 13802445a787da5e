import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { CONFIG_OPTIONS } from '../../../src/config.ts';
import { type KubeApi, startKubeApi } from '../../support/kube/api.ts';
import { controlPlane, helm } from '../../support/kube/build.ts';
import { installChart, renderChart } from '../../support/kube/chart.ts';
import {
  type Call,
  type KubeObject,
  KubeStatusError,
  type Resource,
  callKube,
  resourcePath,
} from '../../support/kube/rest.ts';
import { OPERATOR_USER } from '../../support/kube/servers.ts';
import { until } from '../../support/wait.ts';
import { sampleResource } from '../../unit/api/sample.ts';

const MERGE = 'application/merge-patch+json';
const STRATEGIC = 'application/strategic-merge-patch+json';
const PODS = { api: 'v1', plural: 'pods', namespace: 'mxr' } as const;
const POD = { ...PODS, name: 'orders-0' } as const;
const RESOURCES = { api: 'mxr.dev/v1alpha1', plural: 'mariadbexternalreplicas', namespace: 'mxr' } as const;
const RESOURCE = { ...RESOURCES, name: 'orders' } as const;
const SECRET = { api: 'v1', plural: 'secrets', namespace: 'mxr', name: 'orders-source' } as const;
const LEASES = { api: 'coordination.k8s.io/v1', plural: 'leases', namespace: 'mxr' } as const;
const EVENTS = { api: 'v1', plural: 'events', namespace: 'mxr' } as const;

describe("the operator's account under the chart", () => {
  let dir: string;
  let api: KubeApi;
  let helmProgram: string;

  before(async () => {
    const log = (line: string): void => console.error(line);
    dir = mkdtempSync(join(tmpdir(), 'mxr-chart-'));
    helmProgram = await helm(log);
    api = await startKubeApi({ binaries: await controlPlane(log), dir, address: '127.0.0.1' });
    await installChart(api, { helm: helmProgram });
    await api.createNamespace('other');
    for (const namespace of ['mxr', 'other']) {
      await api.createSecret(namespace, 'orders-source', { username: 'x' });
      await api.createPod({ namespace, name: 'orders-0', labels: { app: 'orders' }, ip: '10.9.0.1' });
    }
    await api.create(RESOURCES, { ...sampleResource(), metadata: { name: 'orders' } });
    await until('the admission policies are in force', policyHolds, { deadlineMs: 30_000 });
  });

  after(async () => {
    await api?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  function asOperator(call: Call): Promise<KubeObject> {
    return callKube(api.as(OPERATOR_USER), call);
  }

  function patch(resource: Resource, body: unknown, contentType = MERGE): Promise<KubeObject> {
    return asOperator({ method: 'PATCH', path: resourcePath(resource), body, contentType });
  }

  async function refused(call: Promise<unknown>, message: RegExp): Promise<void> {
    await assert.rejects(call, (error) => {
      assert.ok(error instanceof KubeStatusError, String(error));
      assert.match(error.message, message);
      return true;
    });
  }

  /** A policy takes effect some time after it was accepted. */
  async function policyHolds(): Promise<boolean> {
    const dryRun = resourcePath(POD, { dryRun: 'All' });
    const body = { metadata: { annotations: { probe: 'x' } } };
    try {
      await asOperator({ method: 'PATCH', path: dryRun, body, contentType: MERGE });
      return false;
    } catch (error) {
      return error instanceof KubeStatusError && /may change nothing of a pod/.test(error.message);
    }
  }

  test('may do each thing that mxr does', async () => {
    for (const resource of [RESOURCE, RESOURCES, PODS, SECRET]) {
      await asOperator({ method: 'GET', path: resourcePath(resource) });
    }
    await patch({ ...RESOURCE, subresource: 'status' }, { status: { holder: 'hci-a' } });
    await patch(RESOURCE, { metadata: { finalizers: ['mxr.dev/handover'] } });
    await patch(RESOURCE, { metadata: { finalizers: [] } });
    const lease = { metadata: { name: 'mxr' }, spec: { holderIdentity: 'a' } };
    const created = await asOperator({ method: 'POST', path: resourcePath(LEASES), body: lease });
    await asOperator({ method: 'PUT', path: resourcePath({ ...LEASES, name: 'mxr' }), body: created });
    await asOperator({ method: 'GET', path: resourcePath({ ...LEASES, name: 'mxr' }) });
    const involvedObject = { apiVersion: 'mxr.dev/v1alpha1', kind: 'MariaDBExternalReplica', namespace: 'mxr' };
    const event = { metadata: { name: 'e1', namespace: 'mxr' }, involvedObject, reason: 'VipMoved', type: 'Normal' };
    await asOperator({ method: 'POST', path: resourcePath(EVENTS), body: event });
    await patch({ ...EVENTS, name: 'e1' }, { count: 2 });
  });

  test('may set the label mxr.dev/serving of a pod, and take it away', async () => {
    const labelled = await patch(POD, { metadata: { labels: { 'mxr.dev/serving': 'true' } } });
    assert.equal(labelled.metadata?.labels?.['mxr.dev/serving'], 'true');
    const taken = await patch(POD, { metadata: { labels: { 'mxr.dev/serving': null } } });
    assert.deepEqual(taken.metadata?.labels, { app: 'orders' });
  });

  const forbidden: readonly (readonly [string, unknown])[] = [
    ['another label', { metadata: { labels: { other: 'x' } } }],
    ['the value of another label', { metadata: { labels: { app: 'x' } } }],
    ['another label away', { metadata: { labels: { app: null } } }],
    ['another label beside its own', { metadata: { labels: { app: 'x', 'mxr.dev/serving': 'true' } } }],
    ['an annotation', { metadata: { annotations: { a: 'b' } } }],
    ['a finalizer', { metadata: { finalizers: ['mxr.dev/handover'] } }],
    ['an owner', { metadata: { ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'x', uid: 'y' }] } }],
    ['the image', { spec: { containers: [{ name: 'mariadb', image: 'evil' }] } }],
    ['the deadline', { spec: { activeDeadlineSeconds: 1 } }],
  ];
  for (const [what, body] of forbidden) {
    test(`may not change ${what} of a pod`, async () => {
      await refused(patch(POD, body, STRATEGIC), /may change nothing of a pod but the label mxr\.dev\/serving/);
    });
  }

  test('may give the label no other value', async () => {
    await refused(patch(POD, { metadata: { labels: { 'mxr.dev/serving': 'yes' } } }), /"true" or not there/);
  });

  test('may not change the spec of a resource', async () => {
    await refused(patch(RESOURCE, { spec: { policy: { handover: 'Observe' } } }), /what a person asked for/);
  });

  test('the policy holds nobody else', async () => {
    await api.patch(POD, { metadata: { annotations: { a: 'b' } } });
    await api.patch(RESOURCE, { spec: { suspend: true } });
  });

  const noRight: readonly (readonly [string, Call['method'], Resource])[] = [
    ['read a pod by name', 'GET', POD],
    ['delete a pod', 'DELETE', POD],
    ['list Secrets', 'GET', { api: 'v1', plural: 'secrets', namespace: 'mxr' }],
    ['read a Secret of another namespace', 'GET', { ...SECRET, namespace: 'other' }],
    ['list the pods of another namespace', 'GET', { ...PODS, namespace: 'other' }],
    ['list all resources', 'GET', { api: 'mxr.dev/v1alpha1', plural: 'mariadbexternalreplicas' }],
    ['delete a resource', 'DELETE', RESOURCE],
    ["read another operator's Lease", 'GET', { ...LEASES, name: 'other' }],
    ['read the CRD', 'GET', { api: 'apiextensions.k8s.io/v1', plural: 'customresourcedefinitions' }],
    ['write the status of a pod', 'PATCH', { ...POD, subresource: 'status' }],
  ];
  for (const [what, method, resource] of noRight) {
    test(`may not ${what}`, async () => {
      const body = method === 'PATCH' ? { body: {}, contentType: MERGE } : {};
      await assert.rejects(
        asOperator({ method, path: resourcePath(resource), ...body }),
        (error) => error instanceof KubeStatusError && error.status === 403,
      );
    });
  }

  test('every way of installing is accepted by the API server', async () => {
    await api.createNamespace('a');
    const source = [{ cidr: '10.0.0.100/32', port: 3306 }];
    const ways = [
      { clusterWide: true },
      { namespaces: ['a', 'other'], replicas: 2 },
      { networkPolicy: { create: true, source, metricsFrom: [{ podSelector: {} }] } },
      { clusterWide: true, networkPolicy: { create: true }, admissionPolicy: { create: false } },
      { namespaces: ['a', 'other'], networkPolicy: { create: true }, fill: { port: 9481 } },
      { clusterWide: true, networkPolicy: { create: true }, fill: { port: 9481 } },
      {
        crds: { install: false },
        podAnnotations: { a: 'b' },
        extraEnv: { TZ: 'UTC' },
        tolerations: [{ operator: 'Exists' }],
      },
      { salvage: { size: '20Gi', storageClassName: 'fast', accessModes: ['ReadWriteMany'] } },
      { salvage: { existingClaim: 'kept' } },
    ];
    for (const values of ways) {
      const yaml = await renderChart({ helm: helmProgram, values });
      await api.kubectl(['apply', '--server-side', '--force-conflicts', '--dry-run=server', '-f', '-'], yaml);
    }
  });

  test('clusterWide asks for one ClusterRole, the default for none', async () => {
    const kinds = async (values: object): Promise<readonly unknown[]> =>
      documents(await renderChart({ helm: helmProgram, values: { ...values } })).map(({ kind }) => kind);
    assert.ok(!(await kinds({})).includes('ClusterRole'));
    assert.equal((await kinds({ clusterWide: true })).filter((kind) => kind === 'ClusterRole').length, 1);
    assert.equal((await kinds({ namespaces: ['a', 'b'] })).filter((kind) => kind === 'Role').length, 3);
  });

  test('a salvage volume: the claim is kept, the root file system stays read-only; without one nothing is mounted', async () => {
    const rendered = documents(await renderChart({ helm: helmProgram, values: { salvage: { size: '20Gi' } } }));
    const claim = rendered.find(({ kind }) => kind === 'PersistentVolumeClaim');
    assert.equal(claim?.metadata?.annotations?.['helm.sh/resource-policy'], 'keep');
    const spec = specOf(rendered);
    assert.deepEqual(spec.volumes, [{ name: 'salvage', persistentVolumeClaim: { claimName: claim.metadata?.name } }]);
    assert.equal(spec.securityContext.fsGroup, 65_532);
    const [container] = spec.containers;
    assert.deepEqual(container?.volumeMounts, [{ name: 'salvage', mountPath: '/salvage' }]);
    assert.equal(container?.securityContext.readOnlyRootFilesystem, true);
    assert.ok(container?.env.some(({ name, value }) => name === 'MXR_SALVAGE_DIR' && value === '/salvage'));
    const without = specOf(documents(await renderChart({ helm: helmProgram })));
    assert.deepEqual([without.volumes, without.securityContext.fsGroup], [undefined, undefined]);
    const named = specOf(
      documents(await renderChart({ helm: helmProgram, values: { salvage: { existingClaim: 'mine' } } })),
    );
    assert.deepEqual(named.volumes, [{ name: 'salvage', persistentVolumeClaim: { claimName: 'mine' } }]);
  });

  test('gives the operator only variables that it knows', async () => {
    const known = new Set(CONFIG_OPTIONS.map(({ name }) => name));
    const given = (await podOf({ fill: { port: 9481 }, salvage: { size: '20Gi' } })).env.map(({ name }) => name);
    assert.deepEqual(
      given.filter((name) => !known.has(name)),
      [],
    );
    assert.ok(given.length > 5);
  });

  test('lets replicas in where they are to be filled from files, and nobody otherwise', async () => {
    const filled = await podOf({ fill: { port: 9481 } });
    assert.deepEqual(
      filled.ports.map(({ name, containerPort }) => [name, containerPort]),
      [
        ['http', 8080],
        ['fill', 9481],
      ],
    );
    const ingress = async (values: object): Promise<readonly string[]> => {
      const policy = { networkPolicy: { create: true }, namespaces: ['a', 'b'], ...values };
      const all = documents(await renderChart({ helm: helmProgram, values: policy }));
      const { spec } = all.find(({ kind }) => kind === 'NetworkPolicy') ?? assert.fail();
      return (spec as { ingress: readonly object[] }).ingress.map((rule) => JSON.stringify(rule));
    };
    const plain = await ingress({});
    assert.equal(plain.length, 1);
    const [, rule = ''] = await ingress({ fill: { port: 9481 } });
    assert.match(rule, /"port":"fill".*"kubernetes.io\/metadata.name":"a".*"kubernetes.io\/metadata.name":"b"/);
    const off = await podOf({});
    assert.ok(off.ports.length === 1 && !off.env.some(({ name }) => name === 'MXR_FILL_PORT'));
  });

  async function podOf(values: object): Promise<PodSpec['containers'][number]> {
    const all = documents(await renderChart({ helm: helmProgram, values: { ...values } }));
    const [container] = specOf(all).containers;
    return container ?? assert.fail();
  }
});

interface PodSpec {
  readonly volumes?: unknown;
  readonly securityContext: { readonly fsGroup?: number };
  readonly containers: readonly {
    readonly env: readonly { readonly name: string; readonly value?: string }[];
    readonly ports: readonly { readonly name: string; readonly containerPort: number }[];
    readonly volumeMounts?: unknown;
    readonly securityContext: { readonly readOnlyRootFilesystem: boolean };
  }[];
}

function specOf(rendered: readonly KubeObject[]): PodSpec {
  const deployment = rendered.find(({ kind }) => kind === 'Deployment');
  assert.ok(deployment);
  return (deployment.spec as { template: { spec: PodSpec } }).template.spec;
}

function documents(yaml: string): readonly KubeObject[] {
  return parseAllDocuments(yaml).flatMap((document) => {
    const value = document.toJS() as KubeObject | null;
    return value === null ? [] : [value];
  });
}
