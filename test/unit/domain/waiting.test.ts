import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Situation } from '../../../src/api/reasons.ts';
import { decideReplica } from '../../../src/domain/decide.ts';
import type { ReplicaMemory } from '../../../src/domain/memory.ts';
import type { Decision } from '../../../src/domain/verdict.ts';
import { NEW_PAIR } from '../../../src/domain/situation.ts';
import { POLICY, calmPair, link, replicaMemory } from './pair-fixture.ts';

/** What is decided of a replica that is attached to a, whose IO thread is in this state. */
function decided(
  situation: Situation,
  change: Partial<ReplicaMemory> = {},
  io: 'Yes' | 'Connecting' = 'Yes',
): Decision {
  const pair = calmPair({ replica: { links: [link({ io })] } });
  const [replica] = pair.observation.replicas;
  assert.ok(replica !== undefined);
  const memory = { ...pair.memory, replicas: new Map([[replica.pod, replicaMemory(replica.pod, change)]]) };
  const nothing = { evidence: new Map(), busy: new Map(), actedAt: new Map(), intended: new Map() };
  const applying = situation === 'HolderStillApplying' ? 'a still applies' : null;
  const diagnosis = { ...pair.diagnosis, situation, applying };
  const { observation } = pair;
  const input = {
    ...nothing,
    policy: POLICY,
    observation,
    diagnosis,
    memory,
    pair: NEW_PAIR,
    relink: new Set<string>(),
    approved: new Set<string>(),
  };
  return decideReplica(input, replica);
}

test('what the holder has not applied, or that it is read-only, is nothing to a replica that is attached to it', () => {
  assert.equal(decided('HolderStillApplying').verdict, 'Following');
  assert.equal(decided('HolderReadOnly').verdict, 'Following');
});

test('what makes the holder itself doubtful is', () => {
  assert.equal(decided('HolderRestarted').verdict, 'Waiting');
  assert.equal(decided('VipSilent').verdict, 'Waiting');
});

test('a link that somebody else changes is not even stopped while nobody answers, or in a split', () => {
  const { wallNow } = calmPair().observation;
  const changed = { foreignChanges: [wallNow - 2_000, wallNow - 1_000] };
  for (const situation of ['VipSilent', 'HolderRestarted', 'SplitBrain'] as const) {
    assert.equal(decided(situation, {}, 'Connecting').plan?.kind, 'StopReceiving', situation);
    const decision = decided(situation, changed, 'Connecting');
    assert.deepEqual([decision.reason, decision.plan], ['Contested', null], situation);
  }
});
