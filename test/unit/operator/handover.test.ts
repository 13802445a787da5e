import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Trigger } from '../../../src/api/reasons.ts';
import { planFill, planMove } from '../../../src/domain/plan.ts';
import type { Plan } from '../../../src/domain/plan.ts';
import { parsePosition } from '../../../src/domain/gtid.ts';
import { enterExecution, intendedOf, openHandover } from '../../../src/operator/handover.ts';
import { replicaMemory } from '../domain/pair-fixture.ts';
import { calmInput } from './status-fixture.ts';

const { picture } = calmInput();
const WEEK = 7 * 86_400_000;
const NOW = 2 * WEEK;

function plan(trigger: Trigger): Plan {
  const target = { member: 'a', host: '10.0.0.11', port: 3306, through: 'Member' } as const;
  const proven = {
    kind: 'Proven',
    proof: 'SameServer',
    gtid: new Map(),
    at: null,
    contains: new Map(),
    because: '',
  } as const;
  return planMove({ pod: 'orders-0', from: 'a', trigger, proven, target, positioning: 'GTID', received: new Map() });
}

function opened(trigger: Trigger, vipAnsweredAt: number | null, stoppedAt: number | null = null) {
  const place = {
    exec: { file: '', position: 4 },
    read: { file: '', position: 4 },
    gtid: new Map(),
    gtidIoPos: new Map(),
  };
  const captured = stoppedAt === null ? null : { at: stoppedAt, ...place };
  const replicas = new Map([['orders-0', replicaMemory('orders-0', { captured })]]);
  const seen = { ...picture, memory: { ...picture.memory, replicas } };
  return openHandover(null, seen, [plan(trigger)], {
    wallNow: NOW,
    vipAnsweredAt,
    startedAt: new Map(),
    approved: false,
  });
}

describe('how long a handover took is counted from the VIP answering', () => {
  test('when the VIP moved, or its server restarted', () => {
    assert.equal(opened('VipMoved', NOW - 100)?.vipAnsweredAt, NOW - 100);
    assert.equal(opened('HolderRestarted', NOW - 100)?.vipAnsweredAt, NOW - 100);
    assert.equal(opened('VipMoved', null)?.vipAnsweredAt, null);
  });

  test('when receiving had been stopped before it answered', () => {
    assert.equal(opened('Resume', NOW - 100, NOW - 5_000)?.vipAnsweredAt, NOW - 100);
  });

  test('not when a pod is adopted, or a link resumed, in a calm that has lasted for a week', () => {
    assert.equal(opened('Adoption', NOW - WEEK)?.vipAnsweredAt, null);
    assert.equal(opened('Adoption', NOW - WEEK, NOW - 2 * WEEK)?.vipAnsweredAt, null);
    assert.equal(opened('Resume', NOW - WEEK)?.vipAnsweredAt, null);
    assert.equal(opened('Resume', NOW - WEEK, NOW - 1_000)?.vipAnsweredAt, null);
  });

  test('not when it was prepared while the VIP still answered on the old holder', () => {
    const elsewhere = {
      ...plan('VipMoved'),
      target: { member: 'b', host: '10.0.0.12', port: 3306, through: 'Member' },
    } as const;
    const now = { wallNow: NOW, vipAnsweredAt: NOW - WEEK, startedAt: new Map(), approved: false };
    assert.equal(openHandover(null, picture, [elsewhere], now)?.vipAnsweredAt, null);
  });

  test('an open handover learns when the VIP answered', () => {
    const silent = opened('VipMoved', null);
    const later = openHandover(silent, picture, [plan('VipMoved')], {
      wallNow: NOW,
      vipAnsweredAt: NOW,
      startedAt: new Map(),
      approved: false,
    });
    assert.equal(later?.vipAnsweredAt, NOW);
    assert.equal(later?.id, silent?.id);
  });
});

test('a move that waited for a person was begun by the approval', () => {
  const now = { wallNow: NOW, vipAnsweredAt: NOW - 60_000, startedAt: new Map(), approved: true };
  assert.equal(openHandover(null, picture, [plan('VipMoved')], now)?.trigger, 'Approval');
  assert.equal(openHandover(null, picture, [{ ...plan('Resume'), kind: 'Resume' }], now)?.trigger, 'Resume');
});

