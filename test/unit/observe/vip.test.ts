import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { createBudget } from '../../../src/observe/budget.ts';
import { startVipProbe, type VipProbe } from '../../../src/observe/vip.ts';
import { until } from '../../support/wait.ts';
import { type FakeServer, fakeServer, sqlError, TARGET } from './fake-server.ts';

const INTERVAL_MS = 100;
const TIMEOUT_MS = 300;
const SOON = { intervalMs: 2, deadlineMs: 10_000 };

interface Watching {
  readonly probe: VipProbe;
  looks: number;
  /** Who answered each counted look, in order. */
  readonly answers: string[];
  readonly hedges: { allowed: boolean; asked: number };
}

function watch(context: TestContext, server: FakeServer, probeTimeoutMs = TIMEOUT_MS, alone = false): Watching {
  const hedges = { allowed: true, asked: 0 };
  const watching = { looks: 0, answers: new Array<string>(), hedges };
  const probe = startVipProbe({
    target: () => TARGET,
    connect: server.connect,
    clock: systemClock,
    timing: () => ({ probeIntervalMs: alone ? 60_000 : INTERVAL_MS, probeTimeoutMs }),
    locks: () => ({ a: 'lock' }),
    unasked: () => (alone ? ['b'] : []),
    hurry: () => alone,
    mayHedge: () => {
      hedges.asked += 1;
      return hedges.allowed;
    },
    onLook: () => {
      watching.looks += 1;
      const { look } = probe.observation();
      if (look.known) watching.answers.push(look.value.identity.hostname);
    },
  });
  context.after(() => probe.stop());
  return Object.assign(watching, { probe });
}

function failures(probe: VipProbe, atLeast: number): Promise<true> {
  return until(`${atLeast} failures`, () => probe.observation().failures >= atLeast, SOON);
}

