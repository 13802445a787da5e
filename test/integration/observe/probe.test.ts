import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import type { Fact } from '../../../src/domain/fact.ts';
import type { ServerLook } from '../../../src/domain/observation.ts';
import { createServerProbe, type ServerProbe } from '../../../src/observe/probe.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { socketsTo } from './proxy.ts';
import { createAccount, LOOK_GRANTS, targetOf } from './servers.ts';

await enterSandbox();
const DEADLINE_MS = 300;
const LOCK = 'mxr.dev/test/0';

describe('a kept probe of a real server', { timeout: 180_000 }, () => {
  let server: MariaDbServer;
  let probe: ServerProbe;
  let lost = 0;
  const look = (): Promise<Fact<ServerLook>> => probe.probe({ deadlineMs: DEADLINE_MS, files: false });
  const answers = (): Promise<ServerLook> =>
    until('the probe is answered', async () => {
      const fact = await look();
      return fact.known && fact.value;
    });

  before(async () => {
    server = await startMariaDb({ name: 'probed', serverId: 5 });
    await createAccount(server, 'mxr_look', LOOK_GRANTS);
    await server.sql('CREATE DATABASE d; CREATE TABLE d.t (a INT) ENGINE=InnoDB');
  });
  beforeEach((context) => {
    lost = 0;
    let number = 0;
    probe = createServerProbe({
      target: () => targetOf(server, 'mxr_look'),
      connect: connectSql,
      clock: systemClock,
      newNumber: () => (number += 1),
      lockName: () => LOCK,
      onLost: () => (lost += 1),
    });
    if ('after' in context) context.after(() => probe.close());
  });
  after(() => server.stop());

  test('one session is kept and holds the lock; the binlog files come with a new session and when asked for', async () => {
    const first = await answers();
    const files = first.files.length;
    await server.sql('FLUSH BINARY LOGS');
    const second = await answers();
    assert.equal(second.connectionId, first.connectionId);
    assert.equal(probe.lockHeldBy(), first.connectionId);
    const owner = await server.row(`SELECT IS_USED_LOCK('${LOCK}') owner`);
    assert.equal(owner['owner'], String(first.connectionId));
    assert.equal(second.files.length, files);
    const third = await probe.probe({ deadlineMs: DEADLINE_MS, files: true });
    assert.equal(third.known && third.value.files.length, files + 1);
    assert.equal(probe.incarnation()?.number, 1);
  });

  test('a frozen server is unknown by the deadline, holds one socket at most, and is seen again when thawed', async () => {
    await answers();
    await server.freeze();
    for (let round = 0; round < 6; round += 1) {
      const begin = performance.now();
      const fact = await look();
      assert.ok(!fact.known);
      assert.equal(fact.code, 'Deadline');
      assert.ok(performance.now() - begin < DEADLINE_MS + 250, 'the deadline passed');
      assert.equal(probe.lockHeldBy(), null);
      assert.ok(socketsTo(server.port) <= 1, `${socketsTo(server.port)} sockets`);
    }
    server.thaw();
    await answers();
    // The old session's lock may outlive the thaw by a moment.
    await until('the lock is taken again', async () => {
      await look();
      return probe.lockHeldBy() !== null;
    });
    assert.equal(probe.incarnation()?.number, 1, 'the same server goes on');
  });

  describe('another account or address', () => {
    let user = 'mxr_look';
    /** Called when a session asks, and awaited before one is handed over. */
    const hooks = { asked: (): void => undefined, opened: Promise.resolve() };

    beforeEach((context) => {
      user = 'mxr_look';
      probe = createServerProbe({
        target: () => targetOf(server, user),
        connect: async (target, options) => {
          const session = await connectSql(target, options);
          await hooks.opened;
          return new Proxy(session, {
            get: (of, key) => {
              if (key === 'query') hooks.asked();
              const value: unknown = Reflect.get(of, key, of);
              return typeof value === 'function' ? (value.bind(of) as unknown) : value;
            },
          });
        },
        clock: systemClock,
        newNumber: () => 1,
        onLost: () => (lost += 1),
      });
      if ('after' in context) context.after(() => probe.close());
    });

    test('a look that it ends says nothing: what was seen before stands, and nothing was lost', async () => {
      const before = await answers();
      await server.freeze();
      const asked = new Promise<void>((resolve) => (hooks.asked = resolve));
      const under = look();
      await asked;
      probe.reset();
      assert.deepEqual(await under, probe.fact());
      server.thaw();
      assert.ok(probe.fact().known);
      assert.equal(lost, 0);
      assert.notEqual((await answers()).connectionId, before.connectionId);
    });

    test('a session that was being opened is not kept', async () => {
      await createAccount(server, 'mxr_next', LOOK_GRANTS);
      let open = (): void => undefined;
      hooks.opened = new Promise((resolve) => (open = resolve));
      const under = look();
      await until('the first account has logged in', async () => (await usersOf(server)).includes('mxr_look'));
      user = 'mxr_next';
      probe.reset();
      open();
      await under;
      await answers();
      await until('only the other one is', async () => !(await usersOf(server)).includes('mxr_look'));
      assert.ok((await usersOf(server)).includes('mxr_next'));
    });
  });

  test('two probes at a time are one after the other, on one socket', async () => {
    const facts = await Promise.all([look(), look(), look()]);
    const ids = facts.map((fact) => fact.known && fact.value.connectionId);
    assert.equal(new Set(ids).size, 1);
    assert.equal(socketsTo(server.port), 1);
  });

  test('a server that dies is noticed at once, and refuses', async () => {
    await answers();
    await server.kill9();
    await until('the loss is told', () => lost === 1);
    assert.equal(probe.lockHeldBy(), null);
    const fact = await look();
    assert.equal(!fact.known && fact.code, 'ConnectionRefused');
    await server.start();
    await answers();
  });

  test('a restart within half a second is a new incarnation, told by the start time or the connection ids', async () => {
    await answers();
    const before = probe.incarnation();
    await server.kill9();
    await server.start();
    const second = await answers();
    assert.equal(probe.incarnation()?.number, (before?.number ?? 0) + 1);
    assert.ok((probe.incarnation()?.since ?? 0) > (before?.since ?? 0));
    assert.equal(probe.lockHeldBy(), second.connectionId);
  });

  test('a start time does not move while the server lives', async () => {
    const first = await answers();
    await new Promise((resolve) => {
      setTimeout(resolve, 1_200);
    });
    probe.reset();
    const second = await answers();
    assert.notEqual(second.connectionId, first.connectionId);
    assert.equal(second.identity.startedAt, first.identity.startedAt);
    assert.equal(probe.incarnation()?.number, 1);
  });

  test('a killed session is replaced by the next look', async () => {
    const first = await answers();
    await server.sql(`KILL ${first.connectionId}`);
    await until('the loss is told', () => lost === 1);
    const second = await answers();
    assert.ok(second.connectionId > first.connectionId);
    assert.equal(probe.incarnation()?.number, 1);
  });

  test('after close nothing is asked and no socket stays', async () => {
    await answers();
    probe.close();
    await until('the socket is gone', () => socketsTo(server.port) === 0);
    const fact = await look();
    assert.equal(fact.known, false);
    assert.equal(socketsTo(server.port), 0);
    assert.equal(lost, 0, 'closing is no loss');
  });

  test('looks leave nothing in the error log of the server', async () => {
    await server.sql('SET GLOBAL log_warnings = 9');
    for (let round = 0; round < 5; round += 1) {
      await answers();
      probe.reset();
    }
    await until('the sessions are gone', async () => {
      const row = await server.row(`SELECT COUNT(*) n FROM information_schema.PROCESSLIST WHERE USER = 'mxr_look'`);
      return row['n'] === '0';
    });
    const row = await server.row(`SHOW GLOBAL STATUS LIKE 'Aborted_clients'`);
    assert.doesNotMatch(
      server.logTail(10),
      /Aborted connection .*mxr_look.*(communication packets)/,
      JSON.stringify(row),
    );
    await server.sql('SET GLOBAL log_warnings = 2');
  });
});

async function usersOf(server: MariaDbServer): Promise<string[]> {
  const rows = await server.sql("SELECT user FROM information_schema.processlist WHERE user LIKE 'mxr%'");
  return rows.map(({ user }) => user ?? '');
}
