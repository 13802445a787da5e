import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { LinkSettings } from '../../../src/act/replication.ts';
import { changeSql, startSql } from '../../../src/act/replication.ts';
import type { Attach } from '../../../src/domain/plan.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import type { Row, SqlSession, SqlTarget, TlsOptions } from '../../../src/sql/port.ts';
import { type MariaDbServer, type ServerOptions, startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { OTHER_VERSIONS, type VersionName, mariaDbVersion } from '../../support/versions.ts';
import { type MariaDbTools, provision } from '../../support/provision.ts';
import { until } from '../../support/wait.ts';

export { VERSIONS, type VersionName } from '../../support/versions.ts';

/** A version to test, or with `skip` why it is not tested here. */
export interface Version {
  readonly name: VersionName;
  readonly tools?: MariaDbTools;
  readonly skip: string | false;
}

const CONNECT = { deadlineMs: 5_000 };
const PAGE = readFileSync(join(import.meta.dirname, '../../../docs/accounts.md'), 'utf8');

/** Not loopback: to a source there newer replicas connect without verifying its certificate. */
export const ADDRESS = '10.77.7.1';

/** The versions, fetched where they are not cached yet; then enters the sandbox, which has no network. */
export async function prepareVersions(): Promise<Readonly<Record<VersionName, Version>>> {
  const prepared: Version[] = [{ name: 'own', skip: false }];
  for (const name of OTHER_VERSIONS) {
    const found = await mariaDbVersion(name, (line) => void process.stdout.write(`${line}\n`));
    prepared.push(
      'absent' in found ? { name, skip: `MariaDB ${name}: ${found.absent}` } : { name, skip: false, ...found },
    );
  }
  await enterSandbox();
  const { ip } = await provision(() => undefined);
  await promisify(execFile)(ip, ['address', 'add', `${ADDRESS}/32`, 'dev', 'lo']);
  return Object.fromEntries(prepared.map((version) => [version.name, version])) as Record<VersionName, Version>;
}

/** A version, or the one of this machine in its place: what it shows is not left out where it cannot be had. */
export function orOwn({ name, tools, skip }: Version): { readonly title: string; readonly tools?: MariaDbTools } {
  if (skip !== false) return { title: `the MariaDB of this machine (${skip})` };
  return { title: `MariaDB ${name}`, ...(tools === undefined ? {} : { tools }) };
}

/** A server of this version with the accounts of docs/accounts.md, word for word. */
export async function serverOf(
  version: Version,
  role: 'member' | 'replica',
  options: { readonly name: string; readonly serverId: number; readonly server?: ServerOptions },
): Promise<MariaDbServer> {
  const { tools } = version;
  const server = { 'log-slave-updates': true, ...options.server };
  // The name of the server's files ends at a dot.
  const name = options.name.replaceAll('.', '');
  const started = await startMariaDb({
    ...options,
    name,
    host: ADDRESS,
    server,
    ...(tools === undefined ? {} : { tools }),
  });
  const { version: said } = await started.row('SELECT @@version AS version');
  if (version.name !== 'own' && said?.startsWith(version.name) !== true) throw new Error(`${name} is ${said}`);
  const block = new RegExp(`^\`\`\`sql accounts=${role}\\n(.*?)^\`\`\`$`, 'msu').exec(PAGE)?.[1];
  if (block === undefined) throw new Error(`docs/accounts.md has no block accounts=${role}`);
  // What the members have reaches their replicas as transactions; here they shall have none but the tests' own.
  await started.sql(`SET sql_log_bin = 0; ${block}`);
  return started;
}

const ACCOUNTS = {
  mxr_look: 'change-me-look',
  mxr_repl: 'change-me-repl',
  mxr_replica: 'change-me-replica',
} as const;

export function targetOf(
  server: MariaDbServer,
  user: keyof typeof ACCOUNTS,
  mode: TlsOptions['mode'] = 'Preferred',
): SqlTarget {
  const { name, host, port } = server;
  return { name, host, port, user, password: ACCOUNTS[user], tls: { mode } };
}

/** A session of mxr's own with one of the documented accounts. */
export async function withSession<T>(
  server: MariaDbServer,
  user: keyof typeof ACCOUNTS,
  work: (session: SqlSession) => Promise<T>,
): Promise<T> {
  const session = await connectSql(targetOf(server, user), CONNECT);
  try {
    return await work(session);
  } finally {
    session.destroy();
  }
}

/** One statement with the account that mxr uses on replicas. */
export function act(replica: MariaDbServer, sql: string, params: readonly (string | number | null)[] = []) {
  return withSession(replica, 'mxr_replica', (session): Promise<readonly Row[]> =>
    session.query(sql, params, { deadlineMs: 10_000, operation: 'act on the replica' }),
  );
}

export function settingsOf(mode: TlsOptions['mode'], channel = ''): LinkSettings {
  const timing = { connectRetrySeconds: 1, heartbeatSeconds: 2, netTimeoutSeconds: 8 };
  const tls = { mode, caFile: '', certFile: '', keyFile: '' };
  return { channel, user: 'mxr_repl', password: ACCOUNTS.mxr_repl, ...timing, tls };
}

/** Makes and starts a link with mxr's own statements. */
export async function follow(
  replica: MariaDbServer,
  source: MariaDbServer,
  settings: LinkSettings = settingsOf('Preferred'),
  attach: Attach = { by: 'Gtid', gtid: new Map() },
): Promise<void> {
  const link = { member: source.name, host: source.host, port: source.port, through: 'Member' } as const;
  const change = changeSql(settings, link, attach);
  await act(replica, change.sql, change.params);
  await act(replica, startSql(settings.channel, 'Both'));
}

export async function caughtUp(replica: MariaDbServer, source: MariaDbServer): Promise<void> {
  const { gtid } = await source.row('SELECT @@gtid_binlog_pos AS gtid');
  await until(`${replica.name} has applied ${gtid}`, async () => {
    const links = await replica.sql('SHOW ALL SLAVES STATUS');
    const stopped = links.find((link) => link['Last_SQL_Errno'] !== '0' || Number(link['Last_IO_Errno']) === 1236);
    if (stopped !== undefined) throw new Error(`${stopped['Last_SQL_Error']} ${stopped['Last_IO_Error']}`);
    return (await replica.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'] === gtid;
  });
}