describe('the VIP probe', () => {
  test('in calm there is one new connection per interval, closed after', async (context) => {
    const server = fakeServer();
    const watching = watch(context, server);
    await until('five looks', () => watching.looks >= 5, SOON);
    assert.ok(server.attempts <= watching.looks + 1);
    assert.equal(new Set(server.sessions.map(({ connectionId }) => connectionId)).size, server.sessions.length);
    assert.ok(server.sessions.slice(0, -1).every(({ alive }) => !alive));
    assert.equal(watching.hedges.asked, 0);
  });

  test('failures count probes and not hedges, and the first one says since when', async (context) => {
    const server = fakeServer({ refuses: 'silent' });
    const { probe } = watch(context, server);
    await failures(probe, 3);
    const { look, failures: count, silentSince, answersSince } = probe.observation();
    assert.equal(!look.known && look.code, 'Deadline');
    assert.ok(server.attempts > 2 * count, `${server.attempts} attempts`);
    assert.ok(silentSince !== null && silentSince < look.at);
    assert.equal(answersSince, null);
    server.refuses = null;
    await until('it answers', () => probe.observation().look.known, SOON);
    const after = probe.observation();
    assert.deepEqual([after.failures, after.silentSince], [0, null]);
    assert.equal(after.answersSince, after.look.at);
  });

  test('the first answer ends all that was begun before it', async (context) => {
    const server = fakeServer({ refuses: 'silent' });
    const { probe } = watch(context, server);
    await failures(probe, 1);
    assert.ok(server.dialling.size > 1);
    server.refuses = null;
    await until('it answers', () => probe.observation().look.known, SOON);
    // Before any of them could end by itself.
    await until('nobody dials any more', () => server.dialling.size === 0, { intervalMs: 1, deadlineMs: 50 });
  });

  test('attempts are bounded, with and without a host that takes them', async (context) => {
    const server = fakeServer({ refuses: 'silent' });
    const { probe } = watch(context, server, 12 * INTERVAL_MS);
    let most = 0;
    await until(
      'some failures',
      () => {
        for (const one of server.dialling) if (probe.observation().failures >= 2) one.onReached?.();
        most = Math.max(most, server.dialling.size);
        return probe.observation().failures >= 4;
      },
      SOON,
    );
    assert.ok(most > 4 && most <= 8, `${most} at a time`);
  });

  test('a slow answer of a server that was reached is waited for without hedges', async (context) => {
    const server = fakeServer();
    const slow = Promise.withResolvers<void>();
    server.answer = (sql) => (sql.includes('IS_USED_LOCK') ? slow.promise.then(() => []) : undefined);
    const { probe, hedges } = watch(context, server);
    await until('the probe takes long', () => server.attempts >= 3, SOON);
    assert.equal(hedges.asked, 0);
    slow.resolve();
    await failures(probe, 1);
  });

  test('a holder that only the VIP shows is asked often until it is writable', async (context) => {
    const server = fakeServer();
    server.variables = { ...server.variables, read_only: '1' };
    const { probe } = watch(context, server, TIMEOUT_MS, true);
    await until('it answers', () => probe.observation().look.known, SOON);
    const { attempts } = server;
    await until('eight more', () => server.attempts >= attempts + 8, SOON);
  });

  test('a refused login is no silence: it is asked again by the interval only', async (context) => {
    const server = fakeServer({ refuses: sqlError('AccessDenied', 'no', 1045) });
    const { probe, hedges } = watch(context, server);
    await failures(probe, 3);
    assert.equal(hedges.asked, 0);
    assert.ok(server.attempts <= 4);
  });

  test('a refused connection is hedged, because the next holder may listen at any moment', async (context) => {
    const server = fakeServer({ refuses: sqlError('ConnectionRefused', 'nobody listens') });
    const { probe } = watch(context, server);
    await failures(probe, 3);
    assert.ok(server.attempts > 5);
    const { look } = probe.observation();
    assert.equal(!look.known && look.code, 'ConnectionRefused');
  });

  test('no hedge is begun beyond the budget', async (context) => {
    const server = fakeServer({ refuses: 'silent' });
    const watching = watch(context, server);
    watching.hedges.allowed = false;
    await failures(watching.probe, 3);
    assert.ok(watching.hedges.asked > 0);
    assert.ok(server.attempts <= 3 + TIMEOUT_MS / (INTERVAL_MS * 0.9) + 1, `${server.attempts} attempts`);
  });

  test('the answers since are counted from a change of the answering server', async (context) => {
    const server = fakeServer();
    const { probe } = watch(context, server);
    await until('it answers', () => probe.observation().look.known, SOON);
    const first = probe.observation().answersSince;
    await probe.lookNow(5_000);
    assert.equal(probe.observation().answersSince, first);
    server.variables = { ...server.variables, hostname: 'hci-b' };
    await probe.lookNow(5_000);
    const { answersSince, look } = probe.observation();
    assert.ok(answersSince === look.at && answersSince > (first ?? 0));
  });

  test('an answer to an older question never replaces a newer one', async (context) => {
    const server = fakeServer();
    const old = Promise.withResolvers<void>();
    let held = false;
    server.answer = (sql) => {
      if (held || !sql.includes('IS_USED_LOCK')) return undefined;
      held = true;
      const row = { ...server.variables, hostname: 'old', connection_id: '1', started_at: '1', lock_0: null };
      return old.promise.then(() => [row]);
    };
    const { probe, answers } = watch(context, server);
    await until('a newer one is answered', () => probe.observation().look.known, SOON);
    old.resolve();
    await probe.lookNow(5_000);
    assert.deepEqual([...new Set(answers)], ['hci-a']);
  });

  test('a look asked for ends at its deadline, whatever the server does', async (context) => {
    const server = fakeServer({ refuses: 'silent' });
    const { probe } = watch(context, server);
    const begin = performance.now();
    await probe.lookNow(50);
    assert.ok(performance.now() - begin < TIMEOUT_MS);
    assert.equal(probe.observation().look.known, false);
  });
});

test('the hedge budget lets a burst pass and then its rate', () => {
  let now = 0;
  const take = createBudget({ monotonicMs: () => now, wallMs: () => 0 }, 40);
  const taken = (): number => Array.from({ length: 100 }, take).filter(Boolean).length;
  assert.equal(taken(), 10);
  now = 100;
  assert.equal(taken(), 4);
  now = 100_000;
  assert.equal(taken(), 10);
});
