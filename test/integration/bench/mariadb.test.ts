import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';

await enterSandbox();

describe('a MariaDB server of the bench', async () => {
  const server = await startMariaDb({ name: 'solo', serverId: 7, server: { 'log-slave-updates': true } });
  after(() => server.stop());

  it('has the options it was given and gives every cell as text', async () => {
    const row = await server.row('SELECT @@server_id id, @@log_slave_updates lsu, 9007199254740993 big, NULL nothing');
    assert.deepEqual({ ...row }, { id: '7', lsu: '1', big: '9007199254740993', nothing: null });
  });

  it('keeps what was committed through kill -9 and through a restart with other options', async () => {
    await server.sql('CREATE DATABASE d; CREATE TABLE d.t (a INT) ENGINE=InnoDB; INSERT INTO d.t VALUES (1)');
    await server.kill9();
    assert.equal(server.running, false);
    await server.start();
    await server.restart({ 'log-slave-updates': false, 'server-id': 8 });
    const row = await server.row('SELECT @@server_id id, @@log_slave_updates lsu, (SELECT SUM(a) FROM d.t) rows_sum');
    assert.deepEqual({ ...row }, { id: '8', lsu: '0', rows_sum: '1' });
  });

  it('answers nothing while frozen, and goes on when thawed', async () => {
    await server.freeze();
    await assert.rejects(server.sql('SELECT 1', [], 300));
    server.thaw();
    assert.equal((await server.sql('SELECT 1')).length, 1);
  });

  it('shows the error log when it cannot start', async () => {
    await assert.rejects(
      server.restart({ 'no-such-option': 1 }),
      /did not start.*unknown variable 'no-such-option=1'/s,
    );
  });
});
