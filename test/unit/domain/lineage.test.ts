import assert from 'node:assert/strict';
import { test } from 'node:test';
import { endWithAllOf, looksAt, newLineage, rememberMember } from '../../../src/domain/lineage.ts';
import type { MemberMemory } from '../../../src/domain/memory.ts';
import { look, state, WALL } from './pair-fixture.ts';

const END = { file: 'b-bin.000001', position: 99_999_999 };

function written(seq: number) {
  return look('b', 2, {
    links: [],
    end: { file: 'b-bin.000001', position: 1000 + seq * 200 },
    gtidBinlogState: state(`0-1-100,0-2-${100 + seq}`),
  });
}

/** Looks every 13 ms at a server that writes all the time. */
function underLoad(seconds: number): MemberMemory {
  let memory = newLineage('b', written(1), WALL);
  for (let ms = 13, seq = 2; ms < seconds * 1000; ms += 13, seq += 1) {
    memory = rememberMember(memory, 'b', written(seq), WALL + ms);
  }
  return memory;
}

test('looks at a server under load reach back to its first transactions, and are bounded', () => {
  for (const seconds of [1, 30, 600]) {
    const { anchors } = underLoad(seconds);
    assert.ok(anchors.length <= 64);
    assert.equal(anchors[0]?.at, WALL, `after ${seconds} s`);
    const newest = anchors.at(-1)?.at ?? 0;
    // However old a place is, one is remembered that is at most a quarter older.
    for (const age of [100, 1_000, 10_000, 100_000].filter((one) => one < seconds * 900)) {
      const older = anchors.findLast(({ at }) => newest - at >= age);
      assert.ok(older !== undefined && newest - older.at <= age * 1.25 + 26, `${age} ms ago, of ${seconds} s`);
    }
  }
});

test('where it ended when it had all that a replica shows changes seldom while it writes on', () => {
  const has = state('0-1-100,0-2-110');
  const ends = new Set<number | undefined>();
  let memory = newLineage('b', written(1), WALL);
  for (let seq = 2; seq * 13 < 30_000; seq += 1) {
    memory = rememberMember(memory, 'b', written(seq), WALL + seq * 13);
    if (seq >= 10) ends.add(endWithAllOf(memory, has, END)?.position);
  }
  assert.deepEqual([...ends].slice(0, 2), [undefined, 1000 + 11 * 200], 'the look after the one that saw it');
  assert.ok(ends.size <= 12, `${ends.size} in 2300 looks: each of them is another walk`);
  assert.deepEqual(endWithAllOf(memory, state('0-1-101'), END), END, 'never seen to have it');
});

test('a look that reads its end before what was logged meanwhile covers only what the look before it saw', () => {
  const has = state('0-1-100,0-2-110');
  const raced = { ...written(110), end: END };
  const first = newLineage('b', raced, WALL);
  assert.equal(endWithAllOf(first, has, END), null, 'its end may lie before 0-2-110');
  const idle = rememberMember(first, 'b', { ...raced }, WALL + 250);
  assert.deepEqual(endWithAllOf(idle, has, END), END, 'a second look ends there too');
  const further = { file: END.file, position: END.position + 200 };
  const next = rememberMember(first, 'b', { ...raced, end: further }, WALL + 250);
  assert.deepEqual(endWithAllOf(next, has, END), further);
});

test('the last look as a standby counts too, after a restart of mxr', () => {
  const memory = underLoad(1);
  const [first] = memory.anchors;
  assert.ok(first);
  const lastStandby = { ...first, at: WALL - 60_000, binlogState: state('0-1-100') };
  const remembered = { ...memory, anchors: memory.anchors.slice(-1), lastStandby };
  assert.deepEqual(
    looksAt(remembered).map(({ at }) => at),
    [WALL - 60_000, memory.anchors.at(-1)?.at],
  );
});

test('a look whose end was read before the first transaction of a new holder, and its state after, replaces no other', () => {
  const rest = look('b', 2, { end: { file: 'b-bin.000001', position: 900 }, gtidBinlogState: state('0-1-100') });
  const wrote = { ...rest, gtidBinlogState: state('0-1-100,0-2-101') };
  const memory = rememberMember(newLineage('b', rest, WALL), 'b', wrote, WALL + 10);
  const seen = looksAt(memory).map(({ binlogState, end }) => [binlogState, end.position]);
  assert.deepEqual(seen, [
    [state('0-1-100'), 900],
    [state('0-1-100,0-2-101'), 900],
  ]);
});
