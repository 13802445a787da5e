import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { NO_TIME } from '../../chaos/phases.ts';
import type { RunResult } from '../../chaos/run-plan.ts';
import { isFailed } from '../../chaos/run-plan.ts';
import { merged, page, rowOf, rowsIn, sourceIn, totalsOf, totalsText } from '../../chaos/table.ts';

const FOLLOWS = { verdict: 'Following', reason: 'Following', outcome: 'right', lost: 0, doubled: 0, why: '' } as const;
const GOOD: RunResult = {
  seed: 3,
  configuration: 'standby by gtid, lsu 1/1',
  faults: ['flap (+0.1, 2.0 s)', 'kill-operator (+3.0, 1.5 s)', 'api-down (+0.4, 2.2 s)'],
  seconds: 31.4,
  phases: NO_TIME,
  legal: true,
  ended: [
    { ...FOLLOWS, replica: 'r1' },
    { ...FOLLOWS, replica: 'r2', verdict: 'Unproven', reason: 'NotPrefix', outcome: 'refused' },
  ],
  unplanned: [],
  changes: 0,
  void: '',
  broken: '',
  kept: '',
};
const SILENT: RunResult = {
  ...GOOD,
  seed: 1,
  legal: false,
  ended: [{ ...FOLLOWS, replica: 'r1', outcome: 'silent', lost: 4, doubled: 2 }],
};

describe('the table', () => {
  it('is read again as it was written, keyed by seed', () => {
    const rows = [GOOD, SILENT].map(rowOf);
    const text = page(merged([], rows), 'abc123');
    assert.equal(sourceIn(text), 'abc123');
    assert.deepEqual(
      rowsIn(text),
      rows.toSorted((one, other) => one.seed - other.seed),
    );
    const again = merged(rowsIn(text), [rowOf({ ...SILENT, ended: [] })]);
    assert.deepEqual(
      again.map(({ seed, ended }) => [seed, ended.length]),
      [
        [1, 0],
        [3, 2],
      ],
    );
  });

  it('counts lost, doubled and silent, and the share of each verdict', () => {
    const totals = totalsOf([GOOD, SILENT].map(rowOf));
    assert.deepEqual(
      [totals.runs, totals.faults, totals.replicas, totals.lost, totals.doubled, totals.failed, totals.following],
      [2, 6, 3, 4, 2, 1, 33],
    );
    assert.deepEqual([totals.legalRuns, totals.legalFollowing, totals.legalReplicas], [1, 1, 2]);
    const text = totalsText([GOOD, SILENT].map(rowOf));
    assert.match(text, /\| 2 \| 6 \| 3 \| 4 \| 2 \| 1 \| 0 \| 0 \| 0 \| 1 \|/);
    assert.match(text, /\| Unproven\/NotPrefix \| 1 \| 33\.3 % \|/);
  });

  it('a run fails for a silent, an untrue and a denied replica, and for itself; not for a true refusal', () => {
    assert.equal(isFailed(GOOD), false);
    assert.equal(isFailed(SILENT), true);
    for (const outcome of ['untrue', 'denied'] as const) {
      assert.equal(isFailed({ ...GOOD, ended: [{ ...FOLLOWS, replica: 'r1', outcome }] }), true);
    }
    assert.equal(isFailed({ ...GOOD, broken: 'no bench' }), true);
    assert.equal(rowOf({ ...GOOD, ended: [], void: 'nobody holds the VIP' }).state, 'void');
  });
});
