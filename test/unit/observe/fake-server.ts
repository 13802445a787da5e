import { MxrError } from '../../../src/errors.ts';
import type { ConnectOptions, Row, SqlConnect, SqlErrorCode, SqlSession, SqlTarget } from '../../../src/sql/port.ts';

export const TARGET: SqlTarget = {
  name: 'member a',
  host: '10.0.0.11',
  port: 3306,
  user: 'look',
  password: 'secret',
  tls: { mode: 'Disabled' },
};

export function sqlError(code: SqlErrorCode, detail: string, errno?: number): MxrError {
  const shape = { operation: 'read', target: 'member a', code, detail, retryable: true };
  return new MxrError(errno === undefined ? shape : { ...shape, errno });
}

export const LINK_ROW: Row = {
  Connection_name: '',
  Master_Host: '10.0.0.11',
  Master_Port: '3306',
  Master_User: 'repl',
  Slave_IO_Running: 'Yes',
  Slave_SQL_Running: 'Yes',
  Slave_IO_State: 'Waiting for master to send event',
  Slave_SQL_Running_State: 'Slave has read all relay log; waiting for more updates',
  Master_Server_Id: '1',
  Master_Log_File: 'a-bin.000002',
  Read_Master_Log_Pos: '9007199254740991',
  Relay_Master_Log_File: 'a-bin.000002',
  Exec_Master_Log_Pos: '700',
  Using_Gtid: 'Slave_Pos',
  Gtid_IO_Pos: '0-1-9',
  Last_IO_Errno: '0',
  Last_IO_Error: '',
  Last_SQL_Errno: '0',
  Last_SQL_Error: '',
  Seconds_Behind_Master: null,
  SQL_Delay: '0',
  Master_SSL_Allowed: 'No',
  Connect_Retry: '1',
  Replicate_Do_DB: 'orders',
};

const VARIABLES: Row = {
  hostname: 'hci-a',
  server_id: '1',
  server_uid: 'uid-a',
  port: '3306',
  datadir: '/var/lib/mysql/',
  read_only: '0',
  version: '10.11.19-MariaDB-log',
  log_bin: '1',
  log_slave_updates: '1',
  log_bin_basename: '/var/lib/mysql/a-bin',
  gtid_domain_id: '0',
  gtid_binlog_pos: '0-1-9',
  gtid_binlog_state: '0-2-4,0-1-9',
  gtid_slave_pos: '0-2-4',
  sync_binlog: '1',
  slave_net_timeout: '60',
  slave_parallel_threads: '0',
  gtid_strict_mode: '0',
  binlog_format: 'MIXED',
  binlog_row_image: 'FULL',
  slave_skip_errors: 'OFF',
};

export type Answer = readonly Row[] | MxrError | Promise<readonly Row[]>;

/** A server as its sessions see it. Tests change its fields while it runs. */
export interface FakeServer {
  readonly connect: SqlConnect;
  /** Statements so far, of all sessions. */
  readonly statements: string[];
  /** Sessions that were opened, the newest last. */
  readonly sessions: FakeSession[];
  /** Of attempts that have neither succeeded nor failed, with what each was asked. */
  readonly dialling: Set<ConnectOptions & { readonly onReached?: () => void }>;
  attempts: number;
  variables: Row;
  startedAt: string;
  nextId: number;
  /** Overrides answers: undefined means the ordinary one. */
  answer: (sql: string) => Answer | undefined;
  /** Null: takes connections. `silent`: neither. */
  refuses: MxrError | 'silent' | null;
}

export interface FakeSession extends SqlSession {
  /** The server or the network ends it. */
  die(): void;
}

export function fakeServer(overrides: Partial<FakeServer> = {}): FakeServer {
  const server: FakeServer = {
    connect,
    statements: [],
    sessions: [],
    dialling: new Set(),
    attempts: 0,
    variables: VARIABLES,
    startedAt: '1700000000000',
    nextId: 10,
    answer: () => undefined,
    refuses: null,
    ...overrides,
  };
  return server;

  async function connect(target: SqlTarget, options: ConnectOptions): Promise<SqlSession> {
    server.attempts += 1;
    if (server.refuses === 'silent') await silence(options);
    else if (server.refuses !== null) throw server.refuses;
    const session = openSession(server, target);
    server.sessions.push(session);
    return session;
  }

  /** Rejects as the port does, by its deadline or its signal. */
  function silence(options: ConnectOptions): Promise<void> {
    server.dialling.add(options);
    return new Promise<void>((_, reject) => {
      const timer = setTimeout(() => reject(sqlError('Deadline', 'no answer')), options.deadlineMs);
      options.signal?.addEventListener('abort', () => {
        clearTimeout(timer);
        reject(sqlError('ConnectionLost', 'it was abandoned'));
      });
    }).finally(() => server.dialling.delete(options));
  }
}

function openSession(server: FakeServer, target: SqlTarget): FakeSession {
  const listeners: ((why: string) => void)[] = [];
  let alive = true;
  const connectionId = (server.nextId += 1);
  return {
    target,
    connectionId,
    serverVersion: '5.5.5-10.11.19-MariaDB',
    encrypted: false,
    get alive() {
      return alive;
    },
    query,
    destroy: die,
    die,
    onDead,
  };

  async function query(sql: string): Promise<readonly Row[]> {
    if (!alive) throw sqlError('ConnectionLost', 'the session is gone');
    server.statements.push(sql);
    const answer = server.answer(sql) ?? ordinary(server, sql, connectionId);
    if (answer instanceof MxrError) throw answer;
    return answer;
  }

  function onDead(listener: (why: string) => void): void {
    listeners.push(listener);
  }

  function die(): void {
    if (!alive) return;
    alive = false;
    for (const listener of listeners) listener('it died');
  }
}

function ordinary(server: FakeServer, sql: string, connectionId: number): readonly Row[] {
  if (sql.includes('@@global.')) {
    const columns = [...sql.matchAll(/@@global\.(\w+) AS/g)].map((match) => match[1] ?? '');
    const locks = [...sql.matchAll(/AS (lock_\d+)/g)].map((match) => [match[1] ?? '', null] as const);
    const selected = columns.map((name) => [name, server.variables[name] ?? null] as const);
    const identity = { connection_id: String(connectionId), started_at: server.startedAt };
    return [{ ...identity, ...Object.fromEntries(locks), ...Object.fromEntries(selected) }];
  }
  if (sql === 'SHOW MASTER STATUS') {
    return [{ File: 'a-bin.000002', Position: '842', Binlog_Do_DB: '', Binlog_Ignore_DB: '' }];
  }
  if (sql === 'SHOW BINARY LOGS') return [{ Log_name: 'a-bin.000002', File_size: '842' }];
  if (sql.includes('GET_LOCK')) return [{ taken: '1' }];
  return [];
}
