import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import type { Pod } from '../../../src/kube/objects.ts';
import { replicationManagerOf } from '../../../src/operator/accept/managed-by.ts';
import { notImplemented, plainPublishers, selectionOf } from '../../../src/operator/accept/static.ts';
import type { Sample } from '../api/sample.ts';
import { STATEFUL_SET } from '../api/sample.ts';
import { podOf, resourceOf } from './accept-fixture.ts';

describe('fields without a behaviour', () => {
  const ASKED: readonly (readonly [field: string, change: (spec: Sample) => void])[] = [
    [
      'replicas.statefulSet',
      ({ replicas }) => Object.assign(replicas, { selector: undefined, statefulSet: STATEFUL_SET }),
    ],
    ['policy.onGap: Reseed', (spec) => (spec['policy'] = { onGap: 'Reseed' })],
    ['policy.onDivergence: Reseed', (spec) => (spec['policy'] = { onDivergence: 'Reseed' })],
    ['policy.onPurged: Reseed', (spec) => (spec['policy'] = { onPurged: 'Reseed' })],
    ['reseed.method', (spec) => (spec['reseed'] = { method: 'Dump' })],
    ['reseed.from', (spec) => (spec['reseed'] = { from: 'Holder' })],
    ['reseed.bandwidthLimit', (spec) => (spec['reseed'] = { bandwidthLimit: '50Mi' })],
    [
      'reseed.salvage.pvc (what only one replica has is saved to the salvage volume of the operator: chart value salvage)',
      (spec) => (spec['reseed'] = { salvage: { pvc: 'kept' } }),
    ],
  ];

  for (const [field, change] of ASKED) {
    it(`names ${field}`, () => {
      const refusal = notImplemented(resourceOf({ spec: change }).spec);
      assert.equal(refusal?.reason, 'NotImplemented');
      assert.ok(refusal?.message.includes(`yet: ${field};`), refusal?.message);
    });
  }

  it('names all of them at once', () => {
    const spec = (one: Sample) => {
      one['reseed'] = { from: 'Holder' };
      one['policy'] = { onGap: 'Reseed', onPurged: 'Reseed' };
    };
    const told = 'policy.onGap: Reseed, policy.onPurged: Reseed, reseed.from';
    assert.ok(notImplemented(resourceOf({ spec }).spec)?.message.includes(told));
  });

  it('lets everything pass that exists', () => {
    const spec = (one: Sample) => {
      one.source['topology'] = 'SharedStorage';
      Object.assign(one.source.members[1] ?? {}, { publisher: { url: 'https://b' } });
      one.source['publisherAuth'] = { secretName: 'token' };
      one['policy'] = { handover: 'Confirm', minServing: 2 };
      one['link'] = { through: 'VIP', positioning: 'GTID' };
      one['serving'] = { maxStalenessSeconds: 5 };
    };
    assert.equal(notImplemented(resourceOf({ spec }).spec), null);
  });
});

test('a token over plain http is told by member', () => {
  const publishing = (one: Sample) => {
    const [a, b] = one.source.members;
    Object.assign(a ?? {}, { publisher: { url: 'http://a:9480' } });
    Object.assign(b ?? {}, { publisher: { url: 'https://b:9480' } });
  };
  assert.deepEqual(plainPublishers(resourceOf({ spec: publishing }).spec), [], 'no token is sent');
  const withToken = (one: Sample) => {
    publishing(one);
    one.source['publisherAuth'] = { secretName: 'token' };
  };
  assert.deepEqual(plainPublishers(resourceOf({ spec: withToken }).spec), ['hci-a']);
});

