import type { ErrorCode } from '../errors.ts';

/** One cell as it leaves the port: text for every number and date (64-bit exact), `null` for SQL NULL. */
export type Cell = string | null;
/** One row, keyed by column name as the server spells it. Callers parse with zod; nothing here is trusted. */
export type Row = Readonly<Record<string, Cell>>;

export interface TlsOptions {
  readonly mode: 'Disabled' | 'Preferred' | 'Required' | 'VerifyCA' | 'VerifyIdentity';
  /** PEM. Needed by VerifyCA and VerifyIdentity. */
  readonly ca?: string;
  /** What the certificate must name under VerifyIdentity, where `host` is the address of a name. */
  readonly servername?: string;
}

export interface SqlTarget {
  /** For messages: `member hci-a`, `replica orders-0`, `the VIP`. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** A unix socket of this host, dialled instead of host and port. */
  readonly socketPath?: string;
  readonly user: string;
  readonly password: string;
  readonly tls: TlsOptions;
}

export interface StatementOptions {
  /** Hard deadline of this statement in ms; when it passes the socket is destroyed and the session is dead. */
  readonly deadlineMs: number;
  /** For messages, a verb phrase: `read the replica status`. */
  readonly operation: string;
  readonly signal?: AbortSignal;
}

/** One MariaDB session over one socket: no pool, no reconnect, no retry. Once dead it stays dead. */
export interface SqlSession {
  readonly target: SqlTarget;
  /** The server's connection id of this session. */
  readonly connectionId: number;
  /** Version text of the handshake, e.g. `10.11.19-MariaDB-log`. */
  readonly serverVersion: string;
  readonly encrypted: boolean;
  /** False once the socket is gone for whatever reason. */
  readonly alive: boolean;
  /** `?` placeholders are escaped on the client (works for CHANGE MASTER). Rejects with MxrError only. */
  query(sql: string, params: readonly (string | number | null)[], options: StatementOptions): Promise<readonly Row[]>;
  /** Destroys the socket at once; pending statements reject with `ConnectionLost`. Idempotent, never throws. */
  destroy(): void;
  /** Called once when the session dies, also by `destroy`. Called at once if it is already dead. */
  onDead(listener: (why: string) => void): void;
}

export interface ConnectOptions {
  /** Called when the peer has accepted the TCP connection: somebody is there, whatever comes of it. */
  readonly onReached?: () => void;
  /** Hard deadline from TCP connect to the end of authentication, in ms. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
}

/** The port. Injected everywhere, so that tests can count and scenarios can script it. */
export type SqlConnect = (target: SqlTarget, options: ConnectOptions) => Promise<SqlSession>;

/** The errno classes that callers tell apart (`MxrError.code`). */
export type SqlErrorCode = Extract<
  ErrorCode,
  | 'Deadline'
  | 'ConnectionLost'
  | 'ConnectionRefused'
  | 'HostUnresolved'
  | 'AccessDenied'
  | 'GrantMissing'
  | 'TlsRefused'
  | 'SqlError'
  | 'ProtocolError'
>;
