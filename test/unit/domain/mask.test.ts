import assert from 'node:assert/strict';
import { test } from 'node:test';
import { literalsOf, maskLiterals } from '../../../src/domain/mask.ts';

test('values go, names stay', () => {
  const cases: readonly (readonly [string, string])[] = [
    ["INSERT INTO app.t2 VALUES (1, 'a''b', x'00ff', -1.5e3)", 'INSERT INTO app.t2 VALUES (?, ?, ?, ?)'],
    ['UPDATE `order 1` SET a1="x\\"y", b=0xAB WHERE id IN (1,2)', 'UPDATE `order 1` SET a1=?, b=? WHERE id IN (?,?)'],
    ["INSERT INTO t VALUES ('cut in the mid", 'INSERT INTO t VALUES (?'],
    ["INSERT INTO t VALUES (N'é', _utf8'ü', 'it\\'s')", 'INSERT INTO t VALUES (N?, _utf8?, ?)'],
  ];
  for (const [sql, masked] of cases) assert.equal(maskLiterals(sql), masked);
  assert.ok(!maskLiterals(`INSERT INTO t VALUES ('${'x'.repeat(10_000)}secret')`).includes('x'));
});

test('the values of a statement', () => {
  assert.deepEqual([...literalsOf("INSERT INTO t VALUES (7, 'it''s', \"a\\\"b\", `c`)")], ['7', "it's", 'a"b']);
});
