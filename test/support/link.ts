import type { Account } from './accounts.ts';
import type { MariaDbServer } from './mariadb.ts';

/** Where a server stands in another's history: one of the two ways of saying it is used. */
export interface Position {
  readonly gtid: string;
  readonly file: string;
  readonly position: number;
}

export type LinkMode = 'gtid' | 'file';

export interface LinkOptions {
  readonly host: string;
  readonly port: number;
  readonly account: Account;
  readonly mode: LinkMode;
  /** `'start'`: from the source's first binlog on, for a server that has nothing yet. */
  readonly from: Position | 'start';
  /** First binlog file of the source, needed for `from: 'start'` in file mode. */
  readonly firstFile?: string;
}

/** Makes a server follow another and starts it; whether that works is for the caller to see. */
export async function attach(server: MariaDbServer, link: LinkOptions): Promise<void> {
  const { host, port, account, mode, from } = link;
  const common =
    'MASTER_HOST=?, MASTER_PORT=?, MASTER_USER=?, MASTER_PASSWORD=?, MASTER_CONNECT_RETRY=1, ' +
    // From 11.4 on the default is to insist on TLS, which an older source does not have.
    'MASTER_SSL_VERIFY_SERVER_CERT=0';
  const values = [host, port, account.user, account.password];
  const channel = server.channel === '' ? '' : ` '${server.channel}'`;
  // A channel that was never configured cannot be stopped; the one without a name is always there.
  if (channel === '' || (await slaveStatus(server)) !== undefined) await server.sql(`STOP SLAVE${channel}`);
  if (mode === 'gtid') {
    const gtid = from === 'start' ? '' : from.gtid;
    await server.sql(`SET GLOBAL gtid_slave_pos=?; CHANGE MASTER${channel} TO ${common}, MASTER_USE_GTID=slave_pos`, [
      gtid,
      ...values,
    ]);
  } else {
    const [file, position] = from === 'start' ? [link.firstFile ?? '', 4] : [from.file, from.position];
    const coordinates = 'MASTER_LOG_FILE=?, MASTER_LOG_POS=?, MASTER_USE_GTID=no';
    await server.sql(`CHANGE MASTER${channel} TO ${common}, ${coordinates}`, [...values, file, position]);
  }
  await server.sql(`START SLAVE${channel}`);
}

/** Where a server's own binlog ends now. */
export async function ownPosition(server: MariaDbServer): Promise<Position> {
  const status = await server.row('SHOW MASTER STATUS');
  const gtid = await server.row('SELECT @@gtid_binlog_pos AS gtid');
  return { file: status['File'] ?? '', position: Number(status['Position']), gtid: gtid['gtid'] ?? '' };
}

/** The replication status, or `undefined` where nothing is configured. */
export async function slaveStatus(
  server: MariaDbServer,
  channel: string = server.channel,
): Promise<Readonly<Record<string, string | null>> | undefined> {
  const all = await server.sql('SHOW ALL SLAVES STATUS');
  return all.find((row) => row['Connection_name'] === channel);
}

/** Whether it is fed and has applied what a source's binlog ended with: a row of SHOW MASTER STATUS. */
export async function hasReached(
  server: MariaDbServer,
  end: Readonly<Record<string, string | null>>,
): Promise<boolean> {
  const status = await slaveStatus(server);
  if (status?.['Slave_IO_Running'] !== 'Yes' || status['Slave_SQL_Running'] !== 'Yes') return false;
  const file = status['Relay_Master_Log_File'] ?? '';
  if (file !== end['File']) return file > (end['File'] ?? '');
  return Number(status['Exec_Master_Log_Pos']) >= Number(end['Position']);
}

/** One line for messages and comparisons: is it fed, does it apply, and if not why. */
export async function linkState(server: MariaDbServer): Promise<string> {
  const status = await slaveStatus(server);
  if (status === undefined) return 'no link';
  const errors = [status['Last_IO_Error'], status['Last_SQL_Error']].filter((text) => text !== null && text !== '');
  const threads = `IO=${status['Slave_IO_Running']} SQL=${status['Slave_SQL_Running']}`;
  return [`${threads} from ${status['Master_Host']}`, ...errors].join('; ');
}