test('a replica that has arrived is not wanted anywhere any more, though a sibling is not there yet', () => {
  const lineage = picture.memory.members.get('a')?.lineage;
  assert.ok(lineage !== undefined);
  const open = opened('VipMoved', NOW);
  assert.ok(open);
  assert.deepEqual([...intendedOf(open).keys()], ['orders-0']);
  const execution = {
    pod: 'orders-0',
    plan: plan('VipMoved'),
    outcome: 'Done',
    code: null,
    refused: false,
    message: '',
    steps: [],
    captured: null,
  } as const;
  const failed = enterExecution(open, { ...execution, attachedAt: null });
  assert.deepEqual([...intendedOf(failed).keys()], ['orders-0']);
  const arrived = enterExecution(open, { ...execution, attachedAt: { gtid: new Map(), place: null } });
  assert.deepEqual([...intendedOf(arrived).keys()], []);
  assert.equal(arrived.intents.get('orders-0')?.arrived, true, 'whoever comes next knows it too');
});

describe('a fill and the move after it are one way in the record', () => {
  const at = (text: string) => parsePosition(text) ?? new Map();
  const upTo = at('0-1-104');
  const fill = {
    donor: { kind: 'Sibling', pod: 'orders-1' },
    dial: { host: '10.1.0.2', port: 3306 },
    startedAt: NOW,
    upTo,
    from: at('0-1-100'),
  } as const;
  const move = plan('VipMoved');
  assert.ok(move.proven !== null && move.target !== null);
  const parts = {
    ...move,
    proven: { ...move.proven, proof: 'Filled', gtid: at('0-1-100') },
    target: move.target,
  } as const;
  const filling = planFill({ ...parts, trigger: 'VipMoved', received: new Map() }, fill);
  const moving = { ...move, proven: { ...move.proven, proof: 'TakeoverPoint', gtid: upTo } } as const;
  const now = { wallNow: NOW, vipAnsweredAt: null, startedAt: new Map(), approved: false };
  const step = { step: 'Start', outcome: 'ok', startedAt: NOW, durationMs: 7, detail: '' } as const;
  const done = {
    pod: 'orders-0',
    outcome: 'Done',
    code: null,
    refused: false,
    message: '',
    steps: [step],
    captured: null,
    attachedAt: null,
  } as const;

  test('the intent names the donor, its life and the end, and is read back as it was', () => {
    const open = openHandover(null, picture, [filling], now);
    assert.deepEqual(intendedOf(open).get('orders-0')?.fill, fill);
    for (const kind of ['Member', 'Files'] as const) {
      const other = { ...fill, donor: { kind, member: 'hci-a' } };
      const opened = openHandover(null, picture, [{ ...filling, fill: other }], now);
      assert.deepEqual(intendedOf(opened).get('orders-0')?.fill, other, kind);
    }
    const unreadable = open?.intents.get('orders-0');
    assert.ok(open && unreadable?.fill);
    const broken = { ...unreadable, fill: { ...unreadable.fill, upTo: 'nonsense' } };
    assert.deepEqual([...intendedOf({ ...open, intents: new Map([['orders-0', broken]]) }).keys()], []);
  });

  test('from where the replica stood at first, by the proof Filled', () => {
    const begun = openHandover(null, picture, [filling], now);
    assert.ok(begun);
    const filled = openHandover(enterExecution(begun, { ...done, plan: filling }), picture, [moving], now);
    assert.ok(filled);
    assert.equal(intendedOf(filled).get('orders-0')?.fill, undefined);
    const entry = enterExecution(filled, { ...done, plan: moving, attachedAt: { gtid: upTo, place: null } });
    const told = entry.replicas.get('orders-0');
    assert.deepEqual([told?.proof, told?.from.gtid, told?.to.gtid], ['Filled', '0-1-100', '0-1-104']);
    assert.deepEqual([told?.steps.length, told?.durationMs], [2, 14]);
  });

  test('also where another process moves it', () => {
    const begun = openHandover(null, picture, [filling], now);
    const moved = openHandover(begun, picture, [moving], now);
    assert.ok(moved);
    const entry = enterExecution(moved, { ...done, plan: moving, attachedAt: { gtid: upTo, place: null } });
    const told = entry.replicas.get('orders-0');
    assert.deepEqual([told?.proof, told?.from.gtid, told?.to.gtid], ['Filled', '0-1-100', '0-1-104']);
  });
});
