import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import type { Answers, Question } from '../../../src/domain/evidence.ts';
import { createEvidenceStore } from '../../../src/observe/evidence.ts';

function header(member: string, file: number): Question {
  return { kind: 'FileHeader', member, incarnation: '1', file: `bin.${String(file).padStart(6, '0')}` };
}

test('few at a time of one server, however many there are to ask; in the end all are answered', async () => {
  const all = [...Array.from({ length: 40 }, (_, file) => header('a', file)), header('b', 1)];
  const under = new Map<string, number>();
  let most = 0;
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const store = createEvidenceStore({
    clock: systemClock,
    onAnswer: () => {
      if (store.size() === all.length) resolve();
      store.ask(all);
    },
    ask: async (question) => {
      const member = 'member' in question ? question.member : '';
      under.set(member, (under.get(member) ?? 0) + 1);
      most = Math.max(most, under.get(member) ?? 0);
      await new Promise((next) => setImmediate(next));
      under.set(member, (under.get(member) ?? 0) - 1);
      return {
        createdAt: 0,
        byServerStart: false,
        encrypted: false,
        gtidList: new Map(),
      } satisfies Answers['FileHeader'];
    },
  });
  store.ask(all);
  assert.equal(under.get('b'), 1, 'another server is asked at once');
  await done;
  assert.ok(most <= 4, `${most} at once`);
});
