import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReplicaStatus } from '../../../src/api/status.ts';
import type { Status } from '../../../src/api/v1alpha1.ts';
import { eventsOf } from '../../../src/operator/tell.ts';
import { calmStatus } from './status-fixture.ts';

const CALM = calmStatus({ replicas: 2 });

function withFirst(change: Partial<ReplicaStatus>): Status {
  const replicas = CALM.replicas.map((replica, index) => (index === 0 ? { ...replica, ...change } : replica));
  return { ...CALM, replicas };
}

function told(before: Status, after: Status): string[] {
  return eventsOf(before, after).map(({ reason, message }) => `${reason}: ${message}`);
}

test('a change of verdict is told, not that it goes on or has another message', () => {
  const purged = withFirst({ verdict: 'Purged', reason: 'Purged', message: 'lacks 3' });
  assert.deepEqual(told(CALM, purged), ['VerdictWorse: orders-0 is Purged (Purged): lacks 3']);
  assert.deepEqual(told(purged, withFirst({ verdict: 'Purged', reason: 'Purged', message: 'lacks 4' })), []);
  assert.match(told(purged, CALM).join(), /^VerdictBetter: orders-0 is Following/);
});

test('the steps of a move are not told one by one: its beginning and its end are', () => {
  const waits = withFirst({ verdict: 'Waiting', reason: 'VipSilent', message: 'silent' });
  const moves = withFirst({ verdict: 'HandingOver', reason: 'HandingOver', message: 'reading' });
  assert.deepEqual(told(CALM, waits), ['VerdictBetter: orders-0 is Waiting (VipSilent): silent']);
  assert.deepEqual([...told(waits, moves), ...told(moves, waits)], []);
  assert.equal(told(moves, CALM).length, 1);
});

test('an id that a person is to copy is told with whatever verdict it comes, and again when it is another one', () => {
  const asks = (id: string) =>
    withFirst({ verdict: 'Frozen', reason: 'SplitBrain', message: `decide: mxr.dev/approve=${id}` });
  const frozen = withFirst({ verdict: 'Frozen', reason: 'SplitBrain', message: 'the pair is split' });
  assert.deepEqual(told(CALM, frozen), ['VerdictWorse: orders-0 is Frozen (SplitBrain): the pair is split']);
  const asked = (id: string) => [`ApprovalNeeded: orders-0 is Frozen (SplitBrain): decide: mxr.dev/approve=${id}`];
  assert.deepEqual(told(frozen, asks('split-1')), asked('split-1'));
  assert.deepEqual(told(asks('split-1'), asks('split-1')), []);
  assert.deepEqual(told(asks('split-1'), asks('split-2')), asked('split-2'));
});