describe('the selection of pods', () => {
  const PODS = [podOf('orders-1'), podOf('orders-0'), podOf('other', { labels: { app: 'other' } })];

  it('takes the pods of the own namespace that match', () => {
    const pods = [...PODS, podOf('orders-9', { namespace: 'elsewhere' })];
    const { pods: selected, refusal } = selectionOf(resourceOf(), pods, []);
    assert.deepEqual(
      selected.map(({ metadata }) => metadata.name),
      ['orders-0', 'orders-1'],
    );
    assert.equal(refusal, null);
  });

  it('says what was looked for and where when nothing matches', () => {
    const { refusal } = selectionOf(resourceOf(), [podOf('a', { labels: { app: 'orders' } })], []);
    assert.equal(refusal?.reason, 'NoReplicaSelected');
    assert.match(refusal?.message ?? '', /\(app=orders-replica\) matches no pod in namespace default/);
  });

  it('names the pod and the other resource that selects it, on both sides', () => {
    const wide = (spec: Sample) =>
      (spec.replicas['selector'] = {
        matchExpressions: [{ key: 'app', operator: 'In', values: ['orders-replica', 'x'] }],
      });
    const [one, other] = [resourceOf(), resourceOf({ name: 'wide', spec: wide })];
    const here = selectionOf(one, PODS, [other]).refusal;
    assert.equal(here?.reason, 'SelectedTwice');
    assert.match(here?.message ?? '', /pod orders-0 is also selected by default\/wide/);
    assert.match(selectionOf(other, PODS, [one]).refusal?.message ?? '', /also selected by default\/orders/);
  });

  it('does not mind the same selector in another namespace, or one that shares no pod', () => {
    const elsewhere = resourceOf({ namespace: 'elsewhere' });
    const apart = resourceOf({
      name: 'apart',
      spec: ({ replicas }) => (replicas['selector'] = { matchLabels: { app: 'other' } }),
    });
    assert.equal(selectionOf(resourceOf(), PODS, [elsewhere, apart]).refusal, null);
  });

  it('leaves pods alone whose owner manages their replication', () => {
    const { refusal } = selectionOf(
      resourceOf(),
      [podOf('orders-0'), podOf('orders-1', { annotations: { 'k8s.mariadb.com/replication': '' } })],
      [],
    );
    assert.equal(refusal?.reason, 'ManagedByOther');
    assert.match(
      refusal?.message ?? '',
      /pod orders-1 is managed by mariadb-operator, as its annotation k8s\.mariadb\.com/,
    );
  });
});

describe('who manages the replication of a pod', () => {
  const app = 'orders-replica';
  const MARKS: readonly (readonly [name: string, pod: Pod])[] = [
    ['mariadb-operator', podOf('p', { owner: { apiVersion: 'k8s.mariadb.com/v1alpha1', kind: 'MariaDB' } })],
    ['mariadb-operator', podOf('p', { owner: { apiVersion: 'mariadb.mmontes.io/v1alpha1', kind: 'MariaDB' } })],
    ['MOCO', podOf('p', { labels: { app, 'moco.cybozu.com/role': 'replica' } })],
    ['MOCO', podOf('p', { labels: { app, 'app.kubernetes.io/created-by': 'moco' } })],
    ['MySQL Operator for Kubernetes', podOf('p', { labels: { app, 'mysql.oracle.com/cluster': 'c' } })],
    ['Bitpoke MySQL Operator', podOf('p', { labels: { app, 'app.kubernetes.io/managed-by': 'mysql.presslabs.org' } })],
    ['Percona Operator for MySQL', podOf('p', { labels: { app, 'mysql.percona.com/primary': 'true' } })],
    [
      'Percona XtraDB Cluster Operator',
      podOf('p', { labels: { app, 'app.kubernetes.io/managed-by': 'percona-xtradb-cluster-operator' } }),
    ],
    ['Vitess Operator', podOf('p', { labels: { app, 'planetscale.com/component': 'vttablet' } })],
    ['mariadb-operator', podOf('p', { annotations: { 'physicalbackup.k8s.mariadb.com/name': 'b' } })],
  ];
  for (const [name, pod] of MARKS) {
    const { labels, annotations, ownerReferences } = pod.metadata;
    it(`${name}: ${JSON.stringify({ labels, annotations, owner: ownerReferences[0]?.apiVersion })}`, () => {
      assert.equal(replicationManagerOf(pod)?.name, name);
    });
  }

  it('nobody, where a chart or a StatefulSet made it', () => {
    const labels = {
      app,
      'app.kubernetes.io/managed-by': 'Helm',
      'mxr.dev/serving': 'true',
      'notk8s.mariadb.com/x': '',
    };
    const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet' };
    assert.equal(replicationManagerOf(podOf('p', { labels, owner })), null);
  });
});
