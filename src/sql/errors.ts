import { MxrError } from '../errors.ts';
import type { SqlErrorCode } from './port.ts';

/** What failed and to whom; the secrets are what must not appear in any text. */
export interface SqlContext {
  readonly operation: string;
  readonly target: string;
  readonly secrets: readonly string[];
}

/** A cause in our own words, before it is bound to an operation. */
export interface SqlFailure {
  readonly code: SqlErrorCode;
  readonly detail: string;
  readonly retryable: boolean;
  readonly errno?: number;
}

interface ErrnoClass {
  readonly code: SqlErrorCode;
  readonly retryable: boolean;
}

const DENIED: ErrnoClass = { code: 'AccessDenied', retryable: false };
const UNGRANTED: ErrnoClass = { code: 'GrantMissing', retryable: false };
const REFUSED: ErrnoClass = { code: 'ConnectionRefused', retryable: true };
const LOST: ErrnoClass = { code: 'ConnectionLost', retryable: true };
const AGAIN: ErrnoClass = { code: 'SqlError', retryable: true };

/** MariaDB's numbers, because mysql2 knows no names for errors that only MariaDB has. Everything else is `SqlError`. */
const BY_ERRNO: ReadonlyMap<number, ErrnoClass> = new Map([
  ...[1045, 1130, 1698, 1820, 1862, 4151].map((errno) => [errno, DENIED] as const),
  ...[1044, 1142, 1143, 1227, 1370].map((errno) => [errno, UNGRANTED] as const),
  ...[1040, 1129, 1203, 1226].map((errno) => [errno, REFUSED] as const),
  ...[1053, 1080, 1152, 1159, 1161, 1184, 1927].map((errno) => [errno, LOST] as const),
  ...[1205, 1213].map((errno) => [errno, AGAIN] as const),
  [1969, { code: 'Deadline', retryable: true }],
  [3159, { code: 'TlsRefused', retryable: false }],
]);

/** The server's text of a parse error quotes the statement, and CHANGE MASTER holds a password. */
const QUOTES_STATEMENT: ReadonlySet<number> = new Set([1064, 1149]);

const BY_SYSTEM_CODE: ReadonlyMap<string, ErrnoClass> = new Map([
  ...['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'ENODATA'].map(
    (name) => [name, { code: 'HostUnresolved', retryable: true }] as const,
  ),
  // A refusal is an answer: the host is there. An address that nobody has on the segment (no ARP answer) is silence.
  ['ECONNREFUSED', REFUSED],
  // Of a unix socket: its server is not running.
  ['ENOENT', REFUSED],
  ...['EHOSTUNREACH', 'ENETUNREACH', 'EHOSTDOWN', 'ENETDOWN', 'EADDRNOTAVAIL', 'EACCES'].map(
    (name) => [name, LOST] as const,
  ),
  ...['ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'ECONNABORTED', 'PROTOCOL_CONNECTION_LOST'].map(
    (name) => [name, LOST] as const,
  ),
]);

interface Fields {
  readonly message: string;
  readonly code: string;
  readonly errno: number | undefined;
  readonly syscall: string | undefined;
  readonly fromServer: boolean;
}

/** Says what mysql2, the network or TLS meant. Never keeps the given error: mysql2 puts the whole statement on it. */
export function failureOf(error: unknown): SqlFailure {
  const fields = fieldsOf(error);
  if (fields.fromServer && fields.errno !== undefined) return serverFailure(fields.errno, fields.message);
  if (fields.code === 'HANDSHAKE_SSL_ERROR') return tlsFailure(fields);
  if (fields.code === 'AUTH_SWITCH_PLUGIN_ERROR' || fields.code === 'MYSQL_CLEAR_PASSWORD_NOT_ENABLED') {
    return { ...DENIED, detail: pluginText(fields) };
  }
  if (/^ERR_(OSSL|TLS|SSL)/.test(fields.code)) return { code: 'TlsRefused', retryable: false, detail: fields.message };
  const known = BY_SYSTEM_CODE.get(fields.code);
  if (known !== undefined) return { ...known, detail: fields.message };
  return { code: 'ProtocolError', retryable: false, detail: fields.message };
}

export function serverFailure(errno: number, message: string): SqlFailure {
  const known = BY_ERRNO.get(errno) ?? { code: 'SqlError', retryable: false };
  const text = QUOTES_STATEMENT.has(errno) ? 'the server does not understand the statement' : message;
  const detail = known === UNGRANTED ? `a grant is missing: ${text}` : text;
  return { ...known, errno, detail: `${detail} (error ${errno})` };
}

export function sqlError(failure: SqlFailure, context: SqlContext): MxrError {
  const { operation, target } = context;
  const { code, retryable, errno } = failure;
  const detail = redact(failure.detail, context.secrets);
  return new MxrError({ operation, target, code, retryable, detail, ...(errno === undefined ? {} : { errno }) });
}

/** Servers cut what they quote, so the beginning of a long secret counts as the secret. */
const CUT = 24;

function redact(text: string, secrets: readonly string[]): string {
  let safe = text;
  for (const secret of secrets) {
    if (secret === '') continue;
    safe = safe.replaceAll(secret, '***');
    if (secret.length > CUT) safe = safe.replaceAll(secret.slice(0, CUT), '***');
  }
  return safe;
}

/** A network that breaks during the TLS handshake is no refusal, though mysql2 calls both by one name. */
function tlsFailure(fields: Fields): SqlFailure {
  const lost = fields.syscall !== undefined || fields.message.includes('disconnected before secure TLS');
  if (lost) return { ...LOST, detail: `the connection broke during the TLS handshake: ${fields.message}` };
  return { code: 'TlsRefused', retryable: false, detail: `TLS handshake failed: ${fields.message}` };
}

function pluginText(fields: Fields): string {
  const plugin = /unknown plugin (\S+?)\.? /.exec(fields.message)?.[1] ?? 'mysql_clear_password';
  return `the account uses the authentication plugin ${plugin}, which mxr does not support: use mysql_native_password`;
}

function fieldsOf(error: unknown): Fields {
  const bag = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>;
  const code = typeof bag['code'] === 'string' ? bag['code'] : '';
  return {
    // Several addresses that all failed make an error without a text of its own.
    message: (error instanceof Error && error.message) || code || 'unknown failure',
    code,
    errno: typeof bag['errno'] === 'number' ? bag['errno'] : undefined,
    syscall: typeof bag['syscall'] === 'string' ? bag['syscall'] : undefined,
    fromServer: typeof bag['sqlMessage'] === 'string',
  };
}
