import type { Replica } from '../../support/bench.ts';
import { slaveStatus } from '../../support/link.ts';
import type { TestSession } from '../../support/mariadb-sql.ts';
import { openSession } from '../../support/mariadb-sql.ts';
import { until } from '../../support/wait.ts';

const BLOCKED_MS = 120_000;

/**
 * A backup holds a lock on the replica, so its applier stands still, and has asked for STOP SLAVE SQL_THREAD, which waits
 * for the applier; every further STOP SLAVE there waits for that one, and no client can end it (facts/mariadb.md §5). Needs
 * an application that writes. The result releases all of it, and the applier goes on.
 */
export async function blockStop(replica: Replica): Promise<() => Promise<void>> {
  const { name, db } = replica;
  const lock = await session(replica);
  await lock.sql('LOCK TABLES app.plain READ, app.auto READ, app.hot READ, app.firsts READ');
  await until(`the applier of ${name} waits`, async () => {
    const status = await slaveStatus(db);
    return status?.['Read_Master_Log_Pos'] !== status?.['Exec_Master_Log_Pos'];
  });
  const backup = await session(replica);
  const stopping = backup.sql('STOP SLAVE SQL_THREAD', [], BLOCKED_MS);
  // It is awaited below; a test that ends before shall end for its own reason.
  stopping.catch(() => undefined);
  await until('the backup waits for the applier', () => runs(replica, 'STOP SLAVE SQL_THREAD'));
  return async () => {
    lock.close();
    await stopping;
    await backup.sql('START SLAVE SQL_THREAD');
    backup.close();
  };
}

/** Whether a session of this replica is in the middle of exactly this statement. */
export async function runs({ db }: Replica, statement: string): Promise<boolean> {
  const found = await db.sql('SELECT 1 FROM information_schema.processlist WHERE info = ?', [statement]);
  return found.length > 0;
}

async function session({ name, db }: Replica): Promise<TestSession> {
  return openSession({ name, user: 'root', socketPath: db.socket });
}
