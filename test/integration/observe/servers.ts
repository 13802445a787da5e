import type { SqlTarget } from '../../../src/sql/port.ts';
import { grantsOf } from '../../support/accounts-page.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';

export const PASSWORD = `q'uo\\te"`;
export const LOOK_GRANTS = grantsOf('mxr_look').join(', ');
export const REPLICA_GRANTS = grantsOf('mxr_replica').join(', ');

/** With the binlog off, so that the account is no transaction of the server. */
export async function createAccount(server: MariaDbServer, user: string, grants: string): Promise<void> {
  await server.sql(
    `SET sql_log_bin = 0; CREATE USER ${user}@'%' IDENTIFIED BY ?; GRANT ${grants} ON *.* TO ${user}@'%'`,
    [PASSWORD],
  );
}

export function targetOf(server: { name: string; host: string; port: number }, user: string): SqlTarget {
  const { name, host, port } = server;
  return { name, host, port, user, password: PASSWORD, tls: { mode: 'Disabled' } };
}

/** Makes `replica` follow `source` by GTID over a channel. */
export async function follow(replica: MariaDbServer, source: MariaDbServer, channel = ''): Promise<void> {
  await replica.sql(
    `CHANGE MASTER '${channel}' TO MASTER_HOST = ?, MASTER_PORT = ${source.port}, MASTER_USER = 'repl', MASTER_PASSWORD = ?,
     MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 3; START SLAVE '${channel}'`,
    [source.host, PASSWORD],
  );
}
