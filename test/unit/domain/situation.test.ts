import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { known, NOT_ASKED_YET, unknown } from '../../../src/domain/fact.ts';
import type { Memory } from '../../../src/domain/memory.ts';
import type { Observation } from '../../../src/domain/observation.ts';
import type { PairMemory } from '../../../src/domain/situation.ts';
import { diagnosePair, NEW_PAIR } from '../../../src/domain/situation.ts';
import {
  calmPair,
  down,
  link,
  memberAt,
  NOW,
  POLICY,
  position,
  replicaAt,
  replicaMemory,
  state,
} from './pair-fixture.ts';

const CALM: PairMemory = { ...NEW_PAIR, holder: 'a', silent: false, situation: 'Stable' };

function situation(change: Partial<Observation>, over: { memory?: Memory; pair?: PairMemory } = {}): string {
  const { observation, memory } = calmPair();
  const input = {
    observation: { ...observation, ...change },
    memory,
    pair: CALM,
    policy: POLICY,
    approved: new Set<string>(),
  };
  return diagnosePair({ ...input, ...over }).situation;
}

function silent(failures: number, code = 'Deadline'): Partial<Observation> {
  const vip = { look: unknown(code, 'no answer', NOW), failures, silentSince: NOW, answersSince: null };
  return { vip };
}

/** The VIP on b, which is seen as given. */
function onB(b: Parameters<typeof calmPair>[0]): Partial<Observation> {
  const pair = calmPair(b);
  const members = [memberAt('a', '10.0.0.11', pair.a), memberAt('b', '10.0.0.12', pair.b)];
  const seen = { identity: pair.b.identity, readOnly: pair.b.readOnly, lockOwners: { a: null, b: 7 }, look: null };
  return { members, vip: { look: known(seen, NOW - 5), failures: 0, silentSince: null, answersSince: NOW } };
}

test('calm is Stable', () => assert.equal(situation({}), 'Stable'));

describe('silence', () => {
  test('is two failed probes', () => {
    assert.equal(situation(silent(1)), 'Stable');
    assert.equal(situation(silent(2)), 'VipSilent');
  });

  test('or one while the IO thread of an adopted replica is not Yes', () => {
    const { observation } = calmPair({ replica: { links: [link({ io: 'Connecting' })] } });
    const change = { ...silent(1), replicas: observation.replicas };
    assert.equal(situation(change), 'VipSilent');
    const strangers = {
      members: calmPair().memory.members,
      replicas: new Map([['orders-0', replicaMemory('orders-0', { baseline: null })]]),
    };
    assert.equal(situation(change, { memory: strangers }), 'Stable', 'a stranger says nothing');
  });

  test('is DatabaseDown where the host refuses the connection', () => {
    assert.equal(situation(silent(2, 'ConnectionRefused')), 'DatabaseDown');
  });

  test('is AllDown where no member answers either', () => {
    const members = [down('a', '10.0.0.11'), down('b', '10.0.0.12')];
    assert.equal(situation({ ...silent(2), members }), 'AllDown');
  });
});

