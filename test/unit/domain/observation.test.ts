import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Link } from '../../../src/domain/observation.ts';
import { compareCoordinates, isDrained, linkOf } from '../../../src/domain/observation.ts';
import { link, look, position } from './pair-fixture.ts';

function drained(change: Partial<Link>, applied = '0-1-100'): boolean {
  const seen = look('orders-0', 11, { gtidSlavePos: position(applied) });
  return isDrained(seen, link(change));
}

describe('drained', () => {
  const working = { sqlState: 'Reading event from the relay log' };

  test('by the SQL thread’s own word, in the words of both versions', () => {
    assert.ok(drained({}));
    assert.ok(drained({ sqlState: 'Slave has read all relay log; waiting for the slave I/O thread to update it' }));
  });

  test('with parallel workers the SQL thread says so before they are done', () => {
    assert.equal(drained({ gtidIoPos: position('0-1-101') }), false);
    assert.equal(drained({ gtidIoPos: position('0-1-100,1-1-5') }), false);
    const byFile = link({ usingGtid: 'No', read: { file: 'a-bin.000003', position: 901 } });
    const seen = { gtidSlavePos: position('0-1-100') };
    assert.ok(isDrained(seen, byFile), 'half a transaction');
    assert.equal(isDrained({ ...seen, parallelThreads: 4 }, byFile), false);
    assert.ok(isDrained({ ...seen, parallelThreads: 4 }, link({ usingGtid: 'No' })));
  });

  test('never by Exec == Read while a thread works: half a transaction may wait (facts/mariadb.md §3)', () => {
    assert.equal(drained({ ...working, usingGtid: 'No' }), false);
  });

  test('by GTID when all that was received is applied, with its server id', () => {
    assert.ok(drained({ ...working, sql: 'No', sqlState: '' }));
    assert.equal(drained({ ...working, gtidIoPos: position('0-1-101') }), false);
    assert.equal(drained({ ...working, gtidIoPos: position('0-2-100') }), false);
    assert.equal(drained({ ...working, gtidIoPos: position('1-1-5') }), false, 'a domain of which nothing is applied');
  });

  test('by file with both threads stopped and equal coordinates, for then not even half a transaction waits', () => {
    const stopped = { io: 'No', sql: 'No', sqlState: '', usingGtid: 'No' } as const;
    assert.ok(drained(stopped));
    assert.equal(drained({ ...stopped, read: { file: 'a-bin.000003', position: 901 } }), false);
    assert.equal(drained({ ...stopped, io: 'Yes' }), false);
    assert.equal(drained({ ...stopped, exec: { file: '', position: 0 }, read: { file: '', position: 0 } }), false);
  });
});

describe('coordinates', () => {
  test('are ordered by file number, then by place', () => {
    const at = (file: string, place: number) => ({ file, position: place });
    assert.ok(compareCoordinates(at('x.000009', 900), at('x.000010', 4)) < 0);
    assert.ok(compareCoordinates(at('x.999999', 4), at('x.1000000', 4)) < 0);
    assert.equal(compareCoordinates(at('x.000001', 4), at('x.000001', 4)), 0);
  });

  test('of different base names compare to nothing: every comparison is false', () => {
    const order = compareCoordinates({ file: 'a-bin.000001', position: 4 }, { file: 'b-bin.000001', position: 4 });
    assert.equal(order < 0 || order >= 0, false);
  });
});

test('channel names are compared as MariaDB does, without case', () => {
  const seen = look('a', 1, { links: [link({ channel: 'Orders' })] });
  assert.equal(linkOf(seen, 'orders')?.channel, 'Orders');
  assert.equal(linkOf(seen, ''), undefined);
});
