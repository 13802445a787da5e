import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Decision } from '../../../src/domain/verdict.ts';
import { decideReplica } from '../../../src/domain/decide.ts';
import { anchorOf, newLineage, rememberMember } from '../../../src/domain/lineage.ts';
import type { MemberMemory } from '../../../src/domain/memory.ts';
import type { Link, Observation, ServerLook } from '../../../src/domain/observation.ts';
import type { Diagnosis } from '../../../src/domain/situation.ts';
import { NEW_PAIR } from '../../../src/domain/situation.ts';
import { calmPair, holderLook, link, look, memberAt, NOW, POLICY, position, replicaMemory } from './pair-fixture.ts';
import type { Pair } from './pair-fixture.ts';
import { state, WALL } from './pair-fixture.ts';

interface Case {
  readonly diagnosis?: Partial<Diagnosis>;
  readonly replica?: Partial<ServerLook>;
  readonly b?: Partial<ServerLook>;
  readonly answersSince?: number;
  readonly lostTail?: Pick<MemberMemory, 'restart' | 'broken'>;
}

/** The replica followed a; what is diagnosed is part of each case. */
function decided(change: Case, holderAt: 'a' | 'b' = 'a'): Decision {
  const pair = calmPair({ ...(change.b === undefined ? {} : { b: change.b }), replica: change.replica ?? {} });
  const source = pair.memory.members.get('a');
  const memory = replicaMemory('orders-0');
  assert.ok(source && memory.baseline);
  const known = { ...memory, baseline: { ...memory.baseline, lineage: source.lineage } };
  const b = { member: memberAt('b', '10.0.0.12', pair.b), knownBy: 'Lock', look: pair.b, lookAt: NOW - 10 } as const;
  const moved: Diagnosis = {
    situation: 'VipMoved',
    message: '',
    holder: { ...b, readOnly: false },
    complete: true,
    split: null,
    applying: null,
  };
  const vip = { ...pair.observation.vip, answersSince: change.answersSince ?? NOW - 60_000 };
  const observation: Observation = { ...pair.observation, vip };
  const input = {
    policy: POLICY,
    observation,
    diagnosis: { ...(holderAt === 'b' ? moved : pair.diagnosis), ...change.diagnosis },
    memory: { members: withStandby(pair, change.lostTail), replicas: new Map([['orders-0', known]]) },
    evidence: new Map(),
    busy: new Map(),
    actedAt: new Map(),
    intended: new Map(),
    pair: NEW_PAIR,
    relink: new Set<string>(),
    approved: new Set<string>(),
  };
  const [observed] = observation.replicas;
  assert.ok(observed);
  return decideReplica(input, observed);
}

/** b was last seen as it is now. */
function withStandby(
  { memory, b }: Pair,
  change: Case['lostTail'] = { restart: null, broken: null },
): Pair['memory']['members'] {
  const before = memory.members.get('b');
  assert.ok(before);
  return new Map([...memory.members, ['b', { ...before, ...change, lastStandby: anchorOf(b, WALL) }]]);
}

function onVip(change: Partial<Link>): readonly Link[] {
  return [link({ host: '10.0.0.100', ...change })];
}

const failed = { sql: 'No', sqlErrno: 1062, sqlError: 'Duplicate entry' } as const;

test('a replica whose applier failed does not go on receiving in a split, or through a silent VIP', () => {
  const split = decided({ diagnosis: { situation: 'SplitBrain' }, replica: { links: [link(failed)] } });
  const silent = decided({ diagnosis: { situation: 'VipSilent', holder: null }, replica: { links: onVip(failed) } });
  const calm = decided({ replica: { links: [link(failed)] } });

  assert.deepEqual([split.verdict, split.plan?.kind], ['ApplierFailed', 'StopReceiving']);
  assert.deepEqual([silent.verdict, silent.plan?.kind], ['ApplierFailed', 'StopReceiving']);
  assert.deepEqual([calm.verdict, calm.plan], ['ApplierFailed', null]);
});

test('nothing is proven with a look at the holder from before the VIP answered there', () => {
  const decision = decided({ answersSince: NOW - 5 }, 'b');

  assert.deepEqual(
    decision.questions.map(({ kind }) => kind),
    ['LiveLook'],
  );
  assert.equal(decision.plan, null);
});

test('a standby that applied the coordinates of a third server accuses no replica', () => {
  const exec = { file: 'a-bin.000003', position: 400 };
  const chained = link({ usingGtid: 'No', sourceServerId: 3, read: exec, exec });
  const b = { logSlaveUpdates: false, gtidBinlogState: state(''), gtidBinlogPos: position(''), links: [chained] };
  const decision = decided({ b, replica: { links: [link({ io: 'No' })] } }, 'b');

  assert.deepEqual([decision.verdict, decision.reason], ['Unproven', 'LineageChanged']);
});

test('a second restart within two seconds is a restart', () => {
  const first = holderLook();
  const memory = newLineage('a', first, WALL);
  const again = look('a', 1, { identity: { ...first.identity, startedAt: first.identity.startedAt + 2_000 } });

  assert.equal(rememberMember(memory, 'a', first, WALL).inQuestion, false);
  assert.equal(rememberMember(memory, 'a', again, WALL).inQuestion, true);
});

test('after a lost tail, what the holder got again from others makes no replica Ahead', () => {
  const restart = { file: 'b-bin.000004', survived: state('0-1-90,0-2-120'), later: [] };
  const broken = { reason: 'LostTail', message: 'b-bin.000003 of b has 500 bytes and had 900' } as const;
  const at = (gtid: string, b: string) =>
    decided(
      {
        lostTail: { restart, broken },
        b: { readOnly: false, links: [], gtidSlavePos: position('0-1-100'), gtidBinlogState: state(b) },
        replica: { gtidSlavePos: position(gtid), links: [link({ io: 'No', gtidIoPos: position(gtid) })] },
      },
      'b',
    );

  const gotAgain = at('0-1-100', '0-1-100,0-2-120');
  assert.deepEqual([gotAgain.verdict, gotAgain.reason], ['Unproven', 'LostTail']);
  const givenOutAgain = at('0-2-121', '0-1-100,0-2-125');
  assert.deepEqual([givenOutAgain.verdict, givenOutAgain.reason], ['Ahead', 'LostTail']);
});
