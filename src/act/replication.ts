import { replicaLockName } from '../api/names.ts';
import type { GtidPosition } from '../domain/gtid.ts';
import { formatPosition } from '../domain/gtid.ts';
import type { Attach, LinkTarget } from '../domain/plan.ts';
import { MxrError } from '../errors.ts';
import type { SqlConnect, SqlSession, SqlTarget } from '../sql/port.ts';

/** How a replica's link is made, beside where it points: everything explicit, for defaults differ between versions. */
export interface LinkSettings {
  readonly channel: string;
  readonly user: string;
  readonly password: string;
  readonly connectRetrySeconds: number;
  readonly heartbeatSeconds: number;
  readonly netTimeoutSeconds: number;
  readonly tls: {
    readonly mode: SqlTarget['tls']['mode'];
    readonly caFile: string;
    readonly certFile: string;
    readonly keyFile: string;
  };
}

/**
 * A session that may change one replica. It holds the replica's mxr lock and dies by itself before the lease of its
 * process can have passed to another: a leader that was frozen finds it gone (handover.md, Fence).
 */
export interface ActingSession {
  readonly session: SqlSession;
  /** Runs one statement if the fence still lets it. Rejects with MxrError; after a missed deadline the session is gone. */
  run(operation: string, sql: string, params?: readonly (string | number | null)[], deadlineMs?: number): Promise<void>;
  close(): void;
}

export interface ActingOptions {
  readonly connect: SqlConnect;
  readonly target: SqlTarget;
  readonly channel: string;
  /** The session must not outlive the fence: its wait_timeout is below this. */
  readonly leaseDurationMs: number;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  /** Throws when this replica may not be acted upon any more. */
  readonly fence: () => void;
}

export async function openActing(options: ActingOptions): Promise<ActingSession> {
  const { connect, target, channel, deadlineMs, signal } = options;
  const session = await connect(target, { deadlineMs, signal });
  const statement = (operation: string, ms = deadlineMs) => ({ operation, deadlineMs: ms, signal });
  try {
    const seconds = Math.max(1, Math.floor(options.leaseDurationMs / 2000));
    // Sent together; the server bounds the session before it gives it the lock.
    const [, rows] = await Promise.all([
      session.query(`SET SESSION wait_timeout = ${seconds}`, [], statement('bound the acting session')),
      session.query('SELECT GET_LOCK(?, 0) AS taken', [replicaLockName(channel)], statement('take the mxr lock')),
    ]);
    if (rows[0]?.['taken'] !== '1') {
      throw new MxrError({
        code: 'FenceLost',
        operation: 'take the mxr lock',
        target: target.name,
        detail: 'another session holds it: another mxr, or one that is ending; nothing is done without it',
        retryable: true,
      });
    }
  } catch (error) {
    session.destroy();
    throw error;
  }
  return {
    session,
    async run(operation, sql, params = [], ms = deadlineMs) {
      options.fence();
      await session.query(sql, params, statement(operation, ms));
    },
    close: () => session.destroy(),
  };
}

/** `'name' ` for a named channel, nothing for the default one. Channel names are checked by the schema (no quotes). */
function channelPart(channel: string): string {
  return channel === '' ? '' : `'${channel.replaceAll("'", '')}' `;
}

export function stopReceivingSql(channel: string): string {
  return `STOP SLAVE ${channelPart(channel)}IO_THREAD`;
}

export function stopSql(channel: string): string {
  return `STOP SLAVE ${channelPart(channel)}`.trimEnd();
}

export function netTimeoutSql(seconds: number): string {
  return `SET GLOBAL slave_net_timeout = ${seconds}`;
}

export function startSql(channel: string, threads: 'Both' | 'Sql' | 'Again', until?: GtidPosition): string {
  const end = until === undefined ? '' : `UNTIL master_gtid_pos = '${formatPosition(until)}'`;
  return `START SLAVE ${channelPart(channel)}${threads === 'Sql' ? 'SQL_THREAD' : end}`.trimEnd();
}

export interface Statement {
  readonly sql: string;
  readonly params: readonly (string | number | null)[];
}

/** Names everything explicitly: host, port, account, coordinates or GTID, retry, heartbeat, TLS. */
export function changeSql(settings: LinkSettings, target: LinkTarget, attach: Attach): Statement {
  const parts: [string, string | number][] = [
    ['MASTER_HOST', target.host],
    ['MASTER_PORT', target.port],
    ['MASTER_USER', settings.user],
    ['MASTER_PASSWORD', settings.password],
    ['MASTER_CONNECT_RETRY', settings.connectRetrySeconds],
    ['MASTER_HEARTBEAT_PERIOD', settings.heartbeatSeconds],
    ...tlsParts(settings.tls),
    ...positionParts(attach),
  ];
  const useGtid = attach.by === 'Gtid' ? 'slave_pos' : 'no';
  const assignments = parts.map(([name]) => `${name} = ?`).join(', ');
  return {
    sql: `CHANGE MASTER ${channelPart(settings.channel)}TO ${assignments}, MASTER_USE_GTID = ${useGtid}`,
    params: parts.map(([, value]) => value),
  };
}

function positionParts(attach: Attach): [string, string | number][] {
  if (attach.by === 'Gtid') return [];
  return [
    ['MASTER_LOG_FILE', attach.at.file],
    ['MASTER_LOG_POS', attach.at.position],
  ];
}

function tlsParts(tls: LinkSettings['tls']): [string, string | number][] {
  if (tls.mode === 'Disabled') return [['MASTER_SSL', 0]];
  const verify = tls.mode === 'VerifyCA' || tls.mode === 'VerifyIdentity' ? 1 : 0;
  return [
    ['MASTER_SSL', 1],
    ['MASTER_SSL_VERIFY_SERVER_CERT', verify],
    ['MASTER_SSL_CA', tls.caFile],
    ['MASTER_SSL_CERT', tls.certFile],
    ['MASTER_SSL_KEY', tls.keyFile],
  ];
}
