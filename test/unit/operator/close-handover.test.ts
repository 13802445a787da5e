import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HandoverRecord, HandoverReplica, IntentReplica } from '../../../src/api/v1alpha1.ts';
import type { Verdict } from '../../../src/api/reasons.ts';
import { planMove } from '../../../src/domain/plan.ts';
import { decide } from '../../../src/domain/verdict.ts';
import { closeHandover, refusedHandover, supersededHandover } from '../../../src/operator/close-handover.ts';
import type { OpenHandover } from '../../../src/operator/handover.ts';
import { calmPair, WALL } from '../domain/pair-fixture.ts';

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

function decisionsOf(verdicts: Readonly<Record<string, Verdict>>) {
  return Object.entries(verdicts).map(([pod, verdict]) => {
    return decide(pod, verdict, verdict === 'Waiting' ? 'VipSilent' : verdict, `${pod} says why`);
  });
}

function close(replicas: Readonly<Record<string, Went>>, verdicts: Readonly<Record<string, Verdict>>, leaving = false) {
  const memory = { members: new Map(), replicas: new Map() };
  const decisions = decisionsOf(verdicts);
  return closeHandover(open(replicas), {
    decisions,
    busy: new Set(),
    memory,
    wallNow: 1000,
    leaving,
    standing: new Set(),
  });
}

function told(record: HandoverRecord | null | undefined): unknown {
  const replicas = record?.replicas.map(({ pod, to, message }) => `${pod} ${to.gtid ?? 'refused'} ${message}`.trim());
  return [record?.outcome, ...(replicas ?? [])];
}

test('the source fell silent again in mid-handover: whoever has not arrived keeps its intent', () => {
  assert.equal(close({ r1: 'arrived', r2: 'half way' }, { r1: 'Waiting', r2: 'Waiting' }), null);
  assert.equal(close({ r1: 'arrived', r2: 'not begun' }, { r1: 'Waiting', r2: 'Waiting' }), null);
});

test('whoever does not answer, or is frozen, may stand anywhere in its intent: it keeps it', () => {
  for (const verdict of ['Frozen', 'Unreachable'] as const) {
    assert.equal(close({ r1: 'half way' }, { r1: verdict }), null, verdict);
  }
});

test('a refusal ends it, also half way, and is in the record: no finalizer waits for a person', () => {
  for (const verdict of ['Ahead', 'Unproven', 'Diverged'] as const) {
    const closed = close({ r1: 'half way' }, { r1: verdict });
    assert.deepEqual(told(closed?.record), ['Refused', `r1 refused ${verdict}: r1 says why`]);
  }
  const partial = close({ r1: 'arrived', r2: 'half way' }, { r1: 'Following', r2: 'Behind', r3: 'Purged' });
  assert.deepEqual(told(partial?.record), [
    'Partial',
    'r1 0-1-5',
    'r2 refused Behind: r2 says why',
    'r3 refused Purged: r3 says why',
  ]);
});

test('prepared, and then refused for everybody: that is told; prepared and not needed is not', () => {
  const refused = close({ r1: 'not begun', r2: 'not begun' }, { r1: 'Ahead', r2: 'Ahead' });
  assert.deepEqual(told(refused?.record), [
    'Refused',
    'r1 refused Ahead: r1 says why',
    'r2 refused Ahead: r2 says why',
  ]);
  assert.deepEqual(close({ r1: 'not begun' }, { r1: 'Following' }), { record: null });
});

test('the resource is deleted while the source is away: it is abandoned, or told how far it came', () => {
  assert.deepEqual(told(close({ r1: 'half way' }, { r1: 'Waiting' }, true)?.record), ['Abandoned', 'r1 refused']);
  assert.deepEqual(told(close({ r1: 'arrived', r2: 'half way' }, { r1: 'Waiting', r2: 'Frozen' }, true)?.record), [
    'Partial',
    'r1 0-1-5',
    'r2 refused',
  ]);
  assert.deepEqual(close({ r1: 'not begun' }, { r1: 'HandingOver' }, true), { record: null });
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

/** Every replica followed a; b holds the VIP, and nobody could be proven there. */
function refusedAt(verdicts: Readonly<Record<string, Verdict>>, handovers: readonly HandoverRecord[] = []) {
  const pair = calmPair({ replicas: 2 });
  const times = { wallNow: WALL, vipAnsweredAt: WALL - 700 };
  return refusedHandover({ decisions: decisionsOf(verdicts), memory: pair.memory, holder: 'b', handovers, ...times });
}

test('a handover that was refused for everybody leaves a record, once', () => {
  const both = { 'orders-0': 'Ahead', 'orders-1': 'Behind' } as const;
  const record = refusedAt(both);
  assert.deepEqual(told(record), [
    'Refused',
    'orders-0 refused Ahead: orders-0 says why',
    'orders-1 refused Behind: orders-1 says why',
  ]);
  assert.ok(record);
  assert.deepEqual([record.from, record.to, record.trigger, record.durationMs], ['a', 'b', 'VipMoved', 700]);
  assert.deepEqual(record.replicas[0]?.from, { file: 'a-bin.000003', position: 900, gtid: '0-1-100' });
  assert.equal(refusedAt(both, [record]), null, 'it is told already');
  const earlier = { ...record, finishedAt: new Date(WALL - 3_600_000).toISOString() };
  assert.notEqual(refusedAt(both, [earlier]), null, 'they were proven since');
});

test('one that is not refused makes it no refused handover', () => {
  assert.equal(refusedAt({ 'orders-0': 'Ahead', 'orders-1': 'HandingOver' }), null);
  assert.equal(refusedAt({ 'orders-0': 'Ahead', 'orders-1': 'Following' }), null);
});

test('a move that is prepared while the VIP still answers elsewhere stays open, and leaves no record when it is not needed', () => {
  const [decision] = decisionsOf({ r0: 'Following' });
  assert.ok(decision);
  const proven = {
    kind: 'Proven',
    proof: 'Contained',
    gtid: new Map(),
    at: null,
    contains: new Map(),
    because: '',
  } as const;
  const target = { member: 'b', host: '10.0.0.12', port: 3306, through: 'Member' } as const;
  const parts = { pod: 'r0', from: 'a', trigger: 'VipMoved', proven, target, received: new Map() } as const;
  const prepared = planMove({ ...parts, positioning: 'GTID' });
  const memory = { members: new Map(), replicas: new Map() };
  const closing = { busy: new Set<string>(), memory, wallNow: 1000, leaving: false, standing: new Set<string>() };
  assert.equal(closeHandover(open({ r0: 'not begun' }), { ...closing, decisions: [{ ...decision, prepared }] }), null);
  assert.deepEqual(closeHandover(open({ r0: 'not begun' }), { ...closing, decisions: [decision] }), { record: null });
});
