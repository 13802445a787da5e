import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HandoverReplica, IntentReplica } from '../../../src/api/v1alpha1.ts';
import type { Verdict } from '../../../src/api/reasons.ts';
import { decide } from '../../../src/domain/verdict.ts';
import { closeHandover, supersededHandover } from '../../../src/operator/close-handover.ts';
import type { OpenHandover } from '../../../src/operator/handover.ts';

type Went = 'arrived' | 'half way' | 'not begun';

function entry(pod: string, went: Exclude<Went, 'not begun'>): HandoverReplica {
  const names = went === 'arrived' ? (['Stop', 'Change', 'Start', 'VerifyAttached'] as const) : (['Stop'] as const);
  const steps = names.map((step) => ({ step, outcome: 'ok', startedAt: '', durationMs: 1, detail: '' }) as const);
  return { pod, from: {}, to: went === 'arrived' ? { gtid: '0-1-5' } : {}, durationMs: 1, message: '', steps };
}

function open(replicas: Readonly<Record<string, Went>>): OpenHandover {
  const intent = { member: 'b', incarnation: '', gtid: '0-1-5', step: 'Capture' } as const;
  return {
    id: 'b-1',
    from: 'a',
    to: 'b',
    trigger: 'VipMoved',
    startedAt: 0,
    vipAnsweredAt: null,
    inherited: new Set(),
    intents: new Map(Object.keys(replicas).map((pod) => [pod, { pod, ...intent } satisfies IntentReplica])),
    replicas: new Map(
      Object.entries(replicas).flatMap(([pod, went]) =>
        went === 'not begun' ? [] : [[pod, entry(pod, went)] as const],
      ),
    ),
  };
}

function close(replicas: Readonly<Record<string, Went>>, verdicts: Readonly<Record<string, Verdict>>) {
  const decisions = Object.entries(verdicts).map(([pod, verdict]) => {
    return decide(pod, verdict, verdict === 'Waiting' ? 'VipSilent' : verdict, '');
  });
  const memory = { members: new Map(), replicas: new Map() };
  return closeHandover(open(replicas), { decisions, busy: new Set(), memory, wallNow: 1000 });
}

test('the source fell silent again in mid-handover: whoever has not arrived keeps its intent', () => {
  assert.equal(close({ r1: 'arrived', r2: 'half way' }, { r1: 'Waiting', r2: 'Waiting' }), null);
  assert.equal(close({ r1: 'arrived', r2: 'not begun' }, { r1: 'Waiting', r2: 'Waiting' }), null);
});

test('a replica between Stop and Start keeps its intent under every verdict: else it would look stopped by hand', () => {
  for (const verdict of ['Frozen', 'Ahead', 'Unproven', 'Unreachable'] as const) {
    assert.equal(close({ r1: 'half way' }, { r1: verdict }), null, verdict);
  }
});

test('silence after the last arrival takes nothing back', () => {
  const closed = close({ r1: 'arrived', r2: 'arrived' }, { r1: 'Waiting', r2: 'Following' });
  assert.equal(closed?.record?.outcome, 'Completed');
});

test('one that was refused makes it partial', () => {
  const closed = close({ r1: 'arrived' }, { r1: 'Following', r2: 'Ahead' });
  assert.equal(closed?.record?.outcome, 'Partial');
});

test('the VIP went elsewhere meanwhile: the record says how far it came', () => {
  const outcome = (replicas: Readonly<Record<string, Went>>) => supersededHandover(open(replicas), 1000)?.outcome;
  assert.equal(outcome({ r1: 'arrived', r2: 'half way' }), 'Partial');
  assert.equal(outcome({ r1: 'half way' }), 'Abandoned');
  assert.equal(outcome({ r1: 'arrived' }), 'Completed');
  assert.equal(outcome({ r1: 'not begun' }), undefined);
});
