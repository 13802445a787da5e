import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { known, unknown } from '../../../src/domain/fact.ts';
import { findHolder } from '../../../src/domain/holder.ts';
import type { Memory } from '../../../src/domain/memory.ts';
import type { MemberObservation, Observation, VipLook } from '../../../src/domain/observation.ts';
import { calmPair, down, look, memberAt, NOW } from './pair-fixture.ts';

const NOTHING: Memory = { members: new Map(), replicas: new Map() };

function seen(vip: Partial<VipLook>, members: readonly MemberObservation[], vipAt = NOW - 5): Observation {
  const { observation, a } = calmPair();
  const asked = { identity: a.identity, readOnly: false, lockOwners: {}, look: null, ...vip };
  return { ...observation, members, vip: { ...observation.vip, look: known(asked, vipAt) } };
}

function nameOf(observation: Observation, memory = NOTHING): string {
  const found = findHolder(observation, memory);
  return found.kind === 'Found' ? `${found.holder.member.name} by ${found.holder.knownBy}` : found.kind;
}

const a = look('a', 1);
const b = look('b', 2);
const [atA, atB] = [memberAt('a', '10.0.0.11', a), memberAt('b', '10.0.0.12', b)];

describe('by the lock', () => {
  test('the server that knows the lock of a direct session is the one at its other end', () => {
    assert.equal(nameOf(seen({ lockOwners: { a: null, b: 7 }, identity: b.identity }, [atA, atB])), 'b by Lock');
  });

  test('clones with one hostname, uid and server id cannot confuse it', () => {
    const clone = memberAt('b', '10.0.0.12', a);
    assert.equal(nameOf(seen({ lockOwners: { a: null, b: 7 } }, [atA, clone])), 'b by Lock');
  });

  test('a member whose live lock it does not see is not the holder, whatever the server says of itself', () => {
    assert.equal(nameOf(seen({ lockOwners: { a: null, b: null } }, [atA, atB])), 'NoneOfTheMembers');
  });

  test('a lock that was taken after the VIP was asked says nothing', () => {
    const later = memberAt('a', '10.0.0.11', a, NOW);
    assert.equal(nameOf(seen({ lockOwners: { a: null, b: null } }, [later, atB])), 'a by Identity');
  });

  test('another connection with the same lock name is not ours', () => {
    assert.equal(nameOf(seen({ lockOwners: { a: 8, b: null } }, [atA, atB])), 'NoneOfTheMembers');
  });
});

describe('where a member cannot be asked directly', () => {
  const unseen = down('a', '10.0.0.11');

  test('the identity that it had before tells it, its start time included', () => {
    const { memory, a: before } = calmPair();
    assert.equal(nameOf(seen({ identity: before.identity }, [unseen, atB]), memory), 'a by Identity');
    const restarted = { ...before.identity, startedAt: before.identity.startedAt + 60_000 };
    assert.equal(nameOf(seen({ identity: restarted }, [unseen, atB]), memory), 'NoneOfTheMembers');
  });

  test('members[].match names it where only the VIP is routed', () => {
    const named = (member: MemberObservation, hostname: string) => ({ ...member, match: { hostname, serverId: 0 } });
    const pair = [named(down('a', '10.0.0.11'), 'a'), named(down('b', '10.0.0.12'), 'b')];
    const observation = seen({ identity: b.identity, look: b }, pair);
    assert.equal(nameOf(observation), 'b by Match');
    const found = findHolder(observation, NOTHING);
    assert.equal(found.kind === 'Found' && found.holder.look?.identity.hostname, 'b');
  });

  test('a match that fits two members names none', () => {
    const both = [down('a', '10.0.0.11'), down('b', '10.0.0.12')].map((member) => ({
      ...member,
      match: { hostname: '', serverId: 2 },
    }));
    assert.equal(nameOf(seen({ identity: b.identity }, both)), 'NoneOfTheMembers');
  });

  test('an empty match matches nobody', () => {
    const empty = { ...unseen, match: { hostname: '', serverId: 0 } };
    assert.equal(nameOf(seen({}, [empty])), 'NoneOfTheMembers');
  });
});

test('nobody answers: silent, not unknown', () => {
  const { observation } = calmPair();
  const look = unknown('Deadline', 'no answer', NOW);
  assert.equal(nameOf({ ...observation, vip: { ...observation.vip, look } }), 'Silent');
});
