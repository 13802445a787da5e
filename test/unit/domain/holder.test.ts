import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { known, unknown } from '../../../src/domain/fact.ts';
import { findHolder } from '../../../src/domain/holder.ts';
import type { Memory } from '../../../src/domain/memory.ts';
import type { MemberObservation, Observation, VipLook } from '../../../src/domain/observation.ts';
import { calmPair, down, holderLook, look, memberAt, NOW, published, withPublisher } from './pair-fixture.ts';

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

describe('what publishers say, where only the VIP is routed', () => {
  const holding = holderLook();
  const behind = { identity: holding.identity, look: holding };
  const [noA, noB] = [down('a', '10.0.0.11'), down('b', '10.0.0.12')];
  const [saysHeld, saysNot] = [published(holding), published(b)];
  const both = [withPublisher(noA, saysHeld), withPublisher(noB, saysNot)];

  function why(observation: Observation): string {
    const found = findHolder(observation, NOTHING);
    return found.kind === 'NoneOfTheMembers' ? found.why : found.kind;
  }

  function ofA(change: Parameters<typeof published>[1], at?: number): Observation {
    return seen(behind, [withPublisher(noA, published(holding, change, at), at), withPublisher(noB, saysNot)]);
  }

  test('the one whose host has the VIP and whose server it is', () => {
    assert.equal(nameOf(seen(behind, both)), 'a by Publisher');
    assert.equal(nameOf(seen(behind, [withPublisher(noA, saysHeld), noB])), 'a by Publisher');
    assert.equal(nameOf(seen(behind, [noA, withPublisher(noB, saysNot)])), 'NoneOfTheMembers', 'not by exclusion');
  });

  test('a start time computed a second apart is the same start, another life is not', () => {
    const { identity } = saysHeld;
    assert.ok(identity !== null);
    const startedAt = (ms: number) => ({ identity: { ...identity, startedAt: identity.startedAt + ms } });
    assert.equal(nameOf(ofA(startedAt(900))), 'a by Publisher');
    assert.match(
      why(ofA(startedAt(60_000))),
      /publisher of a says that its host has the VIP, but it speaks of another/,
    );
  });

  test('each part of the identity counts; a data directory only where it is told', () => {
    const { identity } = saysHeld;
    assert.ok(identity !== null);
    for (const other of [{ hostname: 'z' }, { serverUid: 'z' }, { serverId: 9 }, { port: 9 }, { datadir: '/z/' }]) {
      assert.equal(nameOf(ofA({ identity: { ...identity, ...other } })), 'NoneOfTheMembers', JSON.stringify(other));
    }
    assert.equal(nameOf(ofA({ identity: { ...identity, datadir: '' } })), 'a by Publisher');
    assert.equal(nameOf(ofA({ identity: null })), 'NoneOfTheMembers');
  });

  test('nothing from before the VIP answers as it does now', () => {
    const since = NOW - 60_000;
    assert.match(why(ofA({ ageMs: 60_000 })), /its database has not answered it since/);
    assert.equal(nameOf(ofA({ ageMs: 59_000 })), 'a by Publisher');
    assert.match(why(ofA({ databaseAnswers: false })), /its database has not answered it since/);
    assert.match(why(ofA({ ageMs: null })), /its database has not answered it since/);
    // An old answer does not even claim.
    assert.match(why(ofA({}, since - 1)), /none of the members/);
  });

  test('a publisher that says no, or does not know, names nobody', () => {
    assert.match(why(ofA({ vipHeld: false })), /none of the members/);
    assert.match(why(ofA({ vipHeld: null })), /none of the members/);
  });

  test('two that claim the VIP name nobody, and no match settles it', () => {
    const clones = [withPublisher(noA, saysHeld), withPublisher(noB, published(holding, { member: 'b' }))];
    assert.match(why(seen(behind, clones)), /publishers of a and b each say/);
    const otherServer = [withPublisher(noA, saysHeld), withPublisher(noB, { ...saysNot, vipHeld: true })];
    assert.match(why(seen(behind, otherServer)), /publishers of a and b each say/);
    const matched = clones.map((member) => ({ ...member, match: { hostname: member.name, serverId: 0 } }));
    assert.match(why(seen(behind, matched)), /publishers of a and b each say/);
  });

  test('it never overrules the lock, a direct look, or an identity that was seen before', () => {
    const lies = withPublisher(noB, published(holding, { member: 'b' }));
    const members = [memberAt('a', '10.0.0.11', holding), lies];
    assert.equal(nameOf(seen({ ...behind, lockOwners: { a: 7, b: null } }, members)), 'a by Lock');
    const { memory } = calmPair();
    assert.equal(nameOf(seen(behind, [noA, lies]), memory), 'a by Identity');
    // b answers on its own address, without its lock, and is another server than the one behind the VIP.
    const noLock = { ...withPublisher(atB, published(holding, { member: 'b' })), lockHeldBy: null };
    assert.match(why(seen(behind, [noA, noLock])), /b itself answers/);
    // b's lock says that it is not the one: its publisher is not asked.
    const proven = [withPublisher(noA, saysHeld), withPublisher(atB, published(holding, { member: 'b' }))];
    assert.equal(nameOf(seen({ ...behind, lockOwners: { b: null } }, proven)), 'a by Publisher');
  });

  test('it makes no member of a server that was another one before, restarted or not', () => {
    const { memory, a: before } = calmPair();
    const anew = { ...holding, identity: { ...before.identity, startedAt: before.identity.startedAt + 60_000 } };
    const asked = { identity: anew.identity, look: anew };
    const lies = withPublisher(noB, published(anew, { member: 'b' }));
    const found = findHolder(seen(asked, [noA, lies]), memory);
    assert.match(found.kind === 'NoneOfTheMembers' ? found.why : found.kind, /was a before, and is only started anew/);
    assert.equal(nameOf(seen(asked, [withPublisher(noA, published(anew)), noB]), memory), 'a by Publisher');
    // Nobody knows yet who is who.
    assert.equal(nameOf(seen(asked, [noA, lies])), 'b by Publisher');
  });

  test('with match it must agree', () => {
    const matching = (hostname: string) => ({ match: { hostname, serverId: 0 } });
    const agreeing = [withPublisher({ ...noA, ...matching('a') }, saysHeld), noB];
    assert.equal(nameOf(seen(behind, agreeing)), 'a by Publisher');
    const other = [withPublisher(noA, saysHeld), { ...noB, ...matching('a') }];
    assert.match(why(seen(behind, other)), /publisher of a says that its host has the VIP, and match names b/);
    const own = [withPublisher({ ...noA, ...matching('z') }, saysHeld), noB];
    assert.match(why(seen(behind, own)), /not what match says of a/);
    const stale = withPublisher({ ...noA, ...matching('a') }, published(holding, { ageMs: 60_000 }));
    assert.equal(nameOf(seen(behind, [stale, noB])), 'a by Match');
  });

  test('one that runs beside another member of the resource is not believed', () => {
    assert.match(why(ofA({ member: 'b' })), /it runs beside b: correct members\[\]\.publisher\.url of a/);
    assert.equal(nameOf(ofA({ member: 'db1.example' })), 'a by Publisher', 'a name that is nobody');
  });

  test('whatever they say, who is known without them stays the holder, and nobody is named by a contradiction', () => {
    const said = fc.option(
      fc.record({
        of: fc.constantFrom(holding, b),
        vipHeld: fc.constantFrom(true, false, null),
        databaseAnswers: fc.boolean(),
        ageMs: fc.constantFrom(0, 59_000, 120_000, null),
        at: fc.constantFrom(NOW, NOW - 120_000),
        member: fc.constantFrom('a', 'b', 'z'),
      }),
    );
    type Said = typeof said extends fc.Arbitrary<infer T> ? T : never;
    const told = (member: MemberObservation, one: Said): MemberObservation =>
      one === null ? member : withPublisher(member, published(one.of, one, one.at), one.at);
    const { memory } = calmPair();
    fc.assert(
      fc.property(said, said, (ofA, ofB) => {
        const known = seen({ ...behind, lockOwners: { a: 7 } }, [
          told(memberAt('a', '', holding), ofA),
          told(noB, ofB),
        ]);
        assert.equal(nameOf(known), 'a by Lock');
        assert.equal(nameOf(seen(behind, [told(noA, ofA), told(noB, ofB)]), memory), 'a by Identity');
        const name = nameOf(seen(behind, [told(noA, ofA), told(noB, ofB)]));
        if (name === 'NoneOfTheMembers') return;
        const [named, other] = name === 'a by Publisher' ? [ofA, ofB] : [ofB, ofA];
        assert.ok(named !== null && named.vipHeld === true && named.databaseAnswers && named.of === holding);
        assert.ok(named.at === NOW && named.ageMs !== null && named.ageMs <= 59_000);
        assert.ok(other === null || other.vipHeld !== true || other.at !== NOW);
      }),
    );
  });

  test('tells two members apart that were one server to all that is remembered', () => {
    const { memory } = calmPair();
    const a = memory.members.get('a');
    assert.ok(a !== undefined);
    const clones = { ...memory, members: new Map([...memory.members, ['b', { ...a, name: 'b' }]]) };
    assert.equal(nameOf(seen(behind, [noA, noB]), clones), 'NoneOfTheMembers');
    assert.equal(nameOf(seen(behind, both), clones), 'a by Publisher');
  });
});

test('nobody answers: silent, not unknown', () => {
  const { observation } = calmPair();
  const look = unknown('Deadline', 'no answer', NOW);
  assert.equal(nameOf({ ...observation, vip: { ...observation.vip, look } }), 'Silent');
});
