import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Question } from '../../../src/domain/evidence.ts';
import { decide } from '../../../src/domain/verdict.ts';
import { hurryOf, paceOf, urgentOf } from '../../../src/operator/pace.ts';
import type { Hurry } from '../../../src/operator/pace.ts';
import { calmInput } from './status-fixture.ts';

const { picture } = calmInput();
const MINUTE = 60_000;
const PLACE = { file: 'a-bin.000001', position: 4 };

function seen(situation: typeof picture.diagnosis.situation, reason: 'HandingOver' | 'DrainSlow' | null = null) {
  const decisions = reason === null ? picture.decisions : [decide('orders-0', 'HandingOver', reason, '')];
  return { diagnosis: { ...picture.diagnosis, situation }, decisions };
}

function paceAfter(hurry: Hurry | null, ms: number): string {
  return paceOf(hurry, ms);
}

describe('the pace of looking', () => {
  test('is calm while nothing is under way', () => {
    assert.equal(paceAfter(hurryOf(null, seen('Stable'), [], 0), 0), 'calm');
  });

  test('is fast in a handover, in a job, and in whatever else is not Stable', () => {
    for (const hurry of [
      hurryOf(null, seen('Stable', 'HandingOver'), [], 0),
      hurryOf(null, seen('Stable'), ['orders-0 Move to b: Stop'], 0),
      hurryOf(null, seen('HolderReadOnly'), [], 0),
    ]) {
      assert.equal(paceAfter(hurry, 0), 'fast');
    }
  });

  test('a holder that stays read-only, or a VIP that stays silent, is looked at calmly after a minute', () => {
    for (const situation of ['HolderReadOnly', 'VipSilent'] as const) {
      const first = hurryOf(null, seen(situation), [], 0);
      const later = hurryOf(first, seen(situation), [], MINUTE);
      assert.equal(paceAfter(later, MINUTE - 1), 'fast');
      assert.equal(paceAfter(later, MINUTE), 'calm');
    }
  });

  test('whatever changes makes it fast again: the situation, a verdict, a step', () => {
    const first = hurryOf(null, seen('VipSilent'), [], 0);
    const moved = hurryOf(first, seen('VipMoved', 'HandingOver'), [], 10 * MINUTE);
    assert.equal(paceAfter(moved, 10 * MINUTE), 'fast');
    const slow = hurryOf(moved, seen('VipMoved', 'DrainSlow'), [], 20 * MINUTE);
    assert.equal(paceAfter(slow, 20 * MINUTE), 'fast');
    const stepping = hurryOf(slow, seen('VipMoved', 'DrainSlow'), ['orders-0 Move to b: Stop'], 30 * MINUTE);
    assert.equal(paceAfter(stepping, 30 * MINUTE), 'fast');
  });

  test('urgent are the holder, and the replicas that are proven or were just acted upon: an execution looks by itself', () => {
    const moving = seen('VipMoved', 'HandingOver');
    assert.deepEqual(urgentOf(moving, new Map()).pods, new Set(['orders-0']));
    assert.deepEqual(urgentOf(moving, new Map([['orders-0', {}]])).pods, new Set());
    assert.deepEqual(urgentOf(seen('HolderReadOnly'), new Map()).pods, new Set());
    assert.deepEqual(urgentOf(moving, new Map()).members, new Set([picture.diagnosis.holder?.member.name]));
    assert.deepEqual(urgentOf(moving, new Map([['orders-0', {}]])).members, new Set(), 'nobody waits for it');
  });

  test('a replica whose proof waits for an answer from elsewhere is not looked at meanwhile', () => {
    const asking = (question: Question) => {
      const decision = decide('orders-0', 'HandingOver', 'HandingOver', '', { questions: [question] });
      return urgentOf({ ...seen('VipMoved'), decisions: [decision] }, new Map());
    };
    const { pods, members } = asking({ kind: 'LiveLook', target: 'vip', after: 0 });
    assert.deepEqual(pods, new Set());
    assert.equal(members.size, 1);
    const draining = asking({ kind: 'RelayRest', pod: 'orders-0', incarnation: '', applied: PLACE, received: PLACE });
    assert.deepEqual(draining.pods, new Set(['orders-0']), 'what it still applies shows at a look');
  });
});
