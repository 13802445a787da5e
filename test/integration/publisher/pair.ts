import type { PublishedTakeover } from '../../../src/api/publisher.ts';
import { attach, ownPosition, slaveStatus } from '../../support/link.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { startMariaDb } from '../../support/mariadb.ts';
import type { MariaDbTools } from '../../support/provision.ts';
import { until } from '../../support/wait.ts';
import { LOOK_GRANTS, PASSWORD, createAccount } from '../observe/servers.ts';

export interface Pair {
  readonly primary: MariaDbServer;
  /** Read-only, by file and position, without log_slave_updates: the usual standby of such pairs. */
  readonly standby: MariaDbServer;
  stop(): Promise<void>;
}

/** Unix sockets have short names only, so these do too. `of`: another version than this machine's. */
export async function startPair(of?: { readonly tools: MariaDbTools; readonly suffix: string }): Promise<Pair> {
  const programs = of === undefined ? {} : { tools: of.tools };
  const [primary, standby] = await Promise.all([
    startMariaDb({ name: `hci-a${of?.suffix ?? ''}`, serverId: 1, ...programs }),
    startMariaDb({ name: `hci-b${of?.suffix ?? ''}`, serverId: 2, server: { 'read-only': true }, ...programs }),
  ]);
  for (const server of [primary, standby]) {
    await createAccount(server, 'repl', 'REPLICATION SLAVE');
    await createAccount(server, 'mxr_look', LOOK_GRANTS);
  }
  await primary.sql('CREATE DATABASE d; CREATE TABLE d.t (a INT AUTO_INCREMENT PRIMARY KEY, b INT)');
  await follow(standby, primary);
  return {
    primary,
    standby,
    stop: async () => {
      await Promise.all([primary.stop(), standby.stop()]);
    },
  };
}

/** From the first binlog file on. */
export async function follow(standby: MariaDbServer, primary: MariaDbServer): Promise<void> {
  const { host, port, name } = primary;
  const account = { user: 'repl', password: PASSWORD };
  await attach(standby, { host, port, account, mode: 'file', from: 'start', firstFile: `${name}-bin.000001` });
  await hasAll(standby, primary);
}

export async function write(server: MariaDbServer, rows: number): Promise<void> {
  for (let row = 0; row < rows; row += 1) await server.sql('INSERT INTO d.t (b) VALUES (?)', [row]);
}

/** Until everything of the primary is applied. */
export async function hasAll(standby: MariaDbServer, primary: MariaDbServer): Promise<void> {
  await until('the standby has applied everything', async () => {
    // Read anew: a file that was begun gets its checkpoint in the background.
    const end = await ownPosition(primary);
    const status = await slaveStatus(standby);
    const at = Number(status?.['Exec_Master_Log_Pos']);
    return status?.['Relay_Master_Log_File'] === end.file && at === end.position;
  });
}

/** Where a standby stands, as its own statements say. */
export async function standing(standby: MariaDbServer) {
  const own = await ownPosition(standby);
  const link = await slaveStatus(standby);
  const { state, gtid } = await standby.row('SELECT @@gtid_binlog_state state, @@gtid_slave_pos gtid');
  return {
    ownFile: own.file,
    ownPosition: own.position,
    peerFile: link?.['Relay_Master_Log_File'] ?? '',
    peerPosition: Number(link?.['Exec_Master_Log_Pos'] ?? 0),
    gtid: gtid ?? '',
    binlogState: state ?? '',
  };
}

/** What a promotion script of such pairs does, and clients that write as soon as they can. */
export async function promote(standby: MariaDbServer): Promise<void> {
  await standby.sql('STOP SLAVE; RESET SLAVE ALL; SET GLOBAL read_only = 0; INSERT INTO d.t (b) VALUES (-1)');
}

/** Where a takeover record says that it was, without when and by whom it was seen. */
export function place(takeover: PublishedTakeover | null) {
  if (takeover === null) return null;
  const { ownFile, ownPosition, peerFile, peerPosition, gtid, binlogState } = takeover;
  return { ownFile, ownPosition, peerFile, peerPosition, gtid, binlogState };
}
