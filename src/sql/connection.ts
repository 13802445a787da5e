import { type Socket, connect as connectSocket } from 'node:net';
import { type Connection, type ConnectionOptions, createConnection } from 'mysql2';
import { type SqlFailure, failureOf, sqlError } from './errors.ts';
import { peekGreeting } from './greeting.ts';
import type { ConnectOptions, SqlSession, SqlTarget } from './port.ts';
import { Session, describe, late, lost } from './session.ts';
import { chooseTls } from './tls.ts';

const KEEP_ALIVE_MS = 10_000;

/** Implements the port `SqlConnect`: one mysql2 connection over a socket that is ours to destroy. */
export function connectSql(target: SqlTarget, options: ConnectOptions): Promise<SqlSession> {
  return openSession(target, options);
}

/** Like `connectSql`, for the binlog reader, which takes the stream over once the session is set up. */
export async function openSession(target: SqlTarget, options: ConnectOptions): Promise<Session> {
  const context = { operation: 'connect', target: describe(target), secrets: [target.password] };
  if (options.signal?.aborted === true) throw sqlError(ABANDONED, context);
  const socket = dial(target);
  socket.setKeepAlive(true, KEEP_ALIVE_MS);
  if (options.onReached !== undefined) socket.once('connect', options.onReached);
  const trouble = watchForTrouble(socket, options);
  try {
    const session = await Promise.race([logIn(target, socket, options), trouble.failure]);
    if (session instanceof Session) return session;
    throw sqlError(session, context);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    trouble.release();
  }
}

function dial({ host, port, socketPath }: SqlTarget): Socket {
  return socketPath === undefined ? connectSocket({ host, port, noDelay: true }) : connectSocket({ path: socketPath });
}

const ABANDONED = lost('it was abandoned');

/** Resolves with what ends this attempt from outside: the deadline, the caller's signal, or the network. */
function watchForTrouble(
  socket: Socket,
  { deadlineMs, signal }: ConnectOptions,
): { failure: Promise<SqlFailure>; release(): void } {
  const { promise, resolve } = Promise.withResolvers<SqlFailure>();
  const onAbort = (): void => resolve(ABANDONED);
  const onClose = (): void => resolve(lost('the server closed the connection before the login was done'));
  const timer = setTimeout(() => resolve(late(deadlineMs)), deadlineMs);
  signal?.addEventListener('abort', onAbort, { once: true });
  socket.on('close', onClose);
  // Stays: a socket without an error listener ends the process.
  socket.on('error', (error) => resolve(failureOf(error)));
  return { failure: promise, release };

  function release(): void {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
    socket.off('close', onClose);
  }
}

async function logIn(target: SqlTarget, socket: Socket, options: ConnectOptions): Promise<Session | SqlFailure> {
  const greeting = await peekGreeting(socket);
  if (greeting !== null && 'code' in greeting) return greeting;
  const ssl = chooseTls(target.tls, greeting?.offersTls ?? false);
  // An error packet instead of a greeting says more than the TLS that it does not offer.
  if (ssl !== null && 'code' in ssl && greeting !== null) return ssl;
  const encryption = ssl === null || 'code' in ssl ? {} : { ssl };
  const connection = createConnection({ ...settings(target), ...encryption, stream: socket });
  const failure = await loggedIn(connection, socket);
  if (failure !== null) return failure;
  if (greeting === null)
    return { code: 'ProtocolError', retryable: false, detail: 'the server did not introduce itself' };
  const encrypted = 'ssl' in encryption;
  const session = new Session({ target, socket, connection, greeting, encrypted });
  if (greeting.noBackslashEscapes) await allowEscapes(session, options);
  return session;
}

function settings(target: SqlTarget): ConnectionOptions {
  return {
    // Nothing is dialled by it: it is what a certificate is compared with.
    host: target.tls.servername ?? target.host,
    port: target.port,
    user: target.user,
    password: target.password,
    // Our own deadline covers what this one does not.
    connectTimeout: 0,
    multipleStatements: false,
    // Else a hostile server may ask for any file of this machine.
    flags: ['-LOCAL_FILES'],
    // Else code is made from the column names that the server sends.
    disableEval: true,
    // Nothing here is prepared, and mysql2 would keep room for 16,000 statements per connection: half a MiB each.
    maxPreparedStatements: 1,
    // Every cell as the server wrote it: 64-bit numbers and dates stay exact.
    typeCast: (field) => field.string('utf8'),
  };
}

function loggedIn(connection: Connection, socket: Socket): Promise<SqlFailure | null> {
  return new Promise((resolve) => {
    connection.on('error', (error: unknown) => resolve(failureOf(error)));
    connection.once('connect', () => resolve(null));
    // For a certificate that names an IP address: mysql2 gives TLS no host to compare it with, and TLS then asks the
    // socket, which remembers the names that it looked up, but no address.
    Object.assign(socket, { _host: connection.config.host });
    socket.resume();
  });
}

/** mysql2 escapes with `\`; a server that reads it as an ordinary character would end the string at the next quote. */
async function allowEscapes(session: Session, { deadlineMs }: ConnectOptions): Promise<void> {
  const sql = "SET SESSION sql_mode = REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')";
  await session.query(sql, [], { deadlineMs, operation: 'set up the session' });
}
