import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { VERDICTS } from '../../../src/api/reasons.ts';
import type { Verdict } from '../../../src/api/reasons.ts';
import { mayServe } from '../../../src/domain/serving.ts';
import { decide } from '../../../src/domain/verdict.ts';

function serves(verdict: Verdict, serving: boolean, max = 0, age: number | null = 0): boolean {
  return mayServe(decide('r0', verdict, verdict, ''), { serving, stalenessSeconds: age }, max);
}

const OUT: readonly Verdict[] = ['Diverged', 'Ahead', 'LocalConflict', 'Unproven', 'Unseeded', 'Reseeding'];
const IN: readonly Verdict[] = ['Following', 'CatchingUp'];

describe('the read Service', () => {
  for (const verdict of VERDICTS) {
    const [before, after] = [serves(verdict, true), serves(verdict, false)];
    if (OUT.includes(verdict)) test(`${verdict} leaves it`, () => assert.deepEqual([before, after], [false, false]));
    else if (IN.includes(verdict)) test(`${verdict} is in it`, () => assert.deepEqual([before, after], [true, true]));
    else test(`${verdict} changes nothing`, () => assert.deepEqual([before, after], [true, false]));
  }

  test('a source that cannot be reached empties nothing', () => {
    assert.equal(serves('Waiting', true), true);
    assert.equal(serves('Unreachable', true), true);
  });

  test('over the limit of the user it leaves, and an unknown age is over it', () => {
    assert.equal(serves('Following', true, 30, 31), false);
    assert.equal(serves('Following', true, 30, 30), true);
    assert.equal(serves('Waiting', true, 30, null), false);
    assert.equal(serves('Waiting', true, 0, null), true);
  });
});
