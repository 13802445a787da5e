import assert from 'node:assert/strict';
import { readdirSync, readlinkSync } from 'node:fs';
import { describe, test } from 'node:test';
import { inspect } from 'node:util';
import { type ErrorCode, MxrError } from '../../../src/errors.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import type { SqlSession, StatementOptions } from '../../../src/sql/port.ts';
import { freePort } from '../../support/mariadb.ts';
import { until } from '../../support/wait.ts';
import {
  PASSWORD,
  errorPacket,
  greeting,
  ok,
  packet,
  scriptedServer,
  speaksMariaDb,
  textResult,
} from './scripted-server.ts';

const CONNECT = { deadlineMs: 5_000 };
const ASK: StatementOptions = { deadlineMs: 5_000, operation: 'look' };
/** Far more than any deadline under test: what takes this long hangs. */
const HANGS = { timeout: 10_000 };

async function failure(promise: Promise<unknown>): Promise<MxrError> {
  const error = await promise.then(
    () => assert.fail('it succeeded'),
    (error: unknown) => error,
  );
  assert.ok(error instanceof MxrError, inspect(error));
  assert.doesNotMatch(inspect(error, { depth: 9, showHidden: true }), /top-secret/);
  assert.doesNotMatch(JSON.stringify(error) + error.stack, /top-secret/);
  return error;
}

async function failsWith(code: ErrorCode, promise: Promise<unknown>): Promise<MxrError> {
  const error = await failure(promise);
  assert.equal(error.code, code, error.message);
  return error;
}

