import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judge } from '../../../src/domain/judge.ts';
import type { Question } from '../../../src/domain/evidence.ts';
import { questionKey } from '../../../src/domain/evidence.ts';
import type { Picture } from '../../../src/domain/judge.ts';
import type { MemberMemory, Memory } from '../../../src/domain/memory.ts';
import type { Observation } from '../../../src/domain/observation.ts';
import { NEW_PAIR } from '../../../src/domain/situation.ts';
import { calmPair, POLICY } from './pair-fixture.ts';

const pair = calmPair();

function asksForVip(change: (b: MemberMemory) => Partial<MemberMemory>): boolean {
  return vipQuestions(change, pair.observation).length > 0;
}

function vipQuestions(
  change: (b: MemberMemory) => Partial<MemberMemory>,
  observation: Observation,
): readonly Question[] {
  const { questions } = pass(memoryWith(change), observation);
  return questions.filter((question) => question.kind === 'LiveLook' && question.target === 'vip');
}

function memoryWith(change: (b: MemberMemory) => Partial<MemberMemory>): Memory {
  const b = pair.memory.members.get('b');
  assert.ok(b);
  // The looks of the fixture were remembered already; this memory is of looks before them.
  const { lastLook: _, ...unseen } = b;
  return { ...pair.memory, members: new Map([...pair.memory.members, ['b', { ...unseen, ...change(b) }] as const]) };
}

function pass(memory: Memory, observation: Observation): Picture {
  return judge({
    policy: POLICY,
    observation,
    memory,
    pair: { ...NEW_PAIR, holder: 'a', situation: 'Stable', silent: false },
    evidence: new Map(),
    busy: new Map(),
    actedAt: new Map(),
    intended: new Map(),
    relink: new Set(),
    approved: new Set(),
    failures: new Map(),
  });
}

test('a member that was never known to be a standby is one once the VIP was seen elsewhere after it follows', () => {
  assert.ok(asksForVip(() => ({ lastStandby: null, anchors: [] })));
});

test('so is one that has held the VIP since it was a standby last', () => {
  const held = ({ anchors }: MemberMemory): Partial<MemberMemory> => {
    const [first] = anchors;
    assert.ok(first);
    const old = { ...first, at: first.at - 60_000, binlogState: new Map() };
    return { lastStandby: old, anchors: [old, { ...first, standby: null, at: first.at - 30_000 }] };
  };
  assert.ok(asksForVip(held));
});

test('one that was a standby all the time is not asked for again and again', () => {
  assert.ok(!asksForVip(({ anchors }) => ({ lastStandby: anchors.at(-1) ?? null })));
});

test('passes that see nothing new of it ask nothing new: a hundred resources that begin would dial thousands of times', () => {
  const isNew = (): Partial<MemberMemory> => ({ lastStandby: null, anchors: [] });
  const later = { ...pair.observation, now: pair.observation.now + 3, wallNow: pair.observation.wallNow + 3 };
  const [first, second] = [vipQuestions(isNew, pair.observation), vipQuestions(isNew, later)];
  assert.deepEqual(second.map(questionKey), first.map(questionKey));
});

test('the answer counts whatever passes were between: the same look at the member does not become newer by them', () => {
  const { observation } = pair;
  const later = (ms: number): Observation => ({
    ...observation,
    now: observation.now + ms,
    wallNow: observation.wallNow + ms,
  });
  const first = pass(
    memoryWith(() => ({ lastStandby: null, anchors: [] })),
    observation,
  );
  const between = pass(first.memory, later(20));
  const { look } = observation.vip;
  assert.ok(look.known);
  const answered = { ...later(30), vip: { ...observation.vip, look: { ...look, at: observation.now + 10 } } };

  const { memory } = pass(between.memory, answered);

  assert.notEqual(memory.members.get('b')?.lastStandby ?? null, null);
});
