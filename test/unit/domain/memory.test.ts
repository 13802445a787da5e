import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { formatState, isWithin, stateOfPosition } from '../../../src/domain/gtid.ts';
import { newLineage, rememberMember } from '../../../src/domain/lineage.ts';
import { containedByFollowing, sameIncarnation } from '../../../src/domain/memory.ts';
import type { Baseline, MemberMemory } from '../../../src/domain/memory.ts';
import type { ServerLook } from '../../../src/domain/observation.ts';
import { holderLook, look, position, state, WALL } from './pair-fixture.ts';

function after(looks: readonly Partial<ServerLook>[]): MemberMemory {
  const first = newLineage('a', holderLook(), WALL);
  return looks.reduce<MemberMemory>(
    (memory, change, index) => rememberMember(memory, 'a', holderLook(change), WALL + (index + 1) * 1000),
    first,
  );
}

function at(end: number, logged: string): Partial<ServerLook> {
  const file = 'a-bin.000003';
  const last = position(logged.split(',').at(-1) ?? '');
  return {
    end: { file, position: end },
    gtidBinlogState: state(logged),
    gtidBinlogPos: last,
    files: [{ name: file, size: end }],
  };
}

describe('a lineage', () => {
  test('goes on from look to look, and one look is one anchor', () => {
    const memory = after([at(1000, '0-1-101'), at(1000, '0-1-101'), at(1100, '0-1-102')]);
    assert.equal(memory.lineage, newLineage('a', holderLook(), WALL).lineage);
    assert.deepEqual(
      memory.anchors.map(({ end }) => end.position),
      [900, 1000, 1100],
    );
  });

  test('is in question after a restart, and stays so whatever is seen next', () => {
    const identity = { ...holderLook().identity, startedAt: holderLook().identity.startedAt + 60_000 };
    const restarted = after([{ identity }]);
    assert.equal(restarted.inQuestion, true);
    const later = rememberMember(restarted, 'a', holderLook({ ...at(5000, '0-1-150'), identity }), WALL + 9000);
    assert.equal(later.inQuestion, true);
    assert.deepEqual(later.anchors, restarted.anchors, 'nothing rests on an unproven history');
  });

  for (const [what, change] of [
    ['hostname', { hostname: 'other' }],
    ['server_id', { serverId: 9 }],
    ['server_uid', { serverUid: 'other' }],
    ['datadir', { datadir: '/other/' }],
    ['port', { port: 3307 }],
  ] as const) {
    test(`is in question under another ${what}`, () => {
      assert.equal(after([{ identity: { ...holderLook().identity, ...change } }]).inQuestion, true);
    });
  }

  test('remembers the largest size of each file', () => {
    const memory = after([at(2000, '0-1-110'), at(1500, '0-1-110')]);
    assert.deepEqual(
      memory.files.map(({ size }) => size),
      [2000],
    );
  });

  test('keeps its anchors bounded', () => {
    const many = Array.from({ length: 100 }, (_, index) => at(1000 + index, `0-1-${101 + index}`));
    assert.ok(after(many).anchors.length <= 64);
  });
});

test('another start time is another life of the server', () => {
  const { identity } = look('a', 1);
  assert.ok(sameIncarnation(identity, { ...identity }));
  assert.ok(!sameIncarnation(identity, { ...identity, startedAt: identity.startedAt + 10_000 }));
});

describe('what a replica contains by following', () => {
  const baseline: Baseline = {
    by: 'Adopted',
    member: 'a',
    lineage: 'a@x',
    coordinates: null,
    gtid: position('0-1-100'),
    contains: state('0-1-100'),
    at: WALL,
  };

  test('is everything that the holder had at a look which the replica has reached', () => {
    const holder = after([at(1200, '0-1-101,0-2-90,0-1-102')]);
    assert.equal(formatState(containedByFollowing(baseline, position('0-1-102'), holder)), '0-1-102,0-2-90');
  });

  test('is not what the holder had at a look that the replica has not reached', () => {
    const holder = after([at(1200, '0-1-101,0-2-90,0-1-102')]);
    assert.equal(formatState(containedByFollowing(baseline, position('0-1-101'), holder)), '0-1-101');
  });

  test('never shrinks, and always has the position itself', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 101, max: 130 }), { maxLength: 10 }),
        fc.integer({ min: 100, max: 140 }),
        (seqs, reached) => {
          const holder = after(seqs.toSorted((a, b) => a - b).map((seq) => at(seq * 10, `0-1-${seq}`)));
          const here = position(`0-1-${reached}`);
          const contains = containedByFollowing(baseline, here, holder);
          assert.ok(isWithin(baseline.contains, contains) && isWithin(stateOfPosition(here), contains));
          assert.ok(isWithin(contains, stateOfPosition(here)), 'one server wrote: the position says it all');
        },
      ),
    );
  });
});
