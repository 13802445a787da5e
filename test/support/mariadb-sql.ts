import { connect } from 'node:net';
import { type ConnectionOptions, createConnection } from 'mysql2';

/** One row as text, like in `src/sql/port.ts`. */
export type Row = Readonly<Record<string, string | null>>;
export type Params = readonly (string | number | null)[];

export interface SqlAddress {
  /** For messages. */
  readonly name: string;
  readonly user: string;
  readonly password?: string;
  readonly socketPath?: string;
  readonly host?: string;
  readonly port?: number;
  /** The one of statements that name none; filters go by it. */
  readonly database?: string;
}

/** A test's own session. It shares no code with `src/sql`, which the tests judge by it. */
export interface TestSession {
  /** Rows of the last result set of one or more statements. */
  sql(text: string, params?: Params, deadlineMs?: number): Promise<Row[]>;
  close(): void;
}

/** Connects, runs, disconnects. */
export async function runSql(address: SqlAddress, text: string, params: Params, deadlineMs: number): Promise<Row[]> {
  const session = await openSession(address, deadlineMs);
  try {
    return await session.sql(text, params, deadlineMs);
  } finally {
    session.close();
  }
}

export interface OpenOptions {
  /** Ends the attempt; it does not end a session that was opened. */
  readonly signal?: AbortSignal;
  /** The host has taken the connection: what it says comes later. */
  readonly onReached?: () => void;
}

export async function openSession(
  address: SqlAddress,
  deadlineMs = 10_000,
  { signal, onReached }: OpenOptions = {},
): Promise<TestSession> {
  const { name, user, password, socketPath, host, port, database } = address;
  // Our own socket: the client's `destroy` only says goodbye, and waits for a peer that may be gone.
  const socket = socketPath === undefined ? connect({ host, port: port ?? 3306, noDelay: true }) : connect(socketPath);
  if (onReached !== undefined) socket.once('connect', onReached);
  const abandon = (): void => void socket.destroy(new Error('abandoned'));
  signal?.addEventListener('abort', abandon, { once: true });
  const options: ConnectionOptions = {
    user,
    ...(database === undefined ? {} : { database }),
    ...(password === undefined ? {} : { password }),
    stream: socket,
    multipleStatements: true,
    connectTimeout: deadlineMs,
    // Else each connection makes room for 16,000 of them.
    maxPreparedStatements: 1,
    typeCast: (field) => field.string(),
  };
  const connection = createConnection(options);
  // A dying socket also fails the pending statement, which is where it is reported.
  connection.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    connection.connect((error) => (error === null ? resolve() : reject(new Error(`${name}: ${error.message}`))));
  });
  signal?.removeEventListener('abort', abandon);
  return { sql, close };

  function close(): void {
    connection.destroy();
    socket.destroy();
  }

  function sql(text: string, params: Params = [], limitMs = 30_000): Promise<Row[]> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        close();
        reject(new Error(`${name}: no answer within ${limitMs} ms to ${text.slice(0, 200)}`));
      }, limitMs);
      connection.query(text, [...params], (error, result) => {
        clearTimeout(timer);
        if (error !== null) {
          const failure = new Error(`${name}: ${error.message} (in: ${text.slice(0, 200)})`, { cause: error });
          reject(Object.assign(failure, { errno: error.errno }));
        } else resolve(lastRows(result));
      });
    });
  }
}

function lastRows(result: unknown): Row[] {
  if (!Array.isArray(result)) return [];
  const sets = result.filter((set): set is Row[] => Array.isArray(set));
  if (sets.length > 0) return sets.at(-1) ?? [];
  return result.some((row) => 'affectedRows' in row) ? [] : (result as Row[]);
}
