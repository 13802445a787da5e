import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RowsEvent } from '../../../src/sql/binlog/bodies.ts';
import { columnsOf, rowValues } from '../../../src/sql/binlog/row-values.ts';

const INT = 3;

function event(columns: string, rows: readonly number[]): RowsEvent {
  return { tableId: 1, change: 'insert', whole: true, columns, rows: Buffer.from(rows) };
}

function valuesOf(rows: RowsEvent, types: readonly number[]): string[][] {
  const columns = columnsOf(Buffer.from(types), Buffer.alloc(0));
  assert.ok(columns !== undefined);
  return [...rowValues(rows, columns)].map((row) => [...row]);
}

test('the values of each row, one row after the other', () => {
  const rows = event('1', [0, 7, 0, 0, 0, 0, 8, 0, 0, 0]);
  assert.deepEqual(valuesOf(rows, [INT]), [['7'], ['8']]);
});

test('an event that names no column, or not the columns of its table, has none: it ends', () => {
  assert.deepEqual(valuesOf(event('0', [1, 2, 3]), [INT]), []);
  assert.deepEqual(valuesOf(event('', [1, 2, 3]), []), []);
  assert.deepEqual(valuesOf(event('11', [0, 7, 0, 0, 0]), [INT]), []);
});
