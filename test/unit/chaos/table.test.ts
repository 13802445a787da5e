import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { NO_TIME } from '../../chaos/phases.ts';
import { Results } from '../../chaos/results.ts';
import type { RunResult } from '../../chaos/run-plan.ts';
import { isFailed } from '../../chaos/run-plan.ts';
import {
  again,
  counts,
  failureOf,
  page,
  rangesText,
  rowOf,
  shareFailures,
  totalsOf,
  totalsText,
} from '../../chaos/table.ts';

const FOLLOWS = { verdict: 'Following', reason: 'Following', outcome: 'right', lost: 0, doubled: 0, why: '' } as const;
const GOOD: RunResult = {
  seed: 3,
  configuration: 'standby by gtid, lsu 1/1',
  faults: ['flap (+0.1, 2.0 s)', 'kill-operator (+3.0, 1.5 s)', 'api-down (+0.4, 2.2 s)', 'flap (+0.1, 1.0 s)'],
  made: ['api-down', 'flap', 'kill-operator'],
  seconds: 31.4,
  phases: NO_TIME,
  cpuSeconds: 12,
  legal: true,
  ended: [
    { ...FOLLOWS, replica: 'r1' },
    { ...FOLLOWS, replica: 'r2', verdict: 'Unproven', reason: 'NotPrefix', outcome: 'refused' },
  ],
  unplanned: [],
  void: '',
  broken: '',
  kept: '',
};
const SILENT: RunResult = {
  ...GOOD,
  seed: 1,
  legal: false,
  ended: [{ ...FOLLOWS, replica: 'r1', outcome: 'silent', lost: 4, doubled: 2, why: 'rows are gone' }],
};

describe('the table', () => {
  it('counts lost, doubled and silent, and the share of each verdict', () => {
    const totals = totalsOf([GOOD, SILENT].map(rowOf));
    assert.deepEqual(
      [totals.runs, totals.faults, totals.replicas, totals.lost, totals.doubled, totals.failed, totals.following],
      [2, 6, 3, 4, 2, 1, 33],
    );
    assert.deepEqual([totals.legalRuns, totals.legalFollowing, totals.legalReplicas], [1, 1, 2]);
    const text = totalsText([GOOD, SILENT].map(rowOf));
    assert.match(text, /\| 2 \| 6 \| 3 \| 4 \| 2 \| 1 \| 0 \| 0 \| 0 \| 0 \| 1 \|/);
    assert.match(text, /\| Unproven\/NotPrefix \| 1 \| 33\.3 % \|/);
  });

  it('a run fails for a silent, an untrue, a denied and a restless replica, and for itself; not for a true refusal', () => {
    assert.equal(isFailed(GOOD), false);
    assert.equal(isFailed(SILENT), true);
    for (const outcome of ['untrue', 'denied', 'restless'] as const) {
      assert.equal(isFailed({ ...GOOD, ended: [{ ...FOLLOWS, replica: 'r1', outcome }] }), true);
    }
    assert.equal(isFailed({ ...GOOD, broken: 'no bench' }), true);
    assert.equal(rowOf({ ...GOOD, ended: [], void: 'nobody holds the VIP' }).state, 'void');
  });

  it('shows how each run ended, and of those that failed the seed, what was drawn and why', () => {
    const rows = [GOOD, { ...GOOD, seed: 4 }, { ...GOOD, seed: 6 }, SILENT].map(rowOf);
    const text = page(rows, { trees: 'src/domain@abc', commit: '1a2b3c' });
    assert.match(text, /since commit 1a2b3c \(src\/domain@abc\)\. Seeds: 3-4, 6, 1\./);
    assert.match(text, /\| Following, Unproven\/NotPrefix refused \| 3 \| 3-4, 6 \|/);
    assert.match(
      text,
      /- 1 .*: standby by gtid, lsu 1\/1: flap .* r1 Following silent lost 4 doubled 2\. r1: rows are gone/,
    );
    assert.match(text, /flap 4 of 8, kill-operator 4 of 4, api-down 4 of 4/);
    assert.ok(text.includes(`- 1 (\`${again(1)}\`)`), 'how it is run again');
    assert.equal(rangesText([]), '');
  });
});

