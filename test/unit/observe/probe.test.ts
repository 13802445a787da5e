import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { createServerProbe, type ServerProbe } from '../../../src/observe/probe.ts';
import { until } from '../../support/wait.ts';
import { type FakeServer, fakeServer, sqlError, TARGET } from './fake-server.ts';

const ASK = { deadlineMs: 200, files: false };

function probeOf(server: FakeServer, onLost: () => void = () => undefined): ServerProbe {
  let number = 0;
  return createServerProbe({
    target: () => TARGET,
    connect: server.connect,
    clock: systemClock,
    newNumber: () => (number += 1),
    lockName: () => 'the-lock',
    onLost,
  });
}

describe('a server probe', () => {
  test('keeps one session', async () => {
    const server = fakeServer();
    const probe = probeOf(server);
    await Promise.all([probe.probe(ASK), probe.probe(ASK), probe.probe(ASK)]);
    assert.equal(server.attempts, 1);
  });

  test('gives up by the deadline of the call, and dials one at a time', async () => {
    const server = fakeServer({ refuses: 'silent' });
    const probe = probeOf(server);
    const first = probe.probe(ASK);
    const second = probe.probe(ASK);
    await until('it dials', () => server.dialling.size === 1);
    const facts = await Promise.all([first, second]);
    assert.deepEqual(
      facts.map((fact) => !fact.known && fact.code),
      ['Deadline', 'Deadline'],
    );
    assert.equal(server.dialling.size, 0);
  });

  test('a fact says when its look began, and a failure drops the session', async () => {
    const server = fakeServer();
    const probe = probeOf(server);
    const before = systemClock.monotonicMs();
    const fact = await probe.probe(ASK);
    assert.ok(fact.known && fact.at >= before && fact.at <= systemClock.monotonicMs());
    server.answer = (sql) => (sql === 'SHOW MASTER STATUS' ? sqlError('SqlError', 'no', 1) : undefined);
    const failed = await probe.probe(ASK);
    assert.equal(!failed.known && failed.code, 'SqlError');
    assert.deepEqual(probe.fact(), failed);
    assert.equal(server.sessions[0]?.alive, false);
  });

  test('a defect of ours becomes a fact too', async () => {
    const server = fakeServer();
    const probe = probeOf(server);
    server.answer = () => {
      throw new TypeError('a defect');
    };
    const fact = await probe.probe(ASK);
    assert.deepEqual([fact.known, !fact.known && fact.code], [false, 'Bug']);
  });

  test('the lock was held before the look that shows it began, and is tried again until it is taken', async () => {
    const server = fakeServer();
    let taken = '0';
    let lockedAt = 0;
    server.answer = (sql) => {
      if (!sql.includes('GET_LOCK')) return undefined;
      lockedAt = systemClock.monotonicMs();
      return [{ taken }];
    };
    const probe = probeOf(server);
    await probe.probe(ASK);
    assert.equal(probe.lockHeldBy(), null);
    taken = '1';
    const fact = await probe.probe(ASK);
    assert.equal(probe.lockHeldBy(), server.sessions[0]?.connectionId);
    assert.ok(fact.known && fact.at >= lockedAt);
    server.statements.length = 0;
    await probe.probe(ASK);
    assert.equal(
      server.statements.some((sql) => sql.includes('GET_LOCK')),
      false,
    );
  });

  test('a new session shows its lock only together with its own look', async () => {
    const server = fakeServer();
    const probe = probeOf(server);
    await probe.probe(ASK);
    server.sessions[0]?.die();
    assert.equal(probe.lockHeldBy(), null);
    let duringLook: number | null | undefined;
    server.answer = (sql) => {
      if (sql === 'SHOW MASTER STATUS') duringLook = probe.lockHeldBy();
      return undefined;
    };
    await probe.probe(ASK);
    assert.equal(duringLook, null, 'the old look with the new lock would say: another server');
    assert.equal(probe.lockHeldBy(), server.sessions[1]?.connectionId);
  });

  test('tells that a session was lost, but not that it was dropped', async () => {
    const server = fakeServer();
    let lost = 0;
    const probe = probeOf(server, () => (lost += 1));
    await probe.probe(ASK);
    probe.reset();
    assert.equal(lost, 0);
    await probe.probe(ASK);
    server.sessions[1]?.die();
    assert.equal(lost, 1);
    await probe.probe(ASK);
    probe.close();
    assert.equal(lost, 1);
  });

  test('a restart is counted, a reconnect is not', async () => {
    const server = fakeServer();
    const probe = probeOf(server);
    await probe.probe(ASK);
    probe.reset();
    await probe.probe(ASK);
    assert.equal(probe.incarnation()?.number, 1);
    probe.reset();
    server.nextId = 2;
    await probe.probe(ASK);
    assert.equal(probe.incarnation()?.number, 2);
    probe.reset();
    server.startedAt = '1700000005000';
    await probe.probe(ASK);
    assert.equal(probe.incarnation()?.number, 3);
  });

  test('a look that a reset threw away says nothing of the lives of the server', async () => {
    const server = fakeServer();
    const probe = probeOf(server);
    await probe.probe(ASK);
    server.startedAt = '1700000005000';
    server.answer = (sql) => {
      // The answers are all on their way when the account changes.
      if (sql === 'SHOW PROCESSLIST') probe.reset();
      return undefined;
    };
    const before = probe.fact();
    assert.equal(await probe.probe(ASK), before);
    assert.equal(probe.incarnation()?.number, 1);
  });
});
