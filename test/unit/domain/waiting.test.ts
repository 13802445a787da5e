import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Situation } from '../../../src/api/reasons.ts';
import { decideReplica } from '../../../src/domain/decide.ts';
import { NEW_PAIR } from '../../../src/domain/situation.ts';
import { POLICY, calmPair } from './pair-fixture.ts';

function verdictOf(situation: Situation): string {
  const pair = calmPair();
  const [replica] = pair.observation.replicas;
  assert.ok(replica !== undefined);
  const nothing = {
    evidence: new Map(),
    busy: new Map(),
    actedAt: new Map(),
    intended: new Map(),
    pair: NEW_PAIR,
    relink: new Set<string>(),
  };
  const diagnosis = { ...pair.diagnosis, situation };
  return decideReplica({ ...nothing, ...pair, policy: POLICY, diagnosis, pair: NEW_PAIR }, replica).verdict;
}

test('what the holder has not applied, or that it is read-only, is nothing to a replica that is attached to it', () => {
  assert.equal(verdictOf('HolderStillApplying'), 'Following');
  assert.equal(verdictOf('HolderReadOnly'), 'Following');
});

test('what makes the holder itself doubtful is', () => {
  assert.equal(verdictOf('HolderRestarted'), 'Waiting');
  assert.equal(verdictOf('VipSilent'), 'Waiting');
});
