import assert from 'node:assert/strict';
import { it } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { createResolver } from '../../../src/operator/accept/resolve.ts';

it('has one lookup per name under way while the name servers hang, and takes their late answer', async () => {
  const asked: string[] = [];
  const { promise, resolve } = Promise.withResolvers<{ address: string }>();
  const resolver = createResolver({
    clock: systemClock,
    maxAgeMs: 0,
    deadlineMs: 20,
    lookup: async (host) => {
      asked.push(host);
      return promise;
    },
  });
  for (let count = 0; count < 3; count += 1) {
    const answers = await Promise.all([resolver.resolve('a.example'), resolver.resolve('b.example')]);
    for (const answer of answers) assert.deepEqual(answer, { state: 'Unresolved', why: 'no answer within 20 ms' });
  }
  assert.deepEqual(asked, ['a.example', 'b.example']);
  resolve({ address: '10.0.0.11' });
  const address = { state: 'Address', address: '10.0.0.11' };
  assert.deepEqual(await resolver.resolve('a.example'), address);
  assert.deepEqual(await resolver.resolve('a.example'), address);
  assert.equal(asked.filter((host) => host === 'a.example').length, 2, 'the next question is a new lookup');
});
