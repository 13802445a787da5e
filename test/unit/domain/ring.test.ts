import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MemberMemory } from '../../../src/domain/memory.ts';
import type { ProofInput } from '../../../src/domain/proof.ts';
import { gaveOnlyItsOwn, handedBack, isOwn } from '../../../src/domain/ring.ts';
import type { StandbyLook } from '../../../src/domain/takeover-published.ts';
import { calmPair, position, state } from './pair-fixture.ts';

interface Changes {
  readonly hasOwnId?: boolean;
  readonly source?: Partial<MemberMemory>;
  readonly unreachable?: boolean;
  /** gtid_binlog_state of the old holder. */
  readonly logged?: string;
}

/** A proof against b (id 2), which applied 0-1-100 of a and went on as 0-2-101. */
function inputOf({
  hasOwnId = true,
  source = {},
  unreachable = false,
  logged = '0-1-100,0-2-120',
}: Changes): ProofInput {
  const pair = calmPair({ a: { gtidBinlogState: state(logged) } });
  const [a] = pair.observation.members;
  const { holder } = pair.diagnosis;
  const memory = pair.memory.members.get('a');
  assert.ok(a !== undefined && holder !== null && memory !== undefined);
  const replica = { contains: state('0-1-100') } as ProofInput['replica'];
  const target = { ...pair.a, identity: { ...pair.a.identity, serverId: 2 }, gtidSlavePos: position('0-2-120,7-1-9') };
  const sourceObserved = unreachable ? undefined : a;
  return { replica, holder, target, hasOwnId, source: { ...memory, ...source }, sourceObserved } as ProofInput;
}

function gave(changes: Changes, covers = true): string {
  const answer = gaveOnlyItsOwn(inputOf(changes), () => covers);
  return typeof answer === 'string' ? answer : answer.questions.map(({ kind }) => kind).join();
}

test('an old holder that has nothing but what the replica has and what the target wrote', () => {
  assert.equal(gave({}), 'Yes');
});

test('it has more, or cannot be believed: then nothing is said of what the target had applied', () => {
  assert.equal(gave({ logged: '0-1-101,0-2-120' }), 'No');
  assert.equal(gave({ logged: '0-1-100,0-2-120,0-3-50' }), 'No');
  assert.equal(gave({ source: { inQuestion: true } }), 'No');
  assert.equal(gave({ unreachable: true }), 'No');
});

test('under one server id for both, a number does not say who wrote it', () => {
  assert.equal(gave({ hasOwnId: false }), 'No');
  assert.equal(isOwn(inputOf({ hasOwnId: false }), { domain: 0, serverId: 2, seq: 120n }), false);
});

test('a look at it that is older than what the target has read is made again', () => {
  assert.equal(gave({}, false), 'LiveLook');
});

test('what it wrote before it took over came back then, and hides nothing', () => {
  const standby = (binlogState: string): StandbyLook => ({ binlogState: state(binlogState) }) as StandbyLook;
  assert.deepEqual(handedBack(inputOf({}), standby('')), [{ domain: 0, serverId: 2, seq: 120n }]);
  assert.deepEqual(handedBack(inputOf({}), standby('0-2-120')), []);
});
