import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Situation, Verdict } from '../../../src/api/reasons.ts';
import { CONDITIONS, SITUATIONS, VERDICTS } from '../../../src/api/reasons.ts';
import type { Condition } from '../../../src/api/status.ts';
import { conditionsOf, setCondition } from '../../../src/domain/conditions.ts';
import type { ConditionsInput, NextCondition } from '../../../src/domain/conditions.ts';
import type { Decision } from '../../../src/domain/verdict.ts';
import { decide } from '../../../src/domain/verdict.ts';
import { WALL } from './pair-fixture.ts';

function input(change: Partial<ConditionsInput> = {}): ConditionsInput {
  return {
    before: [],
    generation: 3,
    wallNow: WALL,
    accepted: { accepted: true, reason: 'Accepted', message: 'everything that the resource names may be used' },
    diagnosis: {
      situation: 'Stable',
      message: 'a holds the VIP',
      holder: null,
      complete: true,
      split: null,
      applying: null,
    },
    decisions: [following('orders-0'), following('orders-1')],
    findings: [],
    maxStalenessSeconds: 0,
    ...change,
  };
}

function following(pod: string, lagSeconds: number | null = 0): Decision {
  return decide(pod, 'Following', 'Following', 'follows a', { lagSeconds });
}

function condition(change: Partial<ConditionsInput>, type: Condition['type']): Condition {
  const found = conditionsOf(input(change)).find((one) => one.type === type);
  assert.ok(found);
  return found;
}

function verdictOf(verdict: Verdict, message = 'what to do'): Decision {
  return decide('orders-1', verdict, verdict, message);
}

function inSituation(situation: Situation): Partial<ConditionsInput> {
  return {
    diagnosis: { situation, message: 'what is seen', holder: null, complete: true, split: null, applying: null },
  };
}

describe('setCondition', () => {
  const next: NextCondition = {
    type: 'Ready',
    status: 'True',
    reason: 'Following',
    message: 'm',
    observedGeneration: 1,
  };
  const first = setCondition([], next, WALL);

  test('adds one that is new, with the time of now', () => {
    assert.deepEqual(first, [{ ...next, lastTransitionTime: '2026-03-01T12:00:00.000Z' }]);
  });

  test('keeps the transition time while the status stays, whatever else changes', () => {
    const [again] = setCondition(
      first,
      { ...next, reason: 'CatchingUp', message: 'n', observedGeneration: 2 },
      WALL + 5000,
    );
    assert.equal(again?.lastTransitionTime, '2026-03-01T12:00:00.000Z');
    assert.deepEqual([again?.reason, again?.message, again?.observedGeneration], ['CatchingUp', 'n', 2]);
  });

  test('moves the transition time with the status', () => {
    const [changed] = setCondition(first, { ...next, status: 'Unknown' }, WALL + 5000);
    assert.equal(changed?.lastTransitionTime, '2026-03-01T12:00:05.000Z');
  });

  test('leaves the others, and their order, alone', () => {
    const two = setCondition(first, { ...next, type: 'Accepted' }, WALL);
    const changed = setCondition(two, { ...next, status: 'False' }, WALL + 1);
    assert.deepEqual(
      changed.map((one) => [one.type, one.status]),
      [
        ['Ready', 'False'],
        ['Accepted', 'True'],
      ],
    );
  });
});

