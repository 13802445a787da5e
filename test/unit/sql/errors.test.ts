import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureOf } from '../../../src/sql/errors.ts';

function systemError(code: string): Error {
  return Object.assign(new Error(`connect ${code} 10.77.0.100:3306`), { code, syscall: 'connect' });
}

test('a refused connection is an answer: somebody has the address', () => {
  assert.equal(failureOf(systemError('ECONNREFUSED')).code, 'ConnectionRefused');
});

for (const code of ['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN']) {
  test(`${code} is silence: nobody has the address, or there is no way to it`, () => {
    const { code: told, retryable } = failureOf(systemError(code));
    assert.deepEqual([told, retryable], ['ConnectionLost', true]);
  });
}
