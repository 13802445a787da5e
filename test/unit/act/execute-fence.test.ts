import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MxrError } from '../../../src/errors.ts';
import { carriedOut, move, replicaAt } from './acted-on.ts';

const WHOLE = ['STOP SLAVE', 'CHANGE MASTER', 'SET GLOBAL slave_net_timeout', 'SET GLOBAL read_only', 'START SLAVE'];

test('a move is these statements', async () => {
  const replica = replicaAt('0-1-100', { usingGtid: 'Slave_Pos' });
  const { message } = await carriedOut(move('0-1-100'), replica);
  assert.deepEqual([message, replica.statements], ['', WHOLE]);
});

test('it is looked at once before each statement and after the last, but between two that only set a variable', async () => {
  const replica = replicaAt('0-1-100', { usingGtid: 'Slave_Pos' });
  await carriedOut(move('0-1-100'), replica);
  const [stop = '', change = '', ...start] = WHOLE;
  assert.deepEqual(replica.asked, ['look', stop, 'look', change, 'look', ...start, 'look']);
});

for (const [index, last] of WHOLE.entries()) {
  test(`the fence falls after ${last}: no statement follows, not within a step either (invariant 7)`, async () => {
    const replica = replicaAt('0-1-100', { usingGtid: 'Slave_Pos' });
    await carriedOut(move('0-1-100'), replica, {
      fence: (done) => {
        if (done.length <= index) return;
        const what = { operation: 'act', target: 'orders-0', detail: 'not the leader any more' };
        throw new MxrError({ code: 'FenceLost', ...what, retryable: true });
      },
    });
    assert.deepEqual(replica.statements, WHOLE.slice(0, index + 1));
  });
}
