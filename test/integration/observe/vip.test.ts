import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import type { VipLook } from '../../../src/domain/observation.ts';
import { startVipProbe, type VipProbe } from '../../../src/observe/vip.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import type { SqlSession } from '../../../src/sql/port.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { type FakeVip, socketsTo, startFakeVip } from './proxy.ts';
import { createAccount, LOOK_GRANTS, PASSWORD, targetOf } from './servers.ts';

await enterSandbox();
const INTERVAL_MS = 200;
const TIMEOUT_MS = 400;
/** Probes and hedges together (src/observe/vip.ts). */
const MOST_SOCKETS = 8;

describe('who answers at the VIP', { timeout: 180_000 }, () => {
  let a: MariaDbServer;
  let b: MariaDbServer;
  let vip: FakeVip;
  let probe: VipProbe;
  let onA: SqlSession;
  let onB: SqlSession;
  let unasked: string[] = [];
  let password = PASSWORD;
  const locks = { a: 'mxr.dev/test/a', b: 'mxr.dev/test/b' };

  before(async () => {
    // Two clones, as far as they can say.
    [a, b] = await Promise.all([startMariaDb({ name: 'a', serverId: 1 }), startMariaDb({ name: 'b', serverId: 1 })]);
    for (const server of [a, b]) await createAccount(server, 'mxr_look', LOOK_GRANTS);
    [onA, onB] = await Promise.all([holdLock(a, locks.a), holdLock(b, locks.b)]);
    vip = await startFakeVip(a.port);
  });
  beforeEach(async () => {
    unasked = [];
    password = PASSWORD;
    vip.appear();
    vip.lead(a.port);
    probe = startVipProbe({
      target: () => ({ ...targetOf(a, 'mxr_look'), name: 'the VIP', host: vip.host, port: vip.port, password }),
      connect: connectSql,
      clock: systemClock,
      timing: () => ({ probeIntervalMs: INTERVAL_MS, probeTimeoutMs: TIMEOUT_MS }),
      locks: () => locks,
      unasked: () => unasked,
      hurry: () => false,
      mayHedge: () => true,
      onLook: () => undefined,
    });
    await holderIs(onA);
  });
  afterEach(() => probe.stop());
  after(async () => {
    await Promise.all([a.stop(), b.stop()]);
    await vip.close();
  });

  async function holdLock(server: MariaDbServer, name: string): Promise<SqlSession> {
    const session = await connectSql(targetOf(server, 'mxr_look'), { deadlineMs: 5_000 });
    await session.query('SELECT GET_LOCK(?, 0)', [name], { deadlineMs: 5_000, operation: 'lock' });
    return session;
  }

  /** By its lock alone: nothing else tells the two apart for sure. */
  function holderIs(session: SqlSession): Promise<VipLook> {
    const [own, other] = session === onA ? (['a', 'b'] as const) : (['b', 'a'] as const);
    return until(
      `the VIP ends on ${own}`,
      () => {
        const { look } = probe.observation();
        if (!look.known || look.value.lockOwners[own] !== session.connectionId) return false;
        assert.equal(look.value.lockOwners[other], null);
        return look.value;
      },
      { intervalMs: 5 },
    );
  }

  test('a move is seen by the locks, although both servers say the same of themselves', async () => {
    const first = await holderIs(onA);
    const since = probe.observation().answersSince;
    vip.lead(b.port);
    const second = await holderIs(onB);
    assert.equal(first.identity.hostname, second.identity.hostname);
    assert.equal(first.identity.serverId, second.identity.serverId);
    assert.ok((probe.observation().answersSince ?? 0) > (since ?? 0));
    assert.equal(second.readOnly, false);
  });

  test('after a flap a kept session still ends where it began, and the probe does not', async () => {
    const target = { ...targetOf(a, 'mxr_look'), host: vip.host, port: vip.port };
    const kept = await connectSql(target, { deadlineMs: 5_000 });
    vip.lead(b.port);
    await holderIs(onB);
    const rows = await kept.query('SELECT @@port AS port', [], { deadlineMs: 5_000, operation: 'look' });
    assert.equal(rows[0]?.['port'], String(a.port));
    const { look } = probe.observation();
    assert.equal(look.known && look.value.identity.port, b.port);
    kept.destroy();
  });

  test('read_only is that of the server that answers', async () => {
    await a.sql('SET GLOBAL read_only = 1');
    await until('it is seen', () => {
      const { look } = probe.observation();
      return look.known && look.value.readOnly;
    });
    await a.sql('SET GLOBAL read_only = 0');
  });

  test('an address that is gone is silence: counted per interval, and ended within a moment of its return', async () => {
    const begin = performance.now();
    vip.vanish();
    await until('two probes have failed', () => probe.observation().failures >= 2, { intervalMs: 5 });
    const silence = performance.now() - begin;
    assert.ok(silence < 2 * INTERVAL_MS + TIMEOUT_MS + 1_000, `${silence} ms`);
    const { look, silentSince, answersSince } = probe.observation();
    assert.equal(!look.known && look.code, 'Deadline');
    assert.equal(answersSince, null);
    assert.ok((silentSince ?? 0) >= begin - INTERVAL_MS && (silentSince ?? 0) <= performance.now());

    const failures = probe.observation().failures;
    await until('more fail', () => probe.observation().failures >= failures + 5, { intervalMs: 5 });
    const rate = (performance.now() - begin - silence) / 5;
    assert.ok(rate > INTERVAL_MS * 0.7, `a failure per ${rate} ms: hedges must not count`);

    vip.lead(b.port);
    vip.appear();
    const back = performance.now();
    await holderIs(onB);
    assert.ok(performance.now() - back < 2_000, 'the hedges found it');
    assert.deepEqual([probe.observation().failures, probe.observation().silentSince], [0, null]);
  });

  test('a silence shorter than the timeout of a probe is over when the address is back, not when the probe ends', async () => {
    // The probe that hung must not be what the next answer waits for.
    for (let round = 0; round < 3; round += 1) {
      vip.vanish();
      await until('a probe hangs', () => socketsTo(vip.port) > 0, { intervalMs: 1 });
      vip.lead(round % 2 === 0 ? b.port : a.port);
      vip.appear();
      await holderIs(round % 2 === 0 ? onB : onA);
    }
    assert.equal(probe.observation().failures, 0);
  });

  test('a host that has the address but no database is told from silence', async () => {
    await vip.refuse();
    await until('it is refused twice', () => probe.observation().failures >= 2, { intervalMs: 5 });
    const { look } = probe.observation();
    assert.equal(!look.known && look.code, 'ConnectionRefused');
    await vip.listen();
    await holderIs(onA);
  });

  test('a hung database gets few half handshakes, and the sockets are bounded', async () => {
    const before = vip.taken();
    vip.hang();
    await until('two probes have failed', () => probe.observation().failures >= 2, { intervalMs: 5 });
    let most = 0;
    await until(
      'some more failed',
      () => {
        most = Math.max(most, socketsTo(vip.port));
        return probe.observation().failures >= 6;
      },
      { intervalMs: 5 },
    );
    assert.ok(most <= MOST_SOCKETS, `${most} sockets`);
    assert.ok(vip.taken() - before <= 150, `${vip.taken() - before} connections`);
    vip.lead(b.port);
    await holderIs(onB);
    await until('what hung is gone', () => socketsTo(vip.port) <= 1);
  });

  test('a frozen server is silence too, and is seen again when it wakes', async () => {
    await a.freeze();
    await until('two probes have failed', () => probe.observation().failures >= 2, { intervalMs: 5 });
    const { look } = probe.observation();
    assert.equal(!look.known && look.code, 'Deadline');
    assert.ok(socketsTo(vip.port) <= MOST_SOCKETS);
    a.thaw();
    await holderIs(onA);
  });

  test('a refused login is said, and not tried faster', async () => {
    password = 'wrong';
    await until('it is refused', () => {
      const { look } = probe.observation();
      return !look.known && look.code === 'AccessDenied';
    });
    const taken = vip.taken();
    await new Promise((resolve) => {
      setTimeout(resolve, 5 * INTERVAL_MS);
    });
    assert.ok(vip.taken() - taken <= 8, `${vip.taken() - taken} logins`);
    password = PASSWORD;
    await holderIs(onA);
  });

  test('where no direct session ends on the server that answers, the VIP session looks fully', async () => {
    unasked = ['b'];
    await probe.lookNow(5_000);
    const direct = await holderIs(onA);
    assert.equal(direct.look, null, 'a direct session sees more');
    onA.destroy();
    try {
      const look = await until('the VIP session is the witness', () => {
        const now = probe.observation().look;
        return now.known && now.value.look !== null && now.value.look;
      });
      assert.equal(look.identity.port, a.port);
      assert.ok(look.end !== null && look.files.length > 0);
      assert.deepEqual(look.dumps, []);
    } finally {
      onA = await holdLock(a, locks.a);
    }
  });

  test('a look asked for begins after the call, also while another one hangs', async () => {
    const asked = performance.now();
    await probe.lookNow(5_000);
    const first = probe.observation().look;
    assert.ok(first.known && first.at >= asked);
    vip.hang();
    await until('a probe hangs', () => vip.open() > 0, { intervalMs: 1 });
    vip.lead(b.port);
    const again = performance.now();
    await probe.lookNow(5_000);
    const { look } = probe.observation();
    assert.ok(look.known && look.at >= again);
    assert.equal(look.value.lockOwners['b'], onB.connectionId);
  });

  test('after the stop nothing is asked and no socket stays', async () => {
    vip.vanish();
    await until('a probe hangs', () => socketsTo(vip.port) > 0, { intervalMs: 1 });
    probe.stop();
    await until('the sockets are gone', () => socketsTo(vip.port) === 0);
    vip.appear();
    const taken = vip.taken();
    await probe.lookNow(1_000);
    assert.equal(vip.taken(), taken);
  });
});
