import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import type { Database } from '../../../src/publisher/database.ts';
import { createDatabase } from '../../../src/publisher/database.ts';
import type { FakeServer } from '../observe/fake-server.ts';
import { TARGET, fakeServer, sqlError } from '../observe/fake-server.ts';
import { keptLog } from './parts.ts';

function databaseOn(server: FakeServer, onLost: () => void = () => undefined): Database {
  return createDatabase({
    target: () => TARGET,
    connect: server.connect,
    timeoutMs: 200,
    dataDirectory: null,
    clock: systemClock,
    log: keptLog().log,
    onLost,
  });
}

async function seen(database: Database) {
  const fact = await database.look();
  return fact.known ? fact.value : assert.fail(fact.why);
}

describe('the database of this host', () => {
  test('is looked at as a member, over one session, without a lock', async () => {
    const server = fakeServer();
    const database = databaseOn(server);
    const first = await seen(database);
    await seen(database);
    assert.equal(server.attempts, 1);
    assert.equal(first.look.end?.position, 842);
    assert.ok(!server.statements.some((sql) => sql.includes('GET_LOCK')));
  });

  test('is the same one over another session, and another life when its connection ids begin anew', async () => {
    const server = fakeServer();
    const database = databaseOn(server);
    const first = await seen(database);
    server.sessions.at(-1)?.die();
    const same = await seen(database);
    assert.equal(server.attempts, 2);
    assert.equal(same.incarnation, first.incarnation);
    server.sessions.at(-1)?.die();
    server.nextId = 1;
    assert.ok((await seen(database)).incarnation > same.incarnation);
  });

  test('that does not answer is a fact, within the timeout', async () => {
    const server = fakeServer({ refuses: 'silent' });
    const begun = performance.now();
    const fact = await databaseOn(server).look();
    assert.equal(!fact.known && fact.code, 'Deadline');
    assert.ok(performance.now() - begun < 1_000);
    server.refuses = sqlError('AccessDenied', 'no', 1045);
    const refused = await databaseOn(server).look();
    assert.equal(!refused.known && refused.code, 'AccessDenied');
  });

  test('tells at once that its session is lost', async () => {
    const server = fakeServer();
    let lost = 0;
    await seen(databaseOn(server, () => (lost += 1)));
    server.sessions.at(-1)?.die();
    assert.equal(lost, 1);
  });
});
