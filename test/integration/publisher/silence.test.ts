import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { LOOK_GRANTS, createAccount } from '../observe/servers.ts';
import { PublisherProcess } from './process.ts';

await enterSandbox();

describe('a database that does not answer', { timeout: 180_000 }, () => {
  let server: MariaDbServer;
  let publisher: PublisherProcess;

  before(async () => {
    server = await startMariaDb({ name: 'hci-a', serverId: 1 });
    await createAccount(server, 'mxr_look', LOOK_GRANTS);
    await server.sql('CREATE DATABASE d; CREATE TABLE d.t (a INT)');
    publisher = await PublisherProcess.start({ name: 'hci-a', server });
  });
  after(async () => {
    await publisher?.end();
    await server?.stop();
  });

  test('because it is frozen: what it said last stays, with its age, until it wakes', async () => {
    const before = await publisher.coordinatesWhen('it answers', (now) => now.databaseAnswers);
    await server.freeze();
    try {
      const silent = await publisher.coordinatesWhen('it is silent', (now) => !now.databaseAnswers, 5_000);
      const { databaseAnswers: _answers, monotonicAgeMs, observedAt, takeover: _takeover, ...values } = silent;
      assert.ok((monotonicAgeMs ?? 0) >= 900, `it is ${monotonicAgeMs} ms old`);
      assert.deepEqual(
        values,
        Object.fromEntries(Object.keys(values).map((key) => [key, before[key as keyof typeof before]])),
      );
      const older = await publisher.coordinatesWhen('it grows older', (now) => (now.monotonicAgeMs ?? 0) > 2_500);
      assert.equal(older.observedAt, observedAt);
    } finally {
      server.thaw();
    }
    await server.sql('INSERT INTO d.t VALUES (1)');
    const awake = await publisher.coordinatesWhen(
      'it is awake',
      (now) => now.databaseAnswers && now.position > before.position,
    );
    assert.equal(awake.identity?.startedAt, before.identity?.startedAt);
  });

  test('because it was killed: noticed at once, and started again it is another life of the same server', async () => {
    const before = await publisher.coordinatesWhen('it answers', (now) => now.databaseAnswers);
    await server.kill9();
    // Far below the deadline of a look: its session breaks.
    await publisher.coordinatesWhen('it is silent', (now) => !now.databaseAnswers, 500);
    assert.equal((await publisher.coordinates()).position, before.position);
    await server.start();
    const again = await publisher.coordinatesWhen('it answers', (now) => now.databaseAnswers);
    assert.ok(Date.parse(again.identity?.startedAt ?? '') > Date.parse(before.identity?.startedAt ?? ''));
    assert.equal(again.file, 'hci-a-bin.000002');
    assert.equal(again.identity?.datadirId, before.identity?.datadirId);
    const roles = (await publisher.journal()).map(({ databaseAnswers, file }) => `${databaseAnswers} ${file}`);
    assert.deepEqual(roles.slice(-2), ['false hci-a-bin.000001', 'true hci-a-bin.000002']);
  });

  test('when the publisher starts: it says what its journal knows', async () => {
    const before = await publisher.coordinatesWhen('it answers', (now) => now.databaseAnswers);
    assert.equal(await publisher.end(), 0);
    await server.stop();
    publisher = await PublisherProcess.start({ name: 'hci-a', server });
    const said = await publisher.coordinates();
    assert.deepEqual(said.identity, before.identity);
    assert.equal(said.position, before.position);
    assert.equal(said.databaseAnswers, false);
    assert.equal(said.monotonicAgeMs, null);
    await server.start();
    const now = await publisher.coordinatesWhen('it answers', ({ databaseAnswers }) => databaseAnswers);
    assert.notEqual(now.file, before.file, 'a start begins a file; its time is in whole seconds');
  });
});