describe('the holder', () => {
  test('that is another than a baseline names has taken over', () => {
    assert.equal(situation(onB({ b: { readOnly: false, links: [] } })), 'VipMoved');
  });

  test('that is read-only is not promoted yet', () => {
    assert.equal(situation(onB({ b: { links: [] } })), 'HolderReadOnly');
  });

  test('that still applies what it received mixes two histories', () => {
    const applying = link({ host: '10.0.0.11', io: 'No', sqlState: 'Reading event', gtidIoPos: position('0-1-120') });
    assert.equal(situation(onB({ b: { readOnly: false, links: [applying] } })), 'HolderStillApplying');
  });

  test('that had caught up, and takes in what its peer goes on writing, is no other case at each look', () => {
    const applying = link({ host: '10.0.0.11', sqlState: 'Reading event', gtidIoPos: position('0-1-120') });
    const b = { readOnly: false, links: [applying] };
    const seen = (holder: string, before: 'VipMoved' | 'HolderStillApplying') =>
      situation(onB({ b }), { pair: { ...CALM, holder, situation: before } });
    assert.equal(seen('b', 'VipMoved'), 'VipMoved');
    assert.equal(seen('b', 'HolderStillApplying'), 'HolderStillApplying', 'it had not yet');
    assert.equal(seen('a', 'VipMoved'), 'HolderStillApplying', 'another one had');
  });

  test('that only gets its own transactions back from its peer applies nothing', () => {
    const ring = link({
      host: '10.0.0.11',
      sqlState: 'Reading event from the relay log',
      gtidIoPos: position('0-2-120'),
    });
    const b = {
      readOnly: false,
      links: [ring],
      gtidSlavePos: position('0-2-118'),
      gtidBinlogState: state('0-1-100,0-2-120'),
    };
    assert.equal(situation(onB({ b })), 'VipMoved');
    const newer = { ...b, gtidBinlogState: state('0-1-100,0-2-119') };
    assert.equal(situation(onB({ b: newer })), 'VipMoved', 'written since its binlog was read');
    const others = { ...b, gtidSlavePos: position('0-1-100') };
    assert.equal(situation(onB({ b: others })), 'HolderStillApplying', 'of its peer there may be more before them');
  });

  test('that has the server id of its peer may get the other one back', () => {
    const ring = link({ host: '10.0.0.11', sqlState: 'Reading event', gtidIoPos: position('0-2-120') });
    const gtidSlavePos = position('0-2-118');
    const b = { readOnly: false, links: [ring], gtidSlavePos, gtidBinlogState: state('0-2-119') };
    const { memory } = calmPair();
    const a = memory.members.get('a');
    assert.ok(a);
    const twin = { ...a, identity: { ...a.identity, serverId: 2 } };
    const twins = { ...memory, members: new Map([...memory.members, ['a', twin]]) };
    assert.equal(situation(onB({ b })), 'VipMoved');
    assert.equal(situation(onB({ b }), { memory: twins }), 'HolderStillApplying');
  });

  test('that started again is proven before anything rests on it', () => {
    const { a } = calmPair();
    const identity = { ...a.identity, startedAt: a.identity.startedAt + 60_000 };
    const { observation } = calmPair({ a: { identity } });
    const seen = { identity, readOnly: false, lockOwners: { a: 7, b: null }, look: null };
    const vip = { look: known(seen, NOW - 5), failures: 0, silentSince: null, answersSince: NOW };
    assert.equal(situation({ members: observation.members, vip }), 'HolderRestarted');
  });

  test('that is none of the members is unknown', () => {
    const { b } = calmPair();
    const seen = {
      identity: { ...b.identity, hostname: 'other', serverUid: 'other' },
      readOnly: false,
      lockOwners: { a: null, b: null },
      look: null,
    };
    const vip = { look: known(seen, NOW - 5), failures: 0, silentSince: null, answersSince: NOW };
    assert.equal(situation({ vip }), 'HolderUnknown');
  });
});

describe('no split', () => {
  test('a standby that is writable and writes nothing', () => {
    const { observation } = calmPair({ b: { readOnly: false } });
    assert.equal(situation({ members: observation.members }), 'Stable');
  });

  test('a broken link between the members', () => {
    const { observation } = calmPair({ b: { links: [link({ io: 'Connecting' })] } });
    assert.equal(situation({ members: observation.members }), 'Stable');
  });

  test('a move after a silence', () => {
    const pair = { ...CALM, silent: true, situation: 'VipSilent' as const };
    assert.equal(situation(onB({ b: { readOnly: false, links: [] } }), { pair }), 'VipMoved');
  });
});

test('a picture is complete once everything has answered or failed once', () => {
  const { observation, memory } = calmPair();
  const complete = (change: Partial<Observation>) =>
    diagnosePair({
      observation: { ...observation, ...change },
      memory,
      pair: CALM,
      policy: POLICY,
      approved: new Set(),
    }).complete;
  const [replica] = observation.replicas;
  assert.ok(replica);
  assert.equal(complete({}), true);
  assert.equal(complete({ members: [down('a', '10.0.0.11'), down('b', '10.0.0.12')] }), true);
  assert.equal(complete({ replicas: [{ ...replica, look: NOT_ASKED_YET }] }), false);
  assert.equal(complete({ replicas: [replicaAt('r', '10.1.0.9', calmPair().b)] }), true);
});
