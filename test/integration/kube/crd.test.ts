import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type ExternalReplica, parseResource } from '../../../src/api/v1alpha1.ts';
import { type KubeApi, startKubeApi } from '../../support/kube/api.ts';
import { controlPlane } from '../../support/kube/build.ts';
import { type KubeObject, KubeStatusError } from '../../support/kube/rest.ts';
import { until } from '../../support/wait.ts';
import { MALFORMED, REFUSALS, STATEFUL_SET, type Sample, sampleResource } from '../../unit/api/sample.ts';

const CRD = join(import.meta.dirname, '../../../crds/mxr.dev_mariadbexternalreplicas.yaml');
const RESOURCES = { api: 'mxr.dev/v1alpha1', plural: 'mariadbexternalreplicas', namespace: 'default' } as const;

describe('the CRD on a real API server', () => {
  let dir: string;
  let api: KubeApi;
  let count = 0;

  before(async () => {
    dir = mkdtempSync(join(tmpdir(), 'mxr-crd-'));
    const binaries = await controlPlane((line) => console.error(line));
    api = await startKubeApi({ binaries, dir, address: '127.0.0.1' });
    await api.apply(readFileSync(CRD, 'utf8'));
    await until('the API server serves the CRD', () => served(api), { deadlineMs: 30_000 });
  });

  after(async () => {
    await api?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  async function create(change?: (spec: Sample) => void): Promise<KubeObject> {
    count += 1;
    const resource = sampleResource(change);
    return api.create(RESOURCES, { ...resource, metadata: { name: `orders-${count}` } });
  }

  function nameOf(object: KubeObject): typeof RESOURCES & { readonly name: string } {
    return { ...RESOURCES, name: object.metadata?.name ?? '' };
  }

  test('is accepted as structural, with every name established', async () => {
    const crd = await api.get({
      api: 'apiextensions.k8s.io/v1',
      plural: 'customresourcedefinitions',
      name: 'mariadbexternalreplicas.mxr.dev',
    });
    const conditions = crd.status?.['conditions'] as readonly { type: string; status: string }[];
    assert.deepEqual(
      Object.fromEntries(conditions.map(({ type, status }) => [type, status])),
      { NamesAccepted: 'True', Established: 'True' },
      'a condition such as NonStructuralSchema would name what is wrong',
    );
  });

  test('fills in the same defaults as the parser', async () => {
    const created = await create();
    const parsed = parsedOf(created);
    const own = parsedOf({ ...sampleResource(), metadata: { name: 'x', namespace: 'default' } });
    assert.deepEqual(parsed.spec, own.spec);
    const { link, policy, detection, reseed } = created.spec as unknown as ExternalReplica['spec'];
    assert.deepEqual({ link, policy, detection, reseed }, pick(own.spec), 'the API server itself filled them in');
  });

  test('takes a statefulSet with a number as a quantity, and keeps it a number', async () => {
    const created = await create((spec) => {
      spec.replicas = {
        credentials: { secretName: 'x' },
        statefulSet: { ...STATEFUL_SET, resources: { limits: { cpu: 2, memory: '4Gi' } } },
      };
    });
    assert.deepEqual(parsedOf(created).spec.replicas.statefulSet?.resources.limits, { cpu: 2, memory: '4Gi' });
  });

  for (const { name, change, field, message } of REFUSALS) {
    test(`refuses ${name}, and says what to write`, async () => {
      await refused(create(change), field, message);
    });
  }

  test('says the same to kubectl apply, client-side and server-side', async () => {
    const [{ message, change }] = REFUSALS.filter(({ name }) => name === 'two members with one name') as [
      (typeof REFUSALS)[number],
    ];
    const text = JSON.stringify(sampleResource(change));
    await assert.rejects(api.kubectl(['apply', '-f', '-'], text), message);
    await assert.rejects(api.kubectl(['apply', '--server-side', '-f', '-'], text), message);
  });

  for (const { field, change } of MALFORMED) {
    const written = JSON.stringify(sampleResource(change).spec).length;
    test(`refuses a malformed ${field} (${written} characters)`, async () => {
      await refused(create(change), field, /./);
    });
  }

  test('refuses a change of the channel', async () => {
    const created = await create((spec) => (spec['link'] = { channel: 'a' }));
    const changed = api.patch(nameOf(created), { spec: { link: { channel: 'b' } } });
    await refused(changed, 'spec.link.channel', /link\.channel cannot be changed: write the old value back/);
  });

  test('refuses a change of the channel that only leaves it away', async () => {
    const created = await create((spec) => (spec['link'] = { channel: 'a' }));
    const changed = api.patch(nameOf(created), { spec: { link: null } });
    await refused(changed, 'spec.link.channel', /link\.channel cannot be changed/);
  });

  test('refuses a change from selector to statefulSet and back', async () => {
    const selecting = await create();
    const toSet = api.patch(nameOf(selecting), { spec: { replicas: { selector: null, statefulSet: STATEFUL_SET } } });
    await refused(toSet, 'spec.replicas', /cannot be changed between selector and statefulSet: create another/);
    const owning = await create((spec) => {
      spec.replicas = { credentials: { secretName: 'x' }, statefulSet: STATEFUL_SET };
    });
    const toSelector = api.patch(nameOf(owning), {
      spec: { replicas: { statefulSet: null, selector: { matchLabels: { app: 'x' } } } },
    });
    await refused(toSelector, 'spec.replicas', /cannot be changed between selector and statefulSet: create another/);
  });

  test('lets everything else be changed', async () => {
    const created = await create();
    const changed = await api.patch(nameOf(created), {
      spec: { suspend: true, source: { vip: { host: '10.0.0.200' } }, policy: { handover: 'Confirm' } },
    });
    assert.equal(changed.metadata?.generation, 2);
  });

  test('keeps a status as it was written, on the subresource only', async () => {
    const created = await create();
    const at = '2026-11-21T10:00:00.123Z';
    const status = wholeStatus(at);
    const name = nameOf(created);
    await api.patch(name, { status });
    assert.equal((await api.get(name)).status, undefined, 'the main resource took a status');
    await api.patch({ ...name, subresource: 'status' }, { status });
    const read = await api.get(name);
    assert.deepEqual(read.status, status, 'the API server added, changed or dropped something');
    assert.equal(read.metadata?.generation, 1);
    const parsed = parsedOf(read);
    assert.equal(parsed.status.replicas[0]?.baseline?.gtid, '0-1-18446744073709551615');
  });

  test('refuses a status with an unknown verdict or two entries of one name', async () => {
    const name = { ...nameOf(await create()), subresource: 'status' };
    const replica = {
      pod: 'orders-0',
      verdict: 'Fine',
      reason: 'Fine',
      ready: true,
      serving: true,
      since: '2026-11-21T10:00:00Z',
    };
    await refused(
      api.patch(name, { status: { replicas: [replica] } }),
      'status.replicas[0].verdict',
      /Unsupported value/,
    );
    const twice = [replica, replica].map((one) => ({ ...one, verdict: 'Following' }));
    await refused(api.patch(name, { status: { replicas: twice } }), 'status.replicas[1]', /Duplicate value/);
  });

  test('kubectl get shows the columns of the contract', async () => {
    const created = await create();
    const status = wholeStatus(new Date(Date.now() - 120_000).toISOString());
    await api.patch({ ...nameOf(created), subresource: 'status' }, { status });
    const get = async (...args: string[]): Promise<string[][]> => {
      const text = await api.kubectl(['get', 'mxr', created.metadata?.name ?? '', '-n', 'default', ...args]);
      return text
        .trim()
        .split('\n')
        .map((line) => line.split(/\s+/));
    };
    const [head, row] = await get();
    assert.deepEqual(head, ['NAME', 'HOLDER', 'FOLLOWING', 'READY', 'FAILOVER-READY', 'LAG', 'AGE']);
    assert.deepEqual(row?.slice(1, -1), ['hci-b', '1/1', 'True', 'False', '0']);
    const [wide, wideRow] = await get('-o', 'wide');
    assert.deepEqual(wide?.slice(7), ['VERDICT', 'LAST-HANDOVER']);
    assert.deepEqual([wideRow?.[7], /^[12]m|^1[0-9]{2}s/.test(wideRow?.[8] ?? '')], ['Following', true]);
  });

  test('kubectl explain tells what a field means', async () => {
    const text = await api.kubectl(['explain', 'mxr.spec.detection.holdDownSeconds']);
    assert.match(text, /How long a holder must be proven before a link is changed/);
  });
});

async function served(api: KubeApi): Promise<boolean> {
  try {
    await api.list(RESOURCES);
    return true;
  } catch (error) {
    if (error instanceof KubeStatusError && error.status === 404) return false;
    throw error;
  }
}

function parsedOf(object: unknown): ExternalReplica {
  const parsed = parseResource(object);
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.resource;
}

function pick({ link, policy, detection, reseed }: ExternalReplica['spec']): object {
  return { link, policy, detection, reseed };
}

/** `kubectl` shows the field and the message of each cause; so must the answer to any other client. */
async function refused(call: Promise<unknown>, field: string, message: RegExp): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof KubeStatusError, String(error));
    assert.equal(error.status, 422, error.message);
    assert.ok(error.message.includes(`${field}: `), error.message);
    assert.match(error.message, message);
    return true;
  });
}