describe('a run that counts', () => {
  const FEW: RunResult = { ...GOOD, seed: 9, made: ['flap', 'api-down'] };

  it('had at least three faults that really happened, and left something to judge', () => {
    assert.deepEqual([rowOf(GOOD).made, rowOf(GOOD).unmade], [3, ['flap']]);
    assert.equal(counts(rowOf(GOOD)), true);
    assert.equal(counts(rowOf(FEW)), false);
    assert.equal(counts(rowOf({ ...GOOD, ended: [], void: 'nobody holds the VIP' })), false);
    assert.equal(counts(rowOf({ ...SILENT, made: [] })), true, 'a failure is never set aside');
  });

  it('is told from those with fewer, which add nothing to the counts', () => {
    const rows = [GOOD, FEW, { ...GOOD, seed: 5, ended: [], void: 'nobody holds the VIP' }].map(rowOf);
    const { runs, few, void: voids, replicas, faults, legalRuns } = totalsOf(rows);
    assert.deepEqual([runs, few, voids, replicas, faults, legalRuns], [1, 1, 1, 2, 3, 1]);
    assert.match(totalsText(rows), /Not among the runs: 1 with fewer than 3 faults that really happened, 1 void\./);
    assert.match(page(rows, { trees: '', commit: '' }), /Runs with fewer than 3 of them, .*: 9\./);
  });
});

describe('the failure of a call', () => {
  const REFUSED: RunResult = { ...GOOD, ended: GOOD.ended.filter(({ outcome }) => outcome === 'refused') };
  const many = (count: number, one: RunResult) =>
    Array.from({ length: count }, (_, seed) => rowOf({ ...one, seed: seed + 100 }));

  it('is one run that failed, or too many void ones', () => {
    assert.equal(failureOf(many(12, GOOD), 50), '');
    assert.equal(failureOf([...many(12, GOOD), rowOf(SILENT)], 40), '1 of 13 runs failed');
    const voids = many(4, { ...GOOD, ended: [], void: 'nobody holds the VIP' });
    assert.equal(failureOf([...many(16, GOOD), ...voids], 40), '');
    assert.match(failureOf([...many(15, GOOD), ...voids], 40), /4 of 19 runs left nothing to judge/);
  });

  it('is a share of followers below the floor, where enough were judged to say so', () => {
    assert.match(failureOf(many(10, GOOD), 51), /50 % of 20 replicas ended Following, less than 51 %/);
    assert.equal(failureOf(many(9, GOOD), 51), '');
  });

  it('is not one follower in several runs, however few were judged', () => {
    assert.match(failureOf(many(3, REFUSED), 40), /0 % of 3 replicas/);
    assert.equal(failureOf(many(2, REFUSED), 40), '', 'a seed that is run again may end refused');
    assert.equal(failureOf(many(3, REFUSED), 0), '');
  });

  it('is also what many calls have made of their table', () => {
    const work = mkdtempSync(join(tmpdir(), 'mxr-floor-'));
    const calls = Array.from({ length: 10 }, () => new Results(join(work, 'page.md'), 'one'));
    for (const [seed, results] of calls.entries()) {
      const row = rowOf({ ...GOOD, seed });
      assert.equal(failureOf([row], 51), '');
      results.add(row);
    }
    assert.match(shareFailures(calls[0]?.rows() ?? [], 51).join(), /50 % of 20 replicas/);
    rmSync(work, { recursive: true });
  });
});

describe('the results beside the table', () => {
  const work = mkdtempSync(join(tmpdir(), 'mxr-results-'));
  after(() => rmSync(work, { recursive: true }));
  const fresh = (name: string, trees = 'one'): Results => new Results(join(work, `${name}.md`), trees);

  it('accumulate over calls, each seed once', () => {
    fresh('often').add(rowOf(GOOD));
    fresh('often').add(rowOf({ ...GOOD, seconds: 1 }));
    fresh('often').add(rowOf({ ...GOOD, seed: 2 }));
    assert.deepEqual(
      fresh('often')
        .rows()
        .map(({ seed, seconds }) => [seed, seconds]),
      [
        [2, 31.4],
        [3, 31.4],
      ],
    );
  });

  it('keep a run that failed, whatever the same seed does before or after', () => {
    const results = fresh('failed');
    results.add(rowOf({ ...GOOD, seed: 1 }));
    results.add(rowOf(SILENT));
    results.add(rowOf({ ...GOOD, seed: 1 }));
    assert.deepEqual(
      results.rows().map(({ state, why }) => [state, why]),
      [['FAILED', 'r1: rows are gone']],
    );
  });

  it('of another source are not shown, and lose nothing', () => {
    fresh('source').add(rowOf(GOOD));
    fresh('source', 'two').add(rowOf(SILENT));
    assert.deepEqual(fresh('source').rows(), [rowOf(GOOD)]);
    assert.deepEqual(fresh('source', 'two').rows(), [rowOf(SILENT)]);
  });

  it('survive a line that a crash has torn, and one that is none', () => {
    const results = fresh('torn');
    results.add(rowOf(GOOD));
    writeFileSync(results.file, `${readFileSync(results.file, 'utf8')}{"seed": 1}\n{"trees":"one","see`);
    results.add(rowOf(SILENT));
    assert.deepEqual(
      results.rows().map(({ seed }) => seed),
      [1, 3],
    );
  });
});
