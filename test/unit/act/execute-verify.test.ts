import assert from 'node:assert/strict';
import { test } from 'node:test';
import { carriedOut, move, PLACE, replicaAt } from './acted-on.ts';

const START = { ...PLACE, position: 100 };

test('a large transaction that goes on arriving is waited for, however long it takes', async () => {
  const replica = {
    ...replicaAt('0-1-100', { io: 'No', read: START }),
    arrives: (read: typeof START) => ({ ...read, position: Math.min(read.position + 10, PLACE.position) }),
  };
  const { outcome, message } = await carriedOut(move('0-1-100'), replica);
  assert.equal(outcome, 'Done', message);
});

test('a link to which nothing comes is given up', async () => {
  const { outcome, message } = await carriedOut(move('0-1-100'), replicaAt('0-1-100', { io: 'No', read: START }));
  assert.equal(outcome, 'Stopped');
  assert.match(message, /not attached to a within 20000 ms: nothing has arrived yet/);
});
