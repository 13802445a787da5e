import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Status } from '../../../src/api/v1alpha1.ts';
import { SITUATIONS } from '../../../src/api/reasons.ts';
import { METRICS, createMetrics, pictureOf } from '../../../src/ops/metrics.ts';
import type { Metrics, ResourcePicture } from '../../../src/ops/metrics.ts';

const ORDERS = { namespace: 'shop', name: 'orders' };
const PICTURE: ResourcePicture = {
  members: [
    { name: 'hci-a', holder: true, up: true, publisherUp: false },
    { name: 'hci-b', holder: false, up: false },
  ],
  situation: 'Stable',
  replicas: [
    {
      pod: 'orders-0',
      following: true,
      verdict: 'Following',
      lagSeconds: 0,
      retention: { member: 'hci-a', seconds: 60 },
    },
    { pod: 'orders-1', following: false, verdict: 'Behind' },
  ],
  failoverReady: false,
  findings: ['VipLink'],
};

/** The series of mxr: `mxr_x{a="b"}` -> value. */
async function series(metrics: Metrics): Promise<Map<string, number>> {
  const lines = (await metrics.text()).split('\n').filter((line) => line.startsWith('mxr_'));
  return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.split(' ').at(-1))]));
}

describe('metrics', () => {
  it('show the picture of a resource', async () => {
    const metrics = createMetrics({ processMetrics: false });
    metrics.resource(ORDERS).show(PICTURE);
    const all = await series(metrics);
    const id = 'namespace="shop",name="orders"';
    assert.equal(all.get(`mxr_source_holder{${id},member="hci-a"}`), 1);
    assert.equal(all.get(`mxr_source_holder{${id},member="hci-b"}`), 0);
    assert.equal(all.get(`mxr_source_member_up{${id},member="hci-b"}`), 0);
    assert.equal(all.get(`mxr_source_situation{${id},situation="Stable"}`), 1);
    assert.equal(all.get(`mxr_source_situation{${id},situation="SplitBrain"}`), 0);
    assert.equal(all.get(`mxr_replica_following{${id},pod="orders-1"}`), 0);
    assert.equal(all.get(`mxr_replica_verdict{${id},pod="orders-1",verdict="Behind"}`), 1);
    assert.equal(all.get(`mxr_replica_lag_seconds{${id},pod="orders-0"}`), 0);
    assert.equal(all.get(`mxr_replica_retention_headroom_seconds{${id},pod="orders-0",member="hci-a"}`), 60);
    assert.equal(all.get(`mxr_failover_ready{${id}}`), 0);
    assert.equal(all.get(`mxr_failover_finding{${id},finding="VipLink"}`), 1);
    assert.equal(all.get(`mxr_failover_finding{${id},finding="VersionOrder"}`), 0);
    assert.equal(all.get(`mxr_handovers_total{${id},outcome="Completed"}`), 0);
    assert.equal(all.get('mxr_leader'), 0);
  });

  it('have no series for what is unknown', async () => {
    const metrics = createMetrics({ processMetrics: false });
    metrics.resource(ORDERS).show({ ...PICTURE, situation: undefined, failoverReady: undefined });
    const all = await series(metrics);
    const names = [...all.keys()].join('\n');
    assert.doesNotMatch(names, /mxr_failover_ready/u);
    assert.doesNotMatch(names, /lag_seconds.*orders-1/u);
    const situations = [...all].filter(([name]) => name.startsWith('mxr_source_situation'));
    assert.equal(situations.length, SITUATIONS.length);
    assert.ok(situations.every(([, value]) => value === 0));
  });

  it('forget what is gone from the picture', async () => {
    const metrics = createMetrics({ processMetrics: false });
    const resource = metrics.resource(ORDERS);
    resource.show(PICTURE);
    await metrics.text();
    resource.show({
      ...PICTURE,
      replicas: [{ pod: 'orders-0', following: true, verdict: 'CatchingUp' }],
      findings: [],
    });
    const names = [...(await series(metrics)).keys()].join('\n');
    assert.doesNotMatch(names, /orders-1|retention|lag/u);
  });

  it('end an alert on a verdict: what the replica had before is 0, as long as the pod is there', async () => {
    const metrics = createMetrics({ processMetrics: false });
    const resource = metrics.resource(ORDERS);
    const now = async (verdict: 'Behind' | 'Following') => {
      resource.show({ ...PICTURE, replicas: [{ pod: 'orders-0', following: verdict === 'Following', verdict }] });
      const all = [...(await series(metrics))].filter(([name]) => name.startsWith('mxr_replica_verdict'));
      return all.map(([name, value]) => `${/verdict="(\w+)"/u.exec(name)?.[1] ?? ''} ${value}`);
    };
    assert.deepEqual(await now('Behind'), ['Behind 1']);
    assert.deepEqual(await now('Following'), ['Following 1', 'Behind 0']);
    assert.deepEqual(await now('Behind'), ['Behind 1', 'Following 0']);
    resource.show({ ...PICTURE, replicas: [] });
    await metrics.text();
    assert.deepEqual(await now('Following'), ['Following 1']);
  });

  it('forget a resource that was deleted, and only that', async () => {
    const metrics = createMetrics({ processMetrics: false });
    const resource = metrics.resource(ORDERS);
    metrics.resource({ ...ORDERS, name: 'other' }).show(PICTURE);
    resource.show(PICTURE);
    resource.countHandover('Completed');
    resource.observeHandover(0.08);
    await metrics.text();
    resource.remove();
    // A pass that was still running when the resource went must not bring it back.
    resource.show(PICTURE);
    const names = [...(await series(metrics)).keys()];
    assert.ok(!names.some((name) => name.includes('name="orders"')));
    assert.ok(names.some((name) => name.includes('name="other"')));
  });

  it('count handovers, steps, passes and errors', async () => {
    const metrics = createMetrics({ processMetrics: false });
    assert.equal(metrics.resource(ORDERS), metrics.resource({ ...ORDERS }));
    metrics.resource(ORDERS).countHandover('Partial');
    metrics.resource(ORDERS).observeHandover(0.08);
    metrics.countStatement('Change', 'deadline');
    metrics.observePass(0.002);
    metrics.countPassError('KubeConflict');
    metrics.setLeader(true);
    const all = await series(metrics);
    assert.equal(all.get('mxr_handovers_total{namespace="shop",name="orders",outcome="Partial"}'), 1);
    const bucket = (le: string): number | undefined =>
      all.get(`mxr_handover_duration_seconds_bucket{le="${le}",namespace="shop",name="orders"}`);
    assert.deepEqual([bucket('0.05'), bucket('0.1'), bucket('+Inf')], [0, 1, 1]);
    assert.equal(all.get('mxr_statements_total{statement="Change",outcome="deadline"}'), 1);
    assert.equal(all.get('mxr_reconcile_duration_seconds_count'), 1);
    assert.equal(all.get('mxr_reconcile_errors_total{reason="KubeConflict"}'), 1);
    assert.equal(all.get('mxr_leader'), 1);
  });

  it('are all in the table, with name, type, labels and help', async () => {
    const metrics = createMetrics({ processMetrics: true });
    const resource = metrics.resource(ORDERS);
    resource.show(PICTURE);
    resource.observeHandover(1);
    metrics.countStatement('Stop', 'ok');
    metrics.countPassError('Bug');
    const text = await metrics.text();
    assert.match(text, /process_cpu_seconds_total/u);
    for (const { name, type, labels, help } of METRICS) {
      assert.ok(text.includes(`# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`), name);
      const line = text.split('\n').find((one) => one.startsWith(name)) ?? '';
      const found = [...line.matchAll(/([a-z]+)="/gu)].map((match) => match[1]).filter((label) => label !== 'le');
      assert.deepEqual(found, [...labels], line);
    }
    const told = new Set([...text.matchAll(/^# HELP (mxr_\S+)/gmu)].map((match) => match[1]));
    assert.deepEqual(told, new Set(METRICS.map(({ name }) => name)));
  });

  it('are shared by scrapes that overlap', () => {
    const metrics = createMetrics({ processMetrics: false });
    assert.equal(metrics.text(), metrics.text());
  });

  it('are bound to the life of a resource: its successor begins anew', async () => {
    const metrics = createMetrics({ processMetrics: false });
    const former = metrics.resource(ORDERS);
    former.countHandover('Completed');
    former.remove();
    metrics.resource(ORDERS).show(PICTURE);
    former.observeHandover(1);
    former.remove();
    const all = await series(metrics);
    assert.equal(all.get('mxr_handovers_total{namespace="shop",name="orders",outcome="Completed"}'), 0);
    assert.equal(all.get('mxr_failover_ready{namespace="shop",name="orders"}'), 0);
    assert.ok(![...all.keys()].some((name) => name.startsWith('mxr_handover_duration')));
  });

  it('survive a label value with quotes and line ends', async () => {
    const metrics = createMetrics({ processMetrics: false });
    metrics.resource(ORDERS).show({ ...PICTURE, members: [{ name: 'a"\n}\\', holder: true, up: true }] });
    assert.match(await metrics.text(), /member="a\\"\\n\}\\\\"/u);
  });
});

describe('the picture of a status', () => {
  it('is what the status says', () => {
    const status = Status.parse({
      holder: 'hci-a',
      source: {
        situation: 'Stable',
        members: [
          { name: 'hci-a', reachable: true, publisher: { reachable: false } },
          { name: 'hci-b', reachable: false },
        ],
      },
      replicas: [
        {
          pod: 'orders-0',
          verdict: 'Following',
          reason: 'Following',
          ready: true,
          serving: true,
          lagSeconds: 0,
          retentionHeadroomSeconds: 60,
          attachedTo: 'hci-a',
          since: '2026-11-21T06:00:00Z',
        },
        {
          pod: 'orders-1',
          verdict: 'Behind',
          reason: 'Behind',
          ready: false,
          serving: false,
          since: '2026-11-21T06:00:00Z',
        },
      ],
      findings: [{ finding: 'VipLink', severity: 'error', subject: 'orders-0', message: '' }],
      conditions: [
        {
          type: 'FailoverReady',
          status: 'False',
          reason: 'VipLink',
          message: '',
          lastTransitionTime: '2026-11-21T06:00:00Z',
        },
      ],
    });
    assert.deepEqual(JSON.parse(JSON.stringify(pictureOf(status))), PICTURE);
  });

  it('knows nothing of an empty status', () => {
    const picture = pictureOf(Status.parse({}));
    assert.deepEqual(JSON.parse(JSON.stringify(picture)), { members: [], replicas: [], findings: [] });
  });
});
