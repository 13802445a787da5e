import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { exec } from './exec.ts';
import { type Position, ownPosition } from './link.ts';
import { openSession } from './mariadb-sql.ts';
import type { MariaDbServer } from './mariadb.ts';

/** Files that belong to the identity or the replication of the donor. */
const NOT_CLONED = /(-bin\.|relay-bin|relay-log|master.*\.info$|^auto\.cnf$|\.pid$)/;

const USER_TABLES = `SELECT CONCAT('\`', table_schema, '\`.\`', table_name, '\`') AS name FROM information_schema.tables
  WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('mysql', 'sys', 'performance_schema', 'information_schema')`;

/**
 * Gives a stopped server an exact copy of a running one's data and returns the donor's position at that moment.
 * Locks on all tables wait until open transactions have ended (a global read lock lets them stop between prepare and
 * commit, and such a copy does not start); then the donor's process is frozen while its files are copied.
 */
export async function cloneData(donor: MariaDbServer, copy: MariaDbServer): Promise<Position> {
  if (copy.running) throw new Error(`${copy.name} runs: stop it before its data is replaced`);
  const session = await openSession({ name: donor.name, user: 'root', socketPath: donor.socket });
  let position: Position;
  try {
    const tables = (await session.sql(USER_TABLES)).map((row) => row['name']);
    await session.sql(`FLUSH TABLES ${tables.join(', ')} WITH READ LOCK`);
    // The last commits may so far be durable in the binlog only, which is not copied.
    await session.sql('FLUSH LOCAL ENGINE LOGS');
    position = await ownPosition(donor);
    await donor.freeze();
    rmSync(copy.datadir, { recursive: true, force: true });
    await exec(['mkdir', '-p', copy.directory]);
    await exec(['cp', '-a', donor.datadir, copy.datadir]);
  } finally {
    donor.thaw();
    session.close();
  }
  for (const name of readdirSync(copy.datadir).filter((name) => NOT_CLONED.test(name))) {
    rmSync(join(copy.datadir, name));
  }
  return position;
}

/**
 * Keeps a copy of a running server's data directory, binlogs included, as it is on disk at this instant. The result
 * puts it back into the stopped server: a machine that lost its last second, the tail of its binlog too.
 */
export async function snapshotData(server: MariaDbServer): Promise<() => Promise<void>> {
  const kept = `${server.datadir}.kept`;
  rmSync(kept, { recursive: true, force: true });
  await server.freeze();
  try {
    await exec(['cp', '-a', server.datadir, kept]);
  } finally {
    server.thaw();
  }
  return async () => {
    if (server.running) throw new Error(`${server.name} runs: kill it before its data is put back`);
    rmSync(server.datadir, { recursive: true, force: true });
    await exec(['mv', kept, server.datadir]);
  };
}
