import assert from 'node:assert/strict';
import { test } from 'node:test';
import { basisOf } from '../../../src/domain/unique-transactions.ts';
import { proveContained } from '../../../src/domain/contained.ts';
import { factsOf } from '../../../src/domain/context.ts';
import { decideReplica } from '../../../src/domain/decide.ts';
import type { Baseline, Memory, Standing } from '../../../src/domain/memory.ts';
import type { Decision } from '../../../src/domain/verdict.ts';
import type { ProofInput, ProofResult } from '../../../src/domain/proof.ts';
import { prove } from '../../../src/domain/prove.ts';
import { NEW_PAIR } from '../../../src/domain/situation.ts';
import { NOW, POLICY, calmPair, position, replicaMemory, state } from './pair-fixture.ts';

/** The replica has 0-1-101; the holder is seen at 0-1-100 by a look that began this many ms after NOW. */
function seenAhead(holderLookAt: number, standing: Standing | null): Decision {
  const pair = calmPair({ replica: { gtidSlavePos: position('0-1-101'), gtidBinlogState: state('0-1-101') } });
  const [replica] = pair.observation.replicas;
  const { holder } = pair.diagnosis;
  assert.ok(replica !== undefined && holder !== null);
  const memory: Memory = {
    ...pair.memory,
    replicas: new Map([[replica.pod, replicaMemory(replica.pod, { standing })]]),
  };
  const diagnosis = { ...pair.diagnosis, holder: { ...holder, lookAt: NOW + holderLookAt } };
  const nothing = {
    evidence: new Map(),
    busy: new Map(),
    actedAt: new Map(),
    intended: new Map(),
    pair: NEW_PAIR,
    relink: new Set<string>(),
    approved: new Set<string>(),
  };
  return decideReplica({ ...nothing, policy: POLICY, observation: pair.observation, diagnosis, memory }, replica);
}

test('a transaction that arrived while the holder was looked at is no accusation', () => {
  // The replica's look began at NOW - 20 and may have read its position at its very end, after the holder's at NOW - 10.
  assert.equal(seenAhead(-10, null).verdict, 'Following');
});

test('what the holder still lacks in a look that began after the replica was seen there is one', () => {
  const decision = seenAhead(50, { position: '0-1-101 0-1-100', since: NOW });
  assert.deepEqual([decision.verdict, decision.transactions?.gtids], ['Ahead', ['0-1-101']]);
});

/** A proof against a, of a replica that followed b last. */
function inputOf(seen: Parameters<typeof calmPair>[0], baseline: Partial<Baseline>, lookAt: number): ProofInput {
  const pair = calmPair(seen);
  const [observed] = pair.observation.replicas;
  const { holder } = pair.diagnosis;
  const targetMemory = pair.memory.members.get('a');
  assert.ok(observed !== undefined && holder !== null && targetMemory !== undefined);
  const replica = factsOf({ ...pair, policy: POLICY }, observed);
  const before = replica?.memory.baseline;
  assert.ok(replica !== null && before != null);
  return {
    replica: { ...replica, standing: { ...replica.standing, since: NOW } },
    baseline: { ...before, member: 'b', ...baseline },
    holder: { ...holder, lookAt: NOW + lookAt },
    target: pair.a,
    hasOwnId: true,
    targetMemory,
    source: pair.memory.members.get('b'),
    sourceObserved: undefined,
    stillReceiving: false,
    viaVip: false,
    strayed: false,
    positioning: 'GTID',
    evidence: new Map(),
    approved: new Set<string>(),
  };
}

/** A replica that followed a up to 0-1-100 and then b up to 0-2-150; b died, and a is back. */
function backOn(target: { binlogState: string; slavePos: string }): ReturnType<typeof proveContained> {
  const replica = { gtidSlavePos: position('0-2-150'), gtidBinlogState: state('0-1-100,0-2-150') };
  const a = { gtidBinlogState: state(target.binlogState), gtidSlavePos: position(target.slavePos) };
  const baseline = { gtid: position('0-2-150'), contains: state('0-1-100,0-2-150') };
  return proveContained(inputOf({ replica, a }, baseline, 50));
}

test('a member built anew from a copy never logged what is older than the copy: nothing is missing there', () => {
  assert.notEqual(backOn({ binlogState: '0-2-150', slavePos: '0-2-150' }).kind, 'Refused');
});

test('a member that logged less of a server than the replica has lacks the rest, whatever came later', () => {
  const result = backOn({ binlogState: '0-1-98,0-2-150', slavePos: '0-2-150' });
  assert.equal(result.kind, 'Refused');
  const { count, gtids, unique } = result.transactions ?? {};
  assert.deepEqual([result.verdict, count, gtids], ['Ahead', 2, ['0-1-99', '0-1-100']]);
  assert.equal(unique === undefined ? '' : basisOf(unique), '0-1>98');
});

test('without a later transaction that both have, what was never logged there is missing', () => {
  const result = backOn({ binlogState: '0-2-90', slavePos: '0-2-90' });
  assert.equal(result.kind, 'Refused');
  assert.equal(result.verdict, 'Ahead');
});

/** The replica stands at 0-1-120 since NOW, which a without log_slave_updates wrote; b was followed last. */
function hasOwnOf(holderLookAt: number): ProofResult {
  const replica = { gtidSlavePos: position('0-1-120'), gtidBinlogState: state('0-1-120') };
  const a = { logSlaveUpdates: false, gtidBinlogState: state('0-1-118'), gtidSlavePos: position('0-2-100') };
  return prove(inputOf({ replica, a }, { lineage: 'of b' }, holderLookAt));
}

test("a holder's own transaction that its last look lacks was written since: it is looked at again", () => {
  const result = hasOwnOf(-10);
  assert.equal(result.kind, 'Asking');
  assert.deepEqual(result.questions, [{ kind: 'LiveLook', target: { member: 'a' }, after: NOW }]);
  assert.notEqual(hasOwnOf(50).kind, 'Asking');
});
