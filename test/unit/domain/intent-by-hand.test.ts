import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gate } from '../../../src/domain/gate.ts';
import type { Gates } from '../../../src/domain/gate.ts';
import { settleIntents } from '../../../src/domain/intent.ts';
import type { Picture } from '../../../src/domain/judge.ts';
import type { Coordinates, Link } from '../../../src/domain/observation.ts';
import { planMove } from '../../../src/domain/plan.ts';
import { decide } from '../../../src/domain/verdict.ts';
import { calmPair, link, NOW, POLICY, position, state } from './pair-fixture.ts';

/** An intent for b is stored, and the link of the replica points at b: mxr did that, or a person did something else. */

function memberAfter(change: Partial<Link>, gtid = '0-1-100', at: Coordinates | null = null): string | undefined {
  const pair = calmPair({ replica: { gtidSlavePos: position(gtid), links: [link({ host: '10.0.0.12', ...change })] } });
  const lineage = pair.memory.members.get('b')?.lineage ?? '';
  const intent = { member: 'b', lineage, startedAt: 0, gtid: position('0-1-100'), at, replicaStartedAt: null };
  const policy = { ...POLICY, positioning: at === null ? 'GTID' : 'FilePosition' } as const;
  const input = { ...pair, policy, intended: new Map([['orders-0', intent]]), busy: new Map() };
  return settleIntents(input).replicas.get('orders-0')?.baseline?.member;
}

const NOT_STARTED = { io: 'No', sql: 'No', exec: { file: '', position: 0 }, gtidIoPos: position('') } as const;

test('a CHANGE that was intended, proven and carried out is known to whoever comes after', () => {
  assert.equal(memberAfter({}), 'b');
});

test('a CHANGE by file and offset where GTID was intended is not what was proven', () => {
  assert.equal(memberAfter({ usingGtid: 'No' }), 'a');
});

test('a replica that was set back before the intended position is not what was proven', () => {
  assert.equal(memberAfter({}, '0-1-90'), 'a');
});

test('between CHANGE and START only the very position of the intent is resumed', () => {
  assert.equal(memberAfter(NOT_STARTED), 'b');
  assert.equal(memberAfter(NOT_STARTED, '0-1-101'), 'a', 'it had applied more than was proven to be there');
  assert.equal(memberAfter(NOT_STARTED, '0-1-99'), 'a');
});

test('a link through the VIP that runs may have reconnected by itself: it carried out no intent', () => {
  const vip = { host: '10.0.0.100', sourceServerId: 2 };
  assert.equal(memberAfter(vip), 'a');
  assert.equal(memberAfter({ ...vip, io: 'No' }, '0-1-105'), 'a', 'more of the old holder, or of the new one?');
  assert.equal(memberAfter({ ...vip, ...NOT_STARTED }), 'b');
  assert.equal(memberAfter({ ...vip, ...NOT_STARTED }, '0-1-105'), 'a');
});

test('by file it was carried out where the link stands at the intended place or beyond it', () => {
  const at = { file: 'b-bin.000005', position: 700 };
  const byFile = (exec: Coordinates) => memberAfter({ usingGtid: 'No', exec }, '0-1-100', at);
  assert.equal(byFile(at), 'b');
  assert.equal(byFile({ ...at, position: 900 }), 'b');
  assert.equal(byFile({ ...at, position: 300 }), 'a');
  assert.equal(byFile({ file: 'a-bin.000005', position: 900 }), 'a', 'coordinates of another history');
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
