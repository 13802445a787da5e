import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { until } from '../../support/wait.ts';

describe('until', () => {
  it('returns the first answer that is neither false nor undefined', async () => {
    const answers = [false, undefined, 0];
    assert.equal(await until('an answer', () => answers.shift(), { intervalMs: 1 }), 0);
  });

  it('goes on after an error', async () => {
    let tries = 0;
    const value = await until(
      'a third try',
      () => {
        tries += 1;
        if (tries < 3) throw new Error('not yet');
        return tries;
      },
      { intervalMs: 1 },
    );
    assert.equal(value, 3);
  });

  it('says what did not happen and what the last try said', async () => {
    const check = (): never => {
      throw new Error('refused');
    };
    await assert.rejects(until('the server answers', check, { deadlineMs: 20, intervalMs: 1 }), {
      message: 'did not happen within 20 ms: the server answers: refused',
    });
  });
});
