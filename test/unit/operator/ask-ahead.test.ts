import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Picture } from '../../../src/domain/judge.ts';
import type { ServerLook } from '../../../src/domain/observation.ts';
import { rehearsalsAhead } from '../../../src/operator/ask-ahead.ts';
import { calmPair, position } from '../domain/pair-fixture.ts';

/** The holder a is at 0-1-100 and read-only; so far stands the replica; b is where the test says. */
function asked(b: Partial<ServerLook>, situation: Picture['diagnosis']['situation'] = 'HolderReadOnly'): string[] {
  const at = { gtidSlavePos: position('0-1-100') };
  const pair = calmPair({ a: { gtidBinlogPos: position('0-1-100') }, b, replica: at });
  const picture = { diagnosis: { ...pair.diagnosis, situation } } as Picture;
  return rehearsalsAhead(picture, pair.observation).flatMap((question) =>
    question.kind === 'Rehearsal' ? `${question.member} ${question.gtid}` : [],
  );
}

const CAUGHT_UP = { logSlaveUpdates: true, gtidBinlogPos: position('0-1-100'), gtidSlavePos: position('0-1-100') };

test('a member that has all is asked ahead, once the holder is read-only', () => {
  assert.deepEqual(asked(CAUGHT_UP), ['b 0-1-100']);
  assert.deepEqual(asked(CAUGHT_UP, 'Stable'), []);
});

test('a member that lacks something is not asked: its refusal would stay', () => {
  assert.deepEqual(asked({ ...CAUGHT_UP, gtidBinlogPos: position('0-1-99') }), []);
});

test('without log_slave_updates what it applied counts', () => {
  const silent = { logSlaveUpdates: false, gtidBinlogPos: position('') };
  assert.deepEqual(asked({ ...silent, gtidSlavePos: position('0-1-100') }), ['b 0-1-100']);
  assert.deepEqual(asked({ ...silent, gtidSlavePos: position('0-1-99') }), []);
});
