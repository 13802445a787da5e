import assert from 'node:assert/strict';
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, describe, test } from 'node:test';
import { exec } from '../../support/exec.ts';
import { HOST_ACCOUNT, HostSite, createHostAccount } from '../../support/host-site.ts';
import { type TestSession, openSession } from '../../support/mariadb-sql.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { provision } from '../../support/provision.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';

const sandbox = await enterSandbox();
const tools = await provision(() => undefined);
const SERVES = { code: 0, said: '' };
/** The smallest that MariaDB takes. */
const MOST_CONNECTIONS = 10;
/** Two of its own seconds and the time to kill what does not end, on a machine that is busy. */
const LONGEST_MS = 6_000;

describe('check-database.sh', () => {
  let db: MariaDbServer;
  const site = new HostSite('check', tools.mariadb.client);
  const sessions: TestSession[] = [];

  before(async () => {
    db = await startMariaDb({ server: { 'max-connections': MOST_CONNECTIONS } });
    await createHostAccount(db);
    await db.sql('CREATE DATABASE app; CREATE TABLE app.orders (id INT); INSERT INTO app.orders VALUES (1)');
    await db.sql(`GRANT SELECT ON app.orders TO '${HOST_ACCOUNT.user}'@localhost`);
    site.account(db.socket);
  });
  afterEach(async () => {
    for (const session of sessions.splice(0)) session.close();
    db.thaw();
    site.site({});
    site.account(db.socket);
  });
  after(async () => db.stop());

  async function session(): Promise<TestSession> {
    const opened = await openSession({ name: db.name, socketPath: db.socket, user: 'root' });
    sessions.push(opened);
    return opened;
  }

  async function serves(): Promise<void> {
    assert.deepEqual(await site.run('check-database'), SERVES);
  }

  async function cannot(why: RegExp): Promise<void> {
    const { code, said } = await site.run('check-database');
    assert.match(said, why);
    assert.match(said, /^check-database\.sh: cannot serve: .*\n$/u);
    assert.equal(code, 1);
  }

  /** The check is, and so it may not move the VIP. */
  async function broken(why: RegExp): Promise<void> {
    const { code, said } = await site.run('check-database');
    assert.match(said, why);
    assert.match(said, /^check-database\.sh: the check is broken and says nothing about the database: .*\n$/u);
    assert.ok(!said.includes(HOST_ACCOUNT.password));
    assert.equal(code, 0);
  }

  test('a database that answers serves, and nothing is said', serves);

  test('a standby serves: read-only, following nobody that answers, stopped', async () => {
    await db.sql("SET GLOBAL read_only = 1; CHANGE MASTER TO MASTER_HOST = '127.0.0.1', MASTER_PORT = 9");
    await serves();
    await db.sql('RESET SLAVE ALL; SET GLOBAL read_only = 0');
  });

  test('one that is frozen cannot serve, and the check does not hang with it', async () => {
    await db.freeze();
    const start = performance.now();
    await cannot(/ERROR 20\d\d|no answer within 2 s/u);
    assert.ok(performance.now() - start < LONGEST_MS);
  });

  test('no password is seen among the arguments of a process', async () => {
    await db.freeze();
    const { ended } = site.start('check-database');
    const lines = await until('the client asks', () => {
      const all = globSync('/proc/[0-9]*/cmdline').map(commandLine);
      return all.some((line) => line.includes('--defaults-file=')) ? all : undefined;
    });
    assert.deepEqual(
      lines.filter((line) => line.includes(HOST_ACCOUNT.password)),
      [],
    );
    await ended;
  });

  test('when all connections are taken it serves those who are in; where the site says how many are too many, not', async () => {
    const count = "SHOW GLOBAL STATUS LIKE 'Threads_connected'";
    await until('only this session is there', async () => (await db.row(count))['Value'] === '1');
    for (let opened = 0; opened < MOST_CONNECTIONS; opened += 1) await session();
    // The account of accounts.sql is let in all the same, once.
    await serves();
    site.site({ MAX_CONNECTIONS: MOST_CONNECTIONS - 1 });
    await cannot(/more connections than MAX_CONNECTIONS/u);
    site.site({ MAX_CONNECTIONS: MOST_CONNECTIONS + 5 });
    await serves();
    const one = sessions[0];
    assert.ok(one !== undefined);
    await one.sql(`REVOKE CONNECTION ADMIN ON *.* FROM '${HOST_ACCOUNT.user}'@localhost`);
    const { code, said } = await site.run('check-database');
    assert.equal(code, 1, 'with a limit 1040 counts');
    assert.match(said, /ERROR 1040/u);
    site.site({});
    const without = await site.run('check-database');
    assert.equal(without.code, 0, 'without a limit it does not');
    assert.match(without.said, /ERROR 1040/u);
    await one.sql(`GRANT CONNECTION ADMIN ON *.* TO '${HOST_ACCOUNT.user}'@localhost`);
  });

  test('a refused password, a missing grant or a socket that may not be used is the check, not the database', async () => {
    site.account(db.socket, { ...HOST_ACCOUNT, password: 'yesterday' });
    await broken(/ERROR 1045/u);
    site.account(db.socket);
    site.site({ CHECK_TABLE: 'mysql.global_priv' });
    await broken(/ERROR 1142/u);
  });

  test('a site.conf that is missing or malformed, a client that is not there: named, and no reason to move', async () => {
    site.site({ CLIENT: '/nowhere/mariadb' });
    await broken(/the client \/nowhere\/mariadb cannot be run/u);
    site.site({ CLIENT_OPTIONS: '/nowhere/client.cnf' });
    await broken(/CLIENT_OPTIONS: \/nowhere\/client\.cnf cannot be read/u);
    site.site({ MIN_FREE_MB: 'many' });
    await broken(/MIN_FREE_MB is not a whole number/u);
    const trap = join(sandbox, 'trap');
    site.site({ CHECK_TABLE: `$(touch ${trap})` });
    await broken(/CHECK_TABLE has a character other than/u);
    assert.deepEqual(globSync(trap), []);
    rmSync(join(site.directory, 'site.conf'));
    await broken(/site\.conf cannot be read/u);
    site.site({});
    writeFileSync(join(site.directory, 'client.cnf'), 'user=nobody in particular\n');
    await broken(/client\.cnf/u);
  });

  test('the table has to be there, but may be locked', async () => {
    site.site({ CHECK_TABLE: 'app.orders' });
    await serves();
    const lock = await session();
    await lock.sql('LOCK TABLES app.orders WRITE');
    await serves();
    await lock.sql('UNLOCK TABLES');
    await db.sql('RENAME TABLE app.orders TO app.elsewhere');
    await cannot(/ERROR 1146/u);
    await db.sql('RENAME TABLE app.elsewhere TO app.orders');
  });

  test('a full disk is found without writing to it', async () => {
    const disk = join(sandbox, 'disk');
    mkdirSync(disk);
    await exec(['mount', '-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', disk]);
    site.site({ DATADIR: disk, MIN_FREE_MB: 8 });
    await serves();
    writeFileSync(join(disk, 'binlog'), Buffer.alloc(12 * 1024 * 1024));
    await cannot(/only \d+ KiB are free/u);
    await exec(['umount', disk]);
    site.site({ DATADIR: join(disk, 'gone'), MIN_FREE_MB: 8 });
    await broken(/DATADIR/u);
  });

  test('InnoDB in forced recovery or read-only cannot serve', async () => {
    await db.restart({ 'innodb-force-recovery': 1 });
    await cannot(/innodb_force_recovery is 1/u);
    await db.restart({ 'innodb-force-recovery': 0, 'innodb-read-only': 1 });
    await cannot(/InnoDB is read-only/u);
    await db.restart({ 'innodb-read-only': 0 });
    await serves();
  });

  test('one that is dead cannot serve', async () => {
    await db.kill9();
    await cannot(/ERROR 2002/u);
    await db.start();
    await serves();
  });
});

function commandLine(path: string): string {
  try {
    return readFileSync(path, 'utf8').replaceAll('\0', ' ');
  } catch {
    // It ended meanwhile.
    return '';
  }
}
