import { z } from 'zod';
import type { Clock } from '../../clock.ts';
import { isMxrError } from '../../errors.ts';
import type { Row, SqlConnect, SqlSession, SqlTarget } from '../../sql/port.ts';
import type { Refusal, RefusalReason } from './refusal.ts';

/** What an account is for: to look at a member, to be given to the replicas, to act on a replica. */
export const ACCOUNT_USES = ['look', 'replication', 'replica'] as const;
export type AccountUse = (typeof ACCOUNT_USES)[number];

export interface AccountCheck {
  readonly use: AccountUse;
  readonly target: SqlTarget;
  /** Where the account comes from, for messages. */
  readonly secretName: string;
  /** Replicas only: mxr keeps `read_only=1`. */
  readonly keepsReadOnly: boolean;
}

export type AccountAnswer =
  | { readonly state: 'Fine' }
  | { readonly state: 'Refused'; readonly refusal: Refusal }
  /** The server could not be asked: says nothing about the account. */
  | { readonly state: 'Unknown'; readonly why: string };

export interface AccountCheckOptions {
  readonly connect: SqlConnect;
  readonly clock: Clock;
  /** Of the whole check, in ms. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** Asks the server itself whether it lets the account do what mxr will do with it. Changes nothing. Never rejects. */
export async function checkAccount(check: AccountCheck, options: AccountCheckOptions): Promise<AccountAnswer> {
  const { clock, signal } = options;
  const end = clock.monotonicMs() + options.deadlineMs;
  const leftMs = (): number => Math.max(1, end - clock.monotonicMs());
  let session: SqlSession | null = null;
  try {
    session = await options.connect(check.target, { deadlineMs: leftMs(), signal });
    const version = versionOf(session.serverVersion);
    if (version === null) return refused('UnsupportedServer', unsupported(check.target, session.serverVersion));
    const operation = 'read the grants of its account';
    const statement = (): { deadlineMs: number; operation: string; signal: AbortSignal } => {
      return { deadlineMs: leftMs(), operation, signal };
    };
    const [row] = await session.query('SELECT CURRENT_USER() AS account', [], statement());
    const grants = parseGrants(await session.query('SHOW GRANTS', [], statement()));
    const missing = missingGrants(requiredGrants(check, version), grants, version);
    if (missing.length === 0) return { state: 'Fine' };
    return refused('GrantMissing', lacking(check, missing, AccountRow.parse(row).account));
  } catch (error) {
    return answerOf(check, error);
  } finally {
    session?.destroy();
  }
}

const AccountRow = z.object({ account: z.string() });

/** A server that runs without grants lets everybody do everything. */
const ER_OPTION_PREVENTS_STATEMENT = 1290;

function answerOf(check: AccountCheck, error: unknown): AccountAnswer {
  if (!isMxrError(error)) return { state: 'Unknown', why: error instanceof Error ? error.message : String(error) };
  const where = `${check.target.name} (${check.target.host}:${check.target.port})`;
  switch (error.code) {
    case 'AccessDenied': {
      const account = `the account '${shown(check.target.user)}' of Secret ${check.secretName}`;
      const message = `${where} refuses ${account}: ${error.detail}; correct the Secret, or the account on that server`;
      return refused('AccessDenied', message);
    }
    case 'TlsRefused': {
      const field = check.use === 'replica' ? 'replicas.tls' : 'source.tls';
      return refused('TlsRefused', `${where}: ${error.detail}; correct ${field}, or the server's certificate`);
    }
    case 'ProtocolError':
      return refused('UnsupportedServer', `${where} is not MariaDB 10.5 or later: ${error.detail}`);
    default:
      if (error.errno === ER_OPTION_PREVENTS_STATEMENT) return { state: 'Fine' };
      return { state: 'Unknown', why: error.message };
  }
}

function refused(reason: RefusalReason, message: string): AccountAnswer {
  return { state: 'Refused', refusal: { reason, message } };
}

/** `[10, 11, 6]`; null: not MariaDB 10.5 or later. */
export function versionOf(text: string): readonly [number, number, number] | null {
  const found = /^(\d+)\.(\d+)\.(\d+)/.exec(text);
  if (found === null || !/mariadb/i.test(text)) return null;
  const version = [Number(found[1]), Number(found[2]), Number(found[3])] as const;
  return isAtLeast(version, [10, 5, 0]) ? version : null;
}

type Version = readonly [number, number, number];

function isAtLeast(version: Version, least: Version): boolean {
  const at = version.findIndex((part, index) => part !== least[index]);
  return at < 0 || (version[at] ?? 0) > (least[at] ?? 0);
}

function unsupported({ name, host, port }: SqlTarget, version: string): string {
  return `${name} (${host}:${port}) is ${shown(version)}; mxr follows MariaDB 10.5 or later`;
}

const REPLICA_GRANTS = ['REPLICATION SLAVE ADMIN', 'SLAVE MONITOR', 'BINLOG MONITOR', 'REPLICATION SLAVE'];

/** docs/accounts.md says what each is for. */
export function requiredGrants({ use, keepsReadOnly }: AccountCheck, version: Version): readonly string[] {
  const grants = {
    look: ['SLAVE MONITOR', 'BINLOG MONITOR', 'PROCESS'],
    replication: ['REPLICATION SLAVE'],
    replica: keepsReadOnly ? [...REPLICA_GRANTS, 'READ_ONLY ADMIN'] : REPLICA_GRANTS,
  }[use];
  // SLAVE MONITOR is from 10.5.9; before, this one shows the status.
  const monitor = isAtLeast(version, [10, 5, 9]) ? 'SLAVE MONITOR' : 'REPLICATION SLAVE ADMIN';
  return [...new Set(grants.map((grant) => (grant === 'SLAVE MONITOR' ? monitor : grant)))];
}

/** What servers print for a grant that has two names, and what older ones printed. */
const ALIASES = new Map([
  ['REPLICATION CLIENT', 'BINLOG MONITOR'],
  ['REPLICA MONITOR', 'SLAVE MONITOR'],
  ['REPLICATION REPLICA', 'REPLICATION SLAVE'],
  ['REPLICATION REPLICA ADMIN', 'REPLICATION SLAVE ADMIN'],
  ['ALL', 'ALL PRIVILEGES'],
]);
const GLOBAL_GRANT = /^GRANT ([A-Z_, ]+) ON \*\.\* TO /;

/** The global privileges of SHOW GRANTS; it prints those of the active role and of PUBLIC too. */
export function parseGrants(rows: readonly Row[]): ReadonlySet<string> {
  const lines = rows.flatMap((row) => Object.values(row));
  const lists = lines.map((line) => GLOBAL_GRANT.exec(line ?? '')?.[1] ?? '');
  const names = lists.flatMap((list) => list.split(',').map((name) => name.trim()));
  return new Set(names.filter((name) => name !== '').map((name) => ALIASES.get(name) ?? name));
}

const UNDER_SUPER = ['REPLICATION SLAVE ADMIN', 'SLAVE MONITOR', 'BINLOG MONITOR'];

export function missingGrants(
  required: readonly string[],
  granted: ReadonlySet<string>,
  version: Version,
): readonly string[] {
  if (granted.has('ALL PRIVILEGES')) return [];
  const has = (grant: string): boolean => granted.has(grant) || (granted.has('SUPER') && inSuper(grant, version));
  return required.filter((grant) => !has(grant));
}

/** SUPER was taken apart: read_only left it with 10.11, everything else with 11.0. */
function inSuper(grant: string, version: Version): boolean {
  if (grant === 'READ_ONLY ADMIN') return !isAtLeast(version, [10, 11, 0]);
  return UNDER_SUPER.includes(grant) && !isAtLeast(version, [11, 0, 0]);
}

function lacking({ use, target, secretName }: AccountCheck, missing: readonly string[], account: string): string {
  const grants = missing.join(', ');
  const statement = `GRANT ${grants} ON *.* TO ${quoted(account)}`;
  const where = `${target.name} (${target.host}:${target.port})`;
  const cure =
    use === 'replica'
      ? `run there: SET SESSION sql_log_bin = 0; ${statement};`
      : `run on the primary (on that server, where the pair does not replicate accounts): ${statement};`;
  return `the account ${quoted(account)} of Secret ${secretName} lacks ${grants} on ${where}; ${cure}`;
}

/** `user@host` as CURRENT_USER() prints it, as a statement takes it; a user's name may have an @ of its own. */
function quoted(account: string): string {
  const at = account.lastIndexOf('@');
  const part = (text: string): string => `'${shown(text).replaceAll(/['\\]/g, '\\$&')}'`;
  return `${part(account.slice(0, at))}@${part(account.slice(at + 1))}`;
}

/** What a server or a Secret says, fit for a message. */
function shown(text: string): string {
  return text.replaceAll(/\p{C}/gu, '?').slice(0, 128);
}