function openSockets(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`).startsWith('socket:');
    } catch {
      return false;
    }
  }).length;
}

describe('connecting', HANGS, () => {
  test('a server that accepts and never greets ends at the deadline', async () => {
    await using server = await scriptedServer(() => undefined);
    const error = await failsWith('Deadline', connectSql(server.target(), { deadlineMs: 100 }));
    assert.match(error.message, /could not connect on member hci-a \(127\.0\.0\.1:\d+\): no answer within 100 ms/);
    assert.equal(error.retryable, true);
  });

  test('a server that greets and never answers the login ends at the deadline', async () => {
    await using server = await scriptedServer((socket) => void socket.write(greeting()));
    await failsWith('Deadline', connectSql(server.target(), { deadlineMs: 100 }));
  });

  test('a server that closes at once, or in the middle of its greeting', async () => {
    await using closing = await scriptedServer((socket) => void socket.end());
    await failsWith('ConnectionLost', connectSql(closing.target(), CONNECT));
    await using cut = await scriptedServer((socket) => void socket.end(greeting().subarray(0, 20)));
    await failsWith('ConnectionLost', connectSql(cut.target(), CONNECT));
  });

  test('something that is not MariaDB', async () => {
    for (const text of ['SSH-2.0-OpenSSH_9.2\r\n', 'HTTP/1.1 400 Bad Request\r\n\r\n', '\x05\0\0\0\x0aabcd']) {
      await using server = await scriptedServer((socket) => void socket.write(text, 'latin1'));
      const error = await failsWith('ProtocolError', connectSql(server.target(), CONNECT));
      assert.match(error.message, /not a MariaDB server/);
    }
  });

  test('nobody listens; the name does not resolve', async () => {
    await using server = await scriptedServer(() => undefined);
    const port = await freePort();
    await failsWith('ConnectionRefused', connectSql(server.target({ port }), CONNECT));
    await failsWith('HostUnresolved', connectSql(server.target({ host: 'no-such-host.invalid' }), CONNECT));
  });

  test('a refusal instead of a greeting, and instead of a login', async () => {
    await using full = await scriptedServer(
      (socket) => void socket.write(errorPacket(0, 1040, 'Too many connections')),
    );
    const error = await failsWith('ConnectionRefused', connectSql(full.target({ tls: { mode: 'Required' } }), CONNECT));
    assert.equal(error.errno, 1040);
    assert.equal(error.retryable, true);
    await using denying = await scriptedServer((socket) => {
      socket.write(greeting());
      socket.on('data', () => socket.write(errorPacket(2, 1045, `Access denied, not ${PASSWORD}`)));
    });
    const denied = await failsWith('AccessDenied', connectSql(denying.target(), CONNECT));
    assert.equal(denied.errno, 1045);
    assert.equal(denied.retryable, false);
  });

  test('the login allows neither several statements in one nor the reading of local files', async () => {
    const logins: Buffer[] = [];
    await using server = await scriptedServer((socket) => {
      socket.write(greeting());
      socket.on('data', (bytes) => {
        logins.push(bytes);
        socket.write(ok(2));
      });
    });
    (await connectSql(server.target(), CONNECT)).destroy();
    const capabilities = logins[0]?.readUInt32LE(4) ?? 0;
    const [localFiles, multiStatements, protocol41] = [0x80, 0x10000, 0x200];
    assert.equal(capabilities & (localFiles | multiStatements | protocol41), protocol41);
  });

  test('an authentication plugin that is not supported is named', async () => {
    const request = packet(2, Buffer.from('\xfeclient_ed25519\0scramble', 'latin1'));
    await using server = await scriptedServer((socket) => {
      socket.write(greeting());
      socket.on('data', () => socket.write(request));
    });
    const error = await failsWith('AccessDenied', connectSql(server.target(), CONNECT));
    assert.match(error.message, /plugin client_ed25519, which mxr does not support/);
  });

  test('abandoned before and during', async () => {
    await using server = await scriptedServer(() => undefined);
    await failsWith('ConnectionLost', connectSql(server.target(), { ...CONNECT, signal: AbortSignal.abort() }));
    assert.equal(server.sockets.length, 0);
    const abort = new AbortController();
    const connecting = connectSql(server.target(), { ...CONNECT, signal: abort.signal });
    await until('it has connected', () => server.sockets.length === 1);
    abort.abort();
    await failsWith('ConnectionLost', connecting);
  });

  test('200 failed connects leave no socket open', async () => {
    await using server = await scriptedServer((socket) => {
      socket.resume();
      if (server.sockets.length % 2 === 0) socket.write(greeting());
    });
    const before = openSockets();
    for (let round = 0; round < 4; round += 1) {
      const attempts = Array.from({ length: 50 }, () => connectSql(server.target(), { deadlineMs: 200 }));
      const outcomes = await Promise.allSettled(attempts);
      assert.ok(outcomes.every(({ status }) => status === 'rejected'));
    }
    assert.ok(server.sockets.length > 1, 'no attempt got as far as a connection');
    await until('the server has seen all of them end', () => server.sockets.every((socket) => socket.closed));
    await until('every socket is gone', () => openSockets() <= before);
  });
});

describe('TLS is decided by what the server offers', HANGS, () => {
  test('strict modes refuse a server without TLS', async () => {
    await using server = await scriptedServer(speaksMariaDb(() => undefined));
    for (const mode of ['Required', 'VerifyCA', 'VerifyIdentity'] as const) {
      const error = await failsWith('TlsRefused', connectSql(server.target({ tls: { mode, ca: 'x' } }), CONNECT));
      assert.match(error.message, /does not offer it/);
    }
  });

  test('Preferred takes a server without TLS in plain text, on the same connection', async () => {
    await using server = await scriptedServer(speaksMariaDb(() => undefined));
    const session = await connectSql(server.target(), CONNECT);
    assert.equal(session.encrypted, false);
    assert.equal(session.serverVersion, '10.11.19-MariaDB-log');
    assert.equal(session.connectionId, 77);
    assert.equal(server.sockets.length, 1);
    session.destroy();
  });

  test('Preferred never falls back after the handshake has failed, and never sends a password', async () => {
    const received: Buffer[] = [];
    await using server = await scriptedServer((socket) => {
      socket.write(greeting({ tls: true }));
      socket.on('data', (bytes) => {
        received.push(bytes);
        socket.write('this is not TLS, this is not TLS');
      });
    });
    await failsWith('TlsRefused', connectSql(server.target(), CONNECT));
    assert.equal(server.sockets.length, 1);
    assert.ok(!Buffer.concat(received).includes('look'), 'the user name was sent in plain text');
  });

  test('a server that offers TLS and closes in the handshake is lost, not refused', async () => {
    await using server = await scriptedServer((socket) => {
      socket.write(greeting({ tls: true }));
      socket.on('data', () => socket.destroy());
    });
    await failsWith('ConnectionLost', connectSql(server.target(), CONNECT));
  });

  test('VerifyCA without a usable CA', async () => {
    await using server = await scriptedServer((socket) => void socket.write(greeting({ tls: true })));
    await failsWith('TlsRefused', connectSql(server.target({ tls: { mode: 'VerifyCA' } }), CONNECT));
    await failsWith('TlsRefused', connectSql(server.target({ tls: { mode: 'VerifyCA', ca: 'not PEM' } }), CONNECT));
  });
});

describe('a session', HANGS, () => {
  async function connected(
    onStatement: Parameters<typeof speaksMariaDb>[0],
    run: (session: SqlSession) => Promise<void>,
  ): Promise<void> {
    await using server = await scriptedServer(speaksMariaDb(onStatement));
    const session = await connectSql(server.target(), CONNECT);
    try {
      await run(session);
    } finally {
      session.destroy();
    }
  }

  test('a server that is silent after the login: the statement ends at its deadline and takes the session with it', () =>
    connected(
      () => undefined,
      async (session) => {
        const queued = failsWith('ConnectionLost', session.query('SELECT 2', [], ASK));
        const error = await failsWith('Deadline', session.query('SELECT 1', [], { ...ASK, deadlineMs: 100 }));
        assert.match(error.message, /could not look on member hci-a .*: no answer within 100 ms/);
        await queued;
        assert.equal(session.alive, false);
        const later = await failsWith('ConnectionLost', session.query('SELECT 3', [], ASK));
        assert.match(later.message, /the session is gone: an earlier statement failed: no answer within 100 ms/);
      },
    ));

  test('a server that dies in the middle of a result', () =>
    connected(
      (_, socket) => void socket.end(packet(1, Buffer.from([3]))),
      async (session) => {
        await failsWith('ConnectionLost', session.query('SELECT 1', [], ASK));
        assert.equal(session.alive, false);
      },
    ));

  test('a server that answers nonsense', () =>
    connected(
      (_, socket) => void socket.write(packet(1, Buffer.from([3, 0xfe, 1, 2, 3, 4]))),
      async (session) => {
        const error = await failure(session.query('SELECT 1', [], { ...ASK, deadlineMs: 500 }));
        assert.ok(['ProtocolError', 'Deadline'].includes(error.code), error.message);
        assert.equal(session.alive, false);
      },
    ));

  test('statements that are asked at once are answered in order; one that fails fails alone', () => {
    const answers = [
      textResult('a', ['1', null]),
      errorPacket(1, 1142, 'not for you'),
      textResult('b', ['ß'.repeat(200)]),
    ];
    let next = 0;
    return connected(
      (_, socket) => {
        const answer = answers[next] ?? ok(1);
        next += 1;
        // In pieces that are no packets.
        for (let at = 0; at < answer.length; at += 7) socket.write(answer.subarray(at, at + 7));
      },
      async (session) => {
        const asked = ['SELECT 1', 'SELECT 2', 'SELECT 3'].map((sql) => session.query(sql, [], ASK));
        const [first, refused, last] = await Promise.allSettled(asked);
        assert.deepEqual(first, { status: 'fulfilled', value: [{ a: '1' }, { a: null }] });
        assert.ok(refused?.status === 'rejected' && (refused.reason as MxrError).code === 'GrantMissing');
        assert.deepEqual(last, { status: 'fulfilled', value: [{ b: 'ß'.repeat(200) }] });
        assert.equal(session.alive, true);
      },
    );
  });

  test('a server that asks for a file of this machine gets none', () => {
    const received: string[] = [];
    return connected(
      (bytes, socket) => {
        received.push(bytes);
        if (received.length === 1) socket.write(packet(1, Buffer.from('\xfb/etc/passwd', 'latin1')));
      },
      async (session) => {
        await failure(session.query('SELECT 1', [], { ...ASK, deadlineMs: 300 }));
        assert.doesNotMatch(received.join(''), /root:/);
      },
    );
  });

  test('errors by class, with the session alive, and no statement in them', () => {
    const cases: [number, ErrorCode, string][] = [
      [1044, 'GrantMissing', "Access denied for user 'look'@'%' to database 'shop'"],
      [1142, 'GrantMissing', "SELECT command denied to user 'look'@'%' for table `mysql`.`gtid_slave_pos`"],
      [1143, 'GrantMissing', "SELECT command denied to user 'look'@'%' for column 'a' in table 'b'"],
      [1227, 'GrantMissing', 'Access denied; you need (at least one of) the SLAVE MONITOR privilege(s)'],
      [1969, 'Deadline', 'Query execution was interrupted (max_statement_time exceeded)'],
      [1198, 'SqlError', 'This operation cannot be performed as you have a running slave'],
      [1205, 'SqlError', 'Lock wait timeout exceeded'],
      [1927, 'ConnectionLost', 'Connection was killed'],
    ];
    const texts = [...cases];
    return connected(
      (_, socket) => {
        const [errno, , text] = texts.shift() ?? [0, 'Bug', ''];
        socket.write(errorPacket(1, errno, text));
      },
      async (session) => {
        for (const [errno, code, text] of cases) {
          const error = await failsWith(code, session.query('CHANGE MASTER TO X=?', [PASSWORD], ASK));
          assert.equal(error.errno, errno);
          assert.ok(error.message.includes(text), error.message);
          assert.equal(error.retryable, [1969, 1205, 1927].includes(errno), String(errno));
          assert.equal(session.alive, true);
        }
      },
    );
  });

  test('what a server quotes of a password is not shown, whole or cut', () => {
    const long = `${'x'.repeat(40)}top-secret`;
    const texts: [number, string][] = [
      [1064, "You have an error in your SQL syntax near 'MASTER_PASSWORD='Pa\\'ss\\\\word-top-secret''"],
      [1470, `String '${long}' is too long`],
      [1470, `String '${long.slice(0, 30)}' is too long`],
    ];
    return connected(
      (_, socket) => {
        const [errno, text] = texts.shift() ?? [0, ''];
        socket.write(errorPacket(1, errno, text));
      },
      async (session) => {
        for (let count = texts.length; count > 0; count -= 1) {
          const error = await failsWith('SqlError', session.query('... MASTER_PASSWORD=?', [long], ASK));
          assert.doesNotMatch(error.message, /MASTER_PASSWORD|xxxxxxxx/);
        }
      },
    );
  });

  test('an aborted statement ends at once', () =>
    connected(
      () => undefined,
      async (session) => {
        const abort = new AbortController();
        const asked = session.query('SELECT 1', [], { ...ASK, signal: abort.signal });
        abort.abort();
        await failsWith('ConnectionLost', asked);
        assert.equal(session.alive, false);
      },
    ));

  test('destroy: pending statements are lost, listeners hear it once, also late ones', () =>
    connected(
      () => undefined,
      async (session) => {
        const heard: string[] = [];
        session.onDead((why) => heard.push(why));
        const asked = failsWith('ConnectionLost', session.query('SELECT 1', [], ASK));
        session.destroy();
        session.destroy();
        await asked;
        session.onDead((why) => heard.push(why));
        assert.deepEqual(heard, ['it was closed by mxr', 'it was closed by mxr']);
      },
    ));

  test('an idle session hears that the server has gone', async () => {
    await using server = await scriptedServer(speaksMariaDb(() => undefined));
    const session = await connectSql(server.target(), CONNECT);
    const dead = new Promise<string>((resolve) => session.onDead(resolve));
    server.sockets[0]?.destroy();
    assert.match(await dead, /closed the connection/);
    assert.equal(session.alive, false);
  });
});
