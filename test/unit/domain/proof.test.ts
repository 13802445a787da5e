import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseGtid } from '../../../src/domain/gtid.ts';
import { lacking } from '../../../src/domain/proof.ts';
import { basisOf, beyondOf } from '../../../src/domain/unique-transactions.ts';
import { state } from './pair-fixture.ts';

function of(gtid: string, than: string) {
  const parsed = parseGtid(gtid);
  assert.ok(parsed);
  const { count, gtids } = lacking([parsed], state(than));
  return { count, gtids };
}

test('what one side lacks is listed number by number, the first and the last ten', () => {
  assert.deepEqual(of('0-1-13', '0-1-10'), { count: 3, gtids: ['0-1-11', '0-1-12', '0-1-13'] });
  const many = of('0-1-40', '0-1-10');
  assert.equal(many.count, 30);
  assert.deepEqual([many.gtids.length, many.gtids[9], many.gtids[10]], [20, '0-1-20', '0-1-31']);
  const one = of('0-1-31', '0-1-10');
  assert.deepEqual([one.gtids.length, one.gtids[9], one.gtids[10]], [20, '0-1-20', '0-1-22']);
});

test('what the other side never had of a server cannot be counted', () => {
  assert.deepEqual(of('0-3-13', '0-1-10'), { count: null, gtids: ['0-3-13'] });
});

test('where the reading begins: after what the other side has of that server, or of anybody where only the last one is known', () => {
  const from = (gtid: string, than: string, form: 'State' | 'Position'): string => {
    const parsed = parseGtid(gtid);
    assert.ok(parsed);
    return basisOf(beyondOf([parsed], state(than), form));
  };
  assert.equal(from('0-1-15', '0-1-10,0-2-13', 'State'), '0-1>10');
  assert.equal(from('0-1-15', '0-2-13', 'Position'), '0-1>13');
  assert.equal(from('0-3-15', '0-2-13', 'State'), '0-3>0');
  assert.equal(from('0-3-11', '0-2-13', 'Position'), '0-3>0', 'it wrote beside the others');
});
