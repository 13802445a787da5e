import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isContested, noticeLink } from '../../../src/domain/contested.ts';
import type { ReplicaMemory } from '../../../src/domain/memory.ts';
import type { Link } from '../../../src/domain/observation.ts';
import { replicaMemory } from './pair-fixture.ts';

const MINUTE = 60_000;

function link(host: string): Link {
  return { host, port: 3306, usingGtid: 'Slave_Pos' } as Link;
}

function after(hosts: readonly (readonly [string, number])[]): ReplicaMemory {
  return hosts.reduce<ReplicaMemory>(
    (memory, [host, at]) => ({ ...memory, ...noticeLink(memory, link(host), at) }),
    replicaMemory('r1'),
  );
}

test('one change by somebody else is put right, two within ten minutes are a contest', () => {
  const once = after([
    ['10.0.0.1', 0],
    ['10.0.0.9', MINUTE],
  ]);
  const twice = after([
    ['10.0.0.1', 0],
    ['10.0.0.9', MINUTE],
    ['10.0.0.1', 2 * MINUTE],
  ]);

  assert.equal(isContested(once, 2 * MINUTE), false);
  assert.equal(isContested(twice, 3 * MINUTE), true);
  assert.equal(isContested(twice, 13 * MINUTE), false);
});

test('what mxr itself changed is no contest', () => {
  const first = after([['10.0.0.1', 0]]);
  const moved = { ...first, link: null };
  const again = { ...moved, ...noticeLink(moved, link('10.0.0.2'), MINUTE) };

  assert.deepEqual(again.foreignChanges, []);
});

test("a replica without a baseline is nobody else's business: changes before adoption do not count", () => {
  const stranger = { ...replicaMemory('r1'), baseline: null, link: '10.0.0.1:3306 No' };

  assert.deepEqual(noticeLink(stranger, link('10.0.0.2'), MINUTE).foreignChanges, []);
});
