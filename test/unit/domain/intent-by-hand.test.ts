import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gate } from '../../../src/domain/gate.ts';
import type { Gates } from '../../../src/domain/gate.ts';
import { settleIntents } from '../../../src/domain/intent.ts';
import type { Picture } from '../../../src/domain/judge.ts';
import type { Link } from '../../../src/domain/observation.ts';
import { planMove } from '../../../src/domain/plan.ts';
import { decide } from '../../../src/domain/verdict.ts';
import { calmPair, link, NOW, POLICY, position, state } from './pair-fixture.ts';

/** An intent for b is stored, and the link of the replica points at b: mxr did that, or a person did something else. */

function memberAfter(change: Partial<Link>, gtid = '0-1-100'): string | undefined {
  const pair = calmPair({ replica: { gtidSlavePos: position(gtid), links: [link({ host: '10.0.0.12', ...change })] } });
  const lineage = pair.memory.members.get('b')?.lineage ?? '';
  const intent = { member: 'b', lineage, startedAt: 0, gtid: position('0-1-100'), at: null };
  const input = { ...pair, policy: POLICY, intended: new Map([['orders-0', intent]]), busy: new Map() };
  return settleIntents(input).replicas.get('orders-0')?.baseline?.member;
}

test('a CHANGE that was intended, proven and carried out is known to whoever comes after', () => {
  assert.equal(memberAfter({}), 'b');
});

test('a CHANGE by file and offset where GTID was intended is not what was proven', () => {
  assert.equal(memberAfter({ usingGtid: 'No' }), 'a');
});

test('a replica that was set back before the intended position is not what was proven', () => {
  assert.equal(memberAfter({}, '0-1-90'), 'a');
});

function gated(gates: Partial<Gates>) {
  const pair = calmPair();
  const proven = { kind: 'Proven', proof: 'Contained', gtid: position('0-1-100'), at: null, because: '' } as const;
  const prepared = planMove({
    pod: 'orders-0',
    from: 'a',
    trigger: 'VipMoved',
    proven: { ...proven, contains: state('0-1-100') },
    target: { member: 'b', host: '10.0.0.12', port: 3306, through: 'Member' },
    positioning: 'GTID',
    received: state('0-1-100'),
  });
  const decisions = [decide('orders-0', 'Waiting', 'VipSilent', 'the VIP does not answer', { prepared })];
  const picture = { ...pair, decisions, plans: [], questions: [] } as unknown as Picture;
  const auto: Gates = { suspend: false, handover: 'Auto', holdDownMs: 0, approved: new Set() };
  return gate(picture, { ...auto, ...gates }, NOW).decisions.map((decision) => decision.prepared !== null);
}

test('nothing is stored ahead of what mxr may not do by itself', () => {
  assert.deepEqual(gated({}), [true]);
  assert.deepEqual(gated({ suspend: true }), [false]);
  assert.deepEqual(gated({ handover: 'Observe' }), [false]);
  assert.deepEqual(gated({ handover: 'Confirm' }), [false]);
});
