import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { filesOf } from '../../../src/operator/policy.ts';
import { parseResource } from '../../../src/api/v1alpha1.ts';
import { sampleResource } from '../api/sample.ts';

const DIAL = { host: '10.9.0.7', port: 9481 };

describe('where replicas are filled from binlog files', () => {
  test('at the address of this process, unless the link has to be encrypted', () => {
    const parsed = parseResource(sampleResource());
    assert.ok(parsed.ok);
    const { spec } = parsed.resource;
    for (const mode of ['Disabled', 'Preferred'] as const) {
      const link = { ...spec.link, tls: { ...spec.link.tls, mode } };
      assert.deepEqual(filesOf({ link }, DIAL), { dial: DIAL });
      assert.match(JSON.stringify(filesOf({ link }, null)), /MXR_FILL_PORT/);
    }
    for (const mode of ['Required', 'VerifyCA', 'VerifyIdentity'] as const) {
      const link = { ...spec.link, tls: { ...spec.link.tls, mode } };
      assert.match(JSON.stringify(filesOf({ link }, DIAL)), new RegExp(`link.tls.mode is ${mode}`));
    }
  });
});
