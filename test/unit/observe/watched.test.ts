import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { systemClock } from '../../../src/clock.ts';
import { startWatched } from '../../../src/observe/watched.ts';
import { until } from '../../support/wait.ts';
import { fakeServer, TARGET } from './fake-server.ts';

const SEVERAL_FAST_PAUSES_MS = 150;

test('looks faster than the probe interval only as long as the process has looks to spare', async () => {
  const server = fakeServer();
  let [left, number] = [5, 0];
  const looks = (): number => server.statements.filter((sql) => sql === 'SHOW ALL SLAVES STATUS').length;
  const watched = startWatched({
    target: TARGET,
    connect: server.connect,
    clock: systemClock,
    newNumber: () => (number += 1),
    timing: () => ({ probeIntervalMs: 60_000, probeTimeoutMs: 1_000 }),
    pace: () => 'fast',
    urgent: () => true,
    mayHurry: () => {
      left -= 1;
      return left >= 0;
    },
    onChange: () => undefined,
  });
  try {
    await until('the spare looks are used up', () => left < 0);
    assert.equal(looks(), 6);
    await delay(SEVERAL_FAST_PAUSES_MS);
    assert.equal(looks(), 6, 'the next one is due after the probe interval');
    await watched.lookNow({ deadlineMs: 1_000, files: false });
    assert.equal(looks(), 7, 'what somebody waits for is not held back');
  } finally {
    watched.stop();
  }
});
