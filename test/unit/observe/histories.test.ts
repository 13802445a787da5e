import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HistoryWanted } from '../../../src/domain/histories.ts';
import type { Histories, Reading } from '../../../src/observe/histories.ts';
import { createHistories } from '../../../src/observe/histories.ts';
import { historyOf } from '../../../src/sql/binlog/history.ts';

function wanted(pod: string, through = 5n): HistoryWanted {
  const range = { domain: 0, serverId: 1, after: 2n, through };
  return { server: { pod }, incarnation: '1', unique: { kind: 'Beyond', ranges: [range] } };
}

function reading(count: number): Reading {
  return { history: { ...historyOf([], true), count, bytes: count * 100 }, ranges: [], done: true };
}

interface Play {
  readonly histories: Histories;
  readonly asked: string[];
  /** Ends the oldest reading that is under way. */
  readonly answer: (value: Reading | Error) => Promise<void>;
  readonly pass: (ms: number) => void;
}

function play(): Play {
  let now = 1_000;
  const asked: string[] = [];
  const open: ((value: Reading | Error) => void)[] = [];
  const histories = createHistories({
    clock: { monotonicMs: () => now, wallMs: () => now },
    onRead: () => undefined,
    read: async ({ server }) => {
      asked.push('pod' in server ? server.pod : server.member);
      const value = await new Promise<Reading | Error>((resolve) => open.push(resolve));
      if (value instanceof Error) throw value;
      return value;
    },
  });
  const answer = async (value: Reading | Error): Promise<void> => {
    open.shift()?.(value);
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { histories, asked, answer, pass: (ms) => (now += ms) };
}

test('read once; again only when more were seen, and not at every pass', async () => {
  const { histories, asked, answer, pass } = play();
  const [few, more] = [wanted('r1'), wanted('r1', 6n)];
  histories.want([few]);
  assert.equal(histories.of(few.server, few.unique), null, 'nobody waits for it');
  await answer(reading(3));
  histories.want([few]);
  assert.equal(histories.of(few.server, few.unique)?.complete, true);

  histories.want([more]);
  assert.deepEqual(asked, ['r1'], 'whoever writes goes on writing');
  const behind = histories.of(more.server, more.unique);
  assert.deepEqual([behind?.count, behind?.complete], [3, false]);
  pass(1_000);
  histories.want([more]);
  await answer(reading(4));
  assert.equal(histories.of(more.server, more.unique)?.complete, true);
  pass(600_000);
  histories.want([more]);
  assert.deepEqual(asked, ['r1', 'r1']);
});

test('two at a time; what is not wanted any more is forgotten', async () => {
  const { histories, asked, answer } = play();
  const all = ['r1', 'r2', 'r3'].map((pod) => wanted(pod));
  histories.want(all);
  assert.deepEqual(asked, ['r1', 'r2']);
  await answer(reading(3));
  histories.want(all);
  assert.deepEqual(asked, ['r1', 'r2', 'r3']);
  histories.want([]);
  assert.equal(histories.of({ pod: 'r1' }, wanted('r1').unique), null);
});

test('what cannot be read is asked for ever more rarely', async () => {
  const { histories, asked, answer, pass } = play();
  for (let second = 0; second < 600; second += 1) {
    histories.want([wanted('r1')]);
    await answer(new Error('refused'));
    pass(1_000);
  }
  assert.ok(asked.length > 10 && asked.length < 20, `${asked.length} times in ten minutes`);
  assert.equal(histories.of({ pod: 'r1' }, wanted('r1').unique), null);
});