/** One of everything that mxr remembers. */
function wholeStatus(at: string): Record<string, unknown> {
  const identity = {
    hostname: 'b',
    serverId: 2,
    serverUid: 'u',
    startedAt: at,
    port: 3306,
    datadir: '/var/lib/mysql/',
  };
  const gtid = '0-1-18446744073709551615';
  const standby = { at, file: 'b.000001', position: 4, gtidBinlogPos: '', gtidBinlogState: '', gtidSlavePos: gtid };
  const member = {
    name: 'hci-b',
    reachable: true,
    serverId: 4_294_967_295,
    position: Number.MAX_SAFE_INTEGER,
    lineage: 'hci-b@x',
    identity,
    files: [{ name: 'b.000001', size: 4, createdAt: at }],
    lastStandby: {
      ...standby,
      usingGtid: false,
      sourceHost: '10.0.0.11',
      sourceServerId: 1,
      applied: { file: 'a.000009', position: 342 },
      drained: true,
    },
    ownTransactions: { count: 1, firstAt: at, lastAt: at, bytes: 5, gtids: [gtid] },
    message: '',
  };
  const replica = {
    pod: 'orders-0',
    verdict: 'Following',
    reason: 'Following',
    message: '',
    ready: true,
    serving: true,
    baseline: { by: 'Handover', member: 'hci-b', lineage: 'hci-b@x', gtid, contains: gtid, proof: 'Contained', at },
    captured: { at, file: 'a.000009', position: 1, readFile: 'a.000009', readPosition: 2, gtid, gtidIoPos: gtid },
    since: at,
  };
  const steps = [{ step: 'Change', outcome: 'ok', startedAt: at, durationMs: 2, detail: '' }];
  const handover = { id: 'h1', from: 'hci-a', to: 'hci-b', trigger: 'VipMoved', startedAt: at, finishedAt: at };
  return {
    observedGeneration: 1,
    holder: 'hci-b',
    verdict: 'Following',
    lagSeconds: 0,
    lastHandover: at,
    following: '1/1',
    source: { situation: 'Stable', vip: { answers: true, since: at, identity }, members: [member] },
    replicas: [replica],
    intent: {
      id: 'h2',
      from: 'hci-a',
      to: 'hci-b',
      startedAt: at,
      replicas: [{ pod: 'orders-0', member: 'hci-b', incarnation: 'i', gtid, step: 'Stop' }],
    },
    approvals: [{ id: 'h1', by: 'anna', at, via: 'kubectl-mxr' }],
    handovers: [
      {
        ...handover,
        durationMs: 0,
        outcome: 'Completed',
        replicas: [{ pod: 'orders-0', proof: 'Contained', from: { gtid }, to: { gtid }, durationMs: 2, steps }],
      },
    ],
    findings: [{ finding: 'SyncBinlogOff', severity: 'error', subject: 'hci-a', message: 'm' }],
    conditions: [condition('Ready', 'True', at), condition('FailoverReady', 'False', at)],
  };
}

function condition(type: string, status: string, lastTransitionTime: string): Record<string, unknown> {
  return { type, status, reason: 'Following', message: '', lastTransitionTime, observedGeneration: 1 };
}