describe('conditionsOf', () => {
  test('says all six, each once, of the generation that was judged', () => {
    const all = conditionsOf(input());
    assert.deepEqual(all.map((one) => one.type).toSorted(), [...CONDITIONS].toSorted());
    for (const one of all) assert.equal(one.observedGeneration, 3);
    for (const one of all) assert.equal(one.status, 'True', one.type);
    for (const one of all) assert.match(one.reason, /^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/);
  });

  test('everything is Unknown before the first complete look', () => {
    const diagnosis = {
      situation: 'Stable',
      message: '',
      holder: null,
      complete: false,
      split: null,
      applying: null,
    } as const;
    const all = conditionsOf(input({ diagnosis, accepted: { accepted: null, reason: 'NotLookedYet', message: '' } }));
    assert.equal(all.length, 6);
    for (const one of all) assert.deepEqual([one.status, one.reason], ['Unknown', 'NotLookedYet'], one.type);
  });

  test('a restart of the operator changes no condition before everything has answered', () => {
    const before = conditionsOf(input());
    const diagnosis = {
      situation: 'VipSilent',
      message: '',
      holder: null,
      complete: false,
      split: null,
      applying: null,
    } as const;
    const decisions = [decide('orders-0', 'Waiting', 'NotLookedYet', '')];
    assert.deepEqual(conditionsOf(input({ before, diagnosis, decisions, wallNow: WALL + 9000 })), before);
  });

  test('nothing stands that nobody looks at: a refused resource makes the rest Unknown', () => {
    const before = conditionsOf(input());
    const accepted = { accepted: false, reason: 'SecretMissing', message: 'Secret orders-source is missing' } as const;
    const all = conditionsOf(input({ before, accepted, diagnosis: null, wallNow: WALL + 1000 }));
    const byType = Object.fromEntries(all.map((one) => [one.type, one]));
    assert.deepEqual([byType['Accepted']?.status, byType['Accepted']?.reason], ['False', 'SecretMissing']);
    assert.equal(byType['Accepted']?.message, 'Secret orders-source is missing');
    assert.equal(byType['Ready']?.status, 'Unknown');
    assert.match(byType['Ready']?.message ?? '', /Secret orders-source is missing/);
  });

  test('Ready is True for Following and CatchingUp only, with the worst verdict as the reason', () => {
    for (const verdict of VERDICTS) {
      const ready = condition({ decisions: [following('orders-0'), verdictOf(verdict)] }, 'Ready');
      assert.equal(ready.status, ['Following', 'CatchingUp'].includes(verdict) ? 'True' : 'False', verdict);
      assert.equal(ready.reason, verdict);
      if (verdict !== 'Following') assert.match(ready.message, /what to do/);
    }
  });

  test('Ready names the worst of several, and how many follow', () => {
    const decisions = [
      following('orders-0'),
      verdictOf('Waiting'),
      decide('orders-2', 'Purged', 'Purged', 'reseed it'),
    ];
    const ready = condition({ decisions }, 'Ready');
    assert.equal(ready.reason, 'Purged');
    assert.equal(ready.message, '1 of 3 follow; orders-2 is Purged: reseed it');
  });

  test('Ready is False without any replica', () => {
    assert.deepEqual(pick(condition({ decisions: [] }, 'Ready')), ['False', 'NoReplicaSelected']);
  });

  test('Ready is False over maxStalenessSeconds, and without a limit never for being late', () => {
    const decisions = [following('orders-0'), decide('orders-1', 'CatchingUp', 'CatchingUp', '', { lagSeconds: 31 })];
    assert.deepEqual(pick(condition({ decisions, maxStalenessSeconds: 30 }, 'Ready')), ['False', 'Stale']);
    assert.deepEqual(pick(condition({ decisions, maxStalenessSeconds: 31 }, 'Ready')), ['True', 'CatchingUp']);
    assert.deepEqual(pick(condition({ decisions }, 'Ready')), ['True', 'CatchingUp']);
  });

  test('an unknown age is not within a limit', () => {
    const decisions = [following('orders-0', null)];
    assert.deepEqual(pick(condition({ decisions, maxStalenessSeconds: 30 }, 'Ready')), ['False', 'Stale']);
    assert.deepEqual(pick(condition({ decisions }, 'Ready')), ['True', 'Following']);
  });

  test('SourceAvailable is False in the four situations of the contract, SourceUnambiguous in SplitBrain', () => {
    for (const situation of SITUATIONS) {
      const silent = ['VipSilent', 'DatabaseDown', 'AllDown', 'HolderUnknown'].includes(situation);
      const available = condition(inSituation(situation), 'SourceAvailable');
      assert.deepEqual(pick(available), [silent ? 'False' : 'True', situation]);
      assert.equal(available.message, 'what is seen');
      const unambiguous = condition(inSituation(situation), 'SourceUnambiguous');
      assert.deepEqual(pick(unambiguous), [situation === 'SplitBrain' ? 'False' : 'True', situation]);
    }
  });

  test('ReplicasIntact is False for the six verdicts of the contract', () => {
    const hurt: readonly Verdict[] = ['Diverged', 'Ahead', 'LocalConflict', 'Purged', 'Behind', 'Unproven'];
    for (const verdict of VERDICTS) {
      const intact = condition({ decisions: [following('orders-0'), verdictOf(verdict)] }, 'ReplicasIntact');
      assert.deepEqual(pick(intact), [hurt.includes(verdict) ? 'False' : 'True', verdict]);
    }
  });

  test('a replica that is hurt is named although another verdict is worse', () => {
    const decisions = [
      decide('orders-0', 'ApplierFailed', 'ApplierFailed', '1062'),
      verdictOf('Behind', 'fill the gap'),
    ];
    const intact = condition({ decisions }, 'ReplicasIntact');
    assert.deepEqual(pick(intact), ['False', 'Behind']);
    assert.match(intact.message, /orders-1 is Behind: fill the gap/);
  });

  test('FailoverReady is False for an error and says what it is; a warning alone leaves it True', () => {
    const warning = { finding: 'SyncBinlogOff', severity: 'warning', subject: 'b', message: 'set it' } as const;
    const lagging = { finding: 'StandbyLagging', severity: 'error', subject: 'b', message: 'b is behind' } as const;
    assert.deepEqual(pick(condition({ findings: [warning] }, 'FailoverReady')), ['True', 'NoFinding']);
    const failover = condition({ findings: [warning, lagging] }, 'FailoverReady');
    assert.deepEqual(pick(failover), ['False', 'StandbyLagging']);
    assert.match(failover.message, /b is behind/);
  });
});

function pick({ status, reason }: Condition): [string, string] {
  return [status, reason];
}
