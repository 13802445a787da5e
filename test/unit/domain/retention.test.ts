import assert from 'node:assert/strict';
import { it } from 'node:test';
import { retentionHeadroom } from '../../../src/domain/retention.ts';
import { look } from './pair-fixture.ts';

const HOUR = 3_600_000;
const files = [
  { name: 'a-bin.000001', size: 9, createdAt: 1 * HOUR },
  { name: 'a-bin.000002', size: 9, createdAt: 3 * HOUR },
  { name: 'a-bin.000003', size: 9, createdAt: null },
];

function headroom(file: string, expireSeconds: number | undefined, at = 4): number | null {
  const end = { file: 'a-bin.000003', position: 9 };
  const seen = look('a', 1);
  const settings = { ...seen.settings, ...(expireSeconds === undefined ? {} : { binlogExpireSeconds: expireSeconds }) };
  return retentionHeadroom({ file, position: 4 }, { look: { ...seen, end, settings }, memory: { files } }, at * HOUR);
}

it('a file is kept for so long after the next one was begun, and never less than not at all', () => {
  assert.equal(headroom('a-bin.000001', 2 * 3600), 3600);
  assert.equal(headroom('a-bin.000001', 2 * 3600, 9), 0);
});

it('where the begin of the next file is not known, its own is on the safe side', () => {
  assert.equal(headroom('a-bin.000002', 2 * 3600), 3600);
});

it('the file that is being written is kept whole', () => assert.equal(headroom('a-bin.000003', 7200), 7200));

it('nothing is told where nothing is purged by age, or nobody knows', () => {
  assert.equal(headroom('a-bin.000001', 0), null);
  assert.equal(headroom('a-bin.000001', undefined), null);
  assert.equal(headroom('a-bin.000009', 7200), null);
});
