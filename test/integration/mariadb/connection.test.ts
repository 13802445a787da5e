import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';
import { type ErrorCode, MxrError } from '../../../src/errors.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import type { SqlTarget } from '../../../src/sql/port.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { makeCertificates } from '../../support/certificates.ts';

const sandbox = await enterSandbox();
const PASSWORD = `Pa'ss\\word"-top-secret; -- `;
const CONNECT = { deadlineMs: 5_000 };
const ASK = { deadlineMs: 5_000, operation: 'look' };
const HANGS = { timeout: 120_000 };
const { ca, server: tlsOptions } = makeCertificates(join(sandbox, 'tls'), 'IP:127.0.0.1,DNS:db.example');

async function failsWith(code: ErrorCode, promise: Promise<unknown>): Promise<MxrError> {
  const error = await promise.then(
    () => assert.fail('it succeeded'),
    (error: unknown) => error,
  );
  assert.ok(error instanceof MxrError, inspect(error));
  assert.equal(error.code, code, error.message);
  assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }) + JSON.stringify(error), /top-secret/);
  return error;
}

describe('the SQL port on a real server', HANGS, () => {
  let server: MariaDbServer;
  const target = (overrides: Partial<SqlTarget> = {}): SqlTarget => ({
    name: 'replica orders-0',
    host: '127.0.0.1',
    port: server.port,
    user: 'mxr',
    password: PASSWORD,
    tls: { mode: 'Preferred' },
    ...overrides,
  });

  before(async () => {
    server = await startMariaDb({ server: tlsOptions });
    await server.sql(
      'CREATE USER mxr IDENTIFIED BY ?; GRANT REPLICATION SLAVE ADMIN, REPLICATION SLAVE ON *.* TO mxr',
      [PASSWORD],
    );
    await server.sql('CREATE USER look IDENTIFIED BY ?', [PASSWORD]);
  });
  after(() => server.stop());

  test('every cell is text, exact, or null', async () => {
    const session = await connectSql(target(), CONNECT);
    const rows = await session.query(
      `SELECT 9007199254740993 AS big, 18446744073709551615 AS u64, 1.10 AS decimal_, NULL AS nothing, 1 AS one,
         TIMESTAMP '2026-01-02 03:04:05' AS at, ? AS text, CONNECTION_ID() AS id, @@version AS version, '{"a":1}' AS js`,
      ['ß" \' \\ 日本'],
      ASK,
    );
    assert.deepEqual(rows, [
      {
        big: '9007199254740993',
        u64: '18446744073709551615',
        decimal_: '1.10',
        nothing: null,
        one: '1',
        at: '2026-01-02 03:04:05',
        text: 'ß" \' \\ 日本',
        id: String(session.connectionId),
        version: session.serverVersion,
        js: '{"a":1}',
      },
    ]);
    assert.deepEqual(await session.query('DO 1', [], ASK), []);
    session.destroy();
  });

  test('a statement after a statement is refused', async () => {
    const session = await connectSql(target(), CONNECT);
    await failsWith('SqlError', session.query('SELECT 1; SELECT 2', [], ASK));
    session.destroy();
  });

  test('CHANGE MASTER with a password that has quotes and backslashes', async () => {
    const session = await connectSql(target(), CONNECT);
    const sql = "CHANGE MASTER TO MASTER_HOST='127.0.0.1', MASTER_PORT=?, MASTER_USER='mxr', MASTER_PASSWORD=?";
    await session.query(sql, [server.port, PASSWORD], ASK);
    session.destroy();
    // Only a wrong password shows as 1045; this server cannot replicate from itself (1593), which proves the login.
    await server.sql('START SLAVE IO_THREAD');
    const errno = await until('the replica has said how its login went', async () => {
      const status = await server.row('SHOW SLAVE STATUS');
      return status['Last_IO_Errno'] === '0' ? false : status['Last_IO_Errno'];
    });
    assert.equal(errno, '1593');
    await server.sql('STOP SLAVE; RESET SLAVE ALL');
  });

  test('also on a server that reads a backslash as itself', async () => {
    await server.sql("SET GLOBAL sql_mode = CONCAT(@@GLOBAL.sql_mode, ',NO_BACKSLASH_ESCAPES')");
    const session = await connectSql(target(), CONNECT);
    const [row] = await session.query('SELECT ? AS text', [PASSWORD], ASK);
    assert.equal(row?.['text'], PASSWORD);
    session.destroy();
    await server.sql("SET GLOBAL sql_mode = REPLACE(@@GLOBAL.sql_mode, 'NO_BACKSLASH_ESCAPES', '')");
  });

  test('errors by class', async () => {
    await failsWith('AccessDenied', connectSql(target({ password: 'wrong top-secret' }), CONNECT));
    await failsWith('AccessDenied', connectSql(target({ user: 'nobody' }), CONNECT));
    const session = await connectSql(target({ user: 'look' }), CONNECT);
    const missing = await failsWith('GrantMissing', session.query('SHOW ALL SLAVES STATUS', [], ASK));
    assert.match(missing.message, /SLAVE MONITOR/);
    assert.equal(missing.errno, 1227);
    await failsWith('GrantMissing', session.query('SELECT * FROM mysql.gtid_slave_pos', [], ASK));
    const broken = await failsWith('SqlError', session.query('CHANGE MASTER TO MASTER_PASSWORD=? !', [PASSWORD], ASK));
    assert.equal(broken.errno, 1064);
    const slow = session.query('SET STATEMENT max_statement_time=0.1 FOR SELECT SLEEP(5)', [], ASK);
    assert.equal((await failsWith('Deadline', slow)).errno, 1969);
    assert.equal(session.alive, true);
    session.destroy();
  });

  test('a slow statement ends at its deadline', async () => {
    const session = await connectSql(target(), CONNECT);
    await failsWith('Deadline', session.query('SELECT SLEEP(30)', [], { ...ASK, deadlineMs: 200 }));
    assert.equal(session.alive, false);
  });

  test('a server frozen before the connect, in a session, and in TLS', async () => {
    const plain = await connectSql(target({ tls: { mode: 'Disabled' } }), CONNECT);
    const encrypted = await connectSql(target({ tls: { mode: 'Required' } }), CONNECT);
    await server.freeze();
    try {
      for (const session of [plain, encrypted]) {
        await failsWith('Deadline', session.query('SELECT 1', [], { ...ASK, deadlineMs: 200 }));
        await failsWith('ConnectionLost', session.query('SELECT 1', [], ASK));
      }
      await failsWith('Deadline', connectSql(target(), { deadlineMs: 200 }));
    } finally {
      server.thaw();
    }
  });

  test('a killed session, and a killed server', async () => {
    const session = await connectSql(target(), CONNECT);
    const dead = new Promise<string>((resolve) => session.onDead(resolve));
    await server.sql(`KILL ${session.connectionId}`);
    await dead;
    const asking = await connectSql(target({ tls: { mode: 'Required' } }), CONNECT);
    const asked = failsWith('ConnectionLost', asking.query('SELECT SLEEP(30)', [], ASK));
    await server.kill9();
    await asked;
    await failsWith('ConnectionRefused', connectSql(target(), CONNECT));
    await server.start();
  });

  test('TLS modes against a certificate for 127.0.0.1 and db.example', async () => {
    for (const mode of ['Preferred', 'Required', 'VerifyCA', 'VerifyIdentity'] as const) {
      const session = await connectSql(target({ tls: { mode, ca } }), CONNECT);
      assert.equal(session.encrypted, true, mode);
      const [row] = await session.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'", [], ASK);
      assert.notEqual(row?.['Value'], '', mode);
      session.destroy();
    }
    const plain = await connectSql(target({ tls: { mode: 'Disabled' } }), CONNECT);
    assert.equal(plain.encrypted, false);
    plain.destroy();
    const other = makeCertificates(join(sandbox, 'other'), 'IP:127.0.0.1').ca;
    await failsWith('TlsRefused', connectSql(target({ tls: { mode: 'VerifyCA', ca: other } }), CONNECT));
    await failsWith('TlsRefused', connectSql(target({ tls: { mode: 'VerifyIdentity', ca: other } }), CONNECT));
  });

  test('VerifyIdentity refuses a certificate for another address or name; VerifyCA does not ask', async () => {
    const wrong = makeCertificates(join(sandbox, 'wrong'), 'IP:127.0.0.9,DNS:localhost');
    const other = await startMariaDb({ server: wrong.server });
    const port = other.port;
    await other.sql('CREATE USER mxr IDENTIFIED BY ?', [PASSWORD]);
    const refused = connectSql(target({ port, tls: { mode: 'VerifyIdentity', ca: wrong.ca } }), CONNECT);
    assert.match((await failsWith('TlsRefused', refused)).message, /127\.0\.0\.1/);
    const session = await connectSql(target({ port, tls: { mode: 'VerifyCA', ca: wrong.ca } }), CONNECT);
    session.destroy();
    await other.stop();
  });

  test('a session that is closed leaves no trace of an abort on the server', async () => {
    await server.sql('GRANT PROCESS ON *.* TO mxr');
    const watch = await connectSql(target(), CONNECT);
    const counts = (): Promise<unknown> => watch.query("SHOW GLOBAL STATUS LIKE 'Aborted_c%'", [], ASK);
    const before = await counts();
    for (const mode of ['Disabled', 'Required'] as const) {
      const session = await connectSql(target({ tls: { mode } }), CONNECT);
      await session.query('SELECT 1', [], ASK);
      session.destroy();
      await until('the server has ended the session', async () => {
        const sql = 'SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = ?';
        return (await watch.query(sql, [session.connectionId], ASK)).length === 0;
      });
    }
    assert.deepEqual(await counts(), before);
    watch.destroy();
  });
});
