import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, NOT_ASKED_YET, unknown, valueOf, wasAsked } from '../../../src/domain/fact.ts';

test('a failure to ask is an answer about asking, never about what was asked', () => {
  const failed = unknown('Deadline', 'no answer within 1000 ms', 5);
  assert.equal(valueOf(failed), undefined);
  assert.equal(wasAsked(failed), true);
});

test('before the first look nothing was asked', () => {
  assert.equal(wasAsked(NOT_ASKED_YET), false);
  assert.equal(valueOf(undefined), undefined);
});

test('a known value may be one that looks like nothing', () => {
  assert.equal(valueOf(known(0, 1)), 0);
  assert.equal(valueOf(known(null, 1)), null);
  assert.equal(wasAsked(known('', 1)), true);
});
