import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { parseResource } from '../../../src/api/v1alpha1.ts';
import { MALFORMED, REFUSALS, STATEFUL_SET, sampleResource } from './sample.ts';

describe('parseResource', () => {
  test('fills in the defaults of the contract', () => {
    const parsed = parseResource(sampleResource());
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.resource.spec, {
      source: {
        vip: { host: '10.0.0.100', port: 3306 },
        members: [
          { name: 'hci-a', host: '10.0.0.11', port: 3306 },
          { name: 'hci-b', host: '10.0.0.12', port: 3306 },
        ],
        topology: 'Auto',
        credentials: { secretName: 'orders-source' },
        tls: { mode: 'Preferred', caSecretName: '' },
      },
      replicas: {
        selector: { matchLabels: { app: 'orders-replica' }, matchExpressions: [] },
        port: 3306,
        credentials: { secretName: 'orders-replica' },
        tls: { mode: 'Preferred', caSecretName: '' },
        localWrites: 'Forbidden',
      },
      link: {
        through: 'Auto',
        positioning: 'Auto',
        channel: '',
        connectRetrySeconds: 1,
        heartbeatSeconds: 2,
        netTimeoutSeconds: 8,
        tls: { mode: 'Preferred', caFile: '', certFile: '', keyFile: '' },
        filters: { doDb: [], ignoreDb: [], doTable: [], ignoreTable: [], wildDoTable: [], wildIgnoreTable: [] },
      },
      detection: { probeIntervalMs: 500, probeTimeoutMs: 1000, holdDownSeconds: 0 },
      policy: {
        handover: 'Auto',
        onGap: 'Halt',
        onDivergence: 'Halt',
        onPurged: 'Halt',
        onSplitBrain: 'Confirm',
        minServing: 1,
      },
      reseed: { method: 'Auto', from: 'Auto', bandwidthLimit: '', salvage: { pvc: '' } },
      serving: { maxStalenessSeconds: 0 },
      suspend: false,
    });
  });

  test("gives a member without a port the VIP's", () => {
    const parsed = parseResource(
      sampleResource((spec) => {
        spec.source.vip.port = 63306;
        spec.source.members = [
          { name: 'a', host: '10.0.0.11' },
          { name: 'b', host: 'fd00::12', port: 3307 },
        ];
      }),
    );
    assert.ok(parsed.ok);
    assert.deepEqual(
      parsed.resource.spec.source.members.map(({ port }) => port),
      [63306, 3307],
    );
  });

  test('lets two members share a host on different ports', () => {
    const parsed = parseResource(
      sampleResource((spec) => {
        spec.source.members = [
          { name: 'a', host: '127.0.0.1', port: 3307 },
          { name: 'b', host: '127.0.0.1', port: 3308 },
        ];
      }),
    );
    assert.ok(parsed.ok);
  });

  test('takes a statefulSet, with quantities as text or number', () => {
    const resources = { limits: { cpu: 2, memory: '4Gi' } };
    const parsed = parseResource(
      sampleResource((spec) => {
        spec.replicas = { credentials: { secretName: 'x' }, statefulSet: { ...STATEFUL_SET, resources } };
      }),
    );
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.resource.spec.replicas.statefulSet?.resources, { ...resources, requests: {} });
    assert.equal(parsed.resource.spec.replicas.statefulSet?.replicas, 3);
  });

  test('a resource without a status is a first sight: every list is there and empty', () => {
    const parsed = parseResource(sampleResource());
    assert.ok(parsed.ok);
    const { source, replicas, handovers, approvals, conditions, intent } = parsed.resource.status;
    assert.deepEqual([source.members, replicas, handovers, approvals, conditions], [[], [], [], [], []]);
    assert.equal(intent, undefined);
  });

  for (const { name, change, field, message } of REFUSALS) {
    test(`refuses ${name}`, () => {
      const parsed = parseResource(sampleResource(change));
      assert.ok(!parsed.ok, 'it was accepted');
      assert.equal(parsed.field, field);
      assert.match(parsed.message, message);
    });
  }

  for (const { field, change } of MALFORMED) {
    const resource = sampleResource(change);
    test(`refuses a malformed ${field}`, () => {
      const parsed = parseResource(resource);
      assert.ok(!parsed.ok, 'it was accepted');
      assert.equal(parsed.field, field);
      assert.ok(parsed.message.startsWith(`${field}: `), parsed.message);
    });
  }

  test('a status that cannot be read is an error and not a first sight', () => {
    const status = { replicas: [{ pod: 'orders-0', verdict: 'Fine' }] };
    const parsed = parseResource({ ...sampleResource(), status });
    assert.ok(!parsed.ok);
    assert.equal(parsed.field, 'status.replicas[0].verdict');
    assert.match(parsed.message, /--subresource=status/);
  });

  test('never throws, whatever the API answers', () => {
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (spec, status) => {
        const parsed = parseResource({ ...sampleResource(), spec, status });
        assert.ok(parsed.ok || parsed.message.length <= 1500);
        parseResource(spec);
      }),
    );
  });
});
