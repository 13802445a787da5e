import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { Account } from '../../support/accounts.ts';
import { exec } from '../../support/exec.ts';
import { HOST_ACCOUNT, HostSite, createHostAccount } from '../../support/host-site.ts';
import { attach, ownPosition, slaveStatus } from '../../support/link.ts';
import { openSession } from '../../support/mariadb-sql.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { provision } from '../../support/provision.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';

await enterSandbox();
const tools = await provision(() => undefined);
const VIP = '10.66.0.100';
const LINK: Account = { user: 'pair_repl', password: 'never-in-a-log' };

describe('promote.sh and demote.sh', () => {
  let a: MariaDbServer;
  let b: MariaDbServer;
  let rows = 0;
  const site = new HostSite('notify', tools.mariadb.client, { VIP });

  before(async () => {
    a = await startMariaDb({ name: 'a', serverId: 1 });
    b = await startMariaDb({ name: 'b', serverId: 2, server: { 'slave-parallel-threads': 2, 'read-only': 1 } });
    await a.sql(`CREATE USER ${LINK.user}@'%' IDENTIFIED BY ?; GRANT REPLICATION SLAVE ON *.* TO ${LINK.user}@'%'`, [
      LINK.password,
    ]);
    await createHostAccount(a);
    await a.sql('CREATE DATABASE app; CREATE TABLE app.orders (id INT)');
    const source = { host: a.host, port: a.port, account: LINK, firstFile: 'a-bin.000001' };
    await attach(b, { ...source, mode: 'file', from: 'start' });
    await applied();
    site.account(b.socket);
    await vip('add');
  });
  beforeEach(async () => {
    site.site({});
    await b.sql('STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 0; START SLAVE; SET GLOBAL read_only = 1');
    await applied();
  });
  after(async () => {
    await Promise.all([a.stop(), b.stop()]);
  });

  async function write(): Promise<void> {
    rows += 1;
    await a.sql('INSERT INTO app.orders VALUES (?)', [rows]);
  }

  async function rowsOfB(): Promise<number> {
    return Number((await b.row('SELECT COUNT(*) AS n FROM app.orders'))['n']);
  }

  async function applied(): Promise<void> {
    await until('b has applied all of a', async () => (await rowsOfB()) === rows);
  }

  async function received(): Promise<void> {
    const { position } = await ownPosition(a);
    const read = async (): Promise<number> => Number((await slaveStatus(b))?.['Read_Master_Log_Pos']);
    await until('b has received all of a', async () => (await read()) === position);
  }

  async function closed(): Promise<boolean> {
    return (await b.row('SELECT @@read_only AS ro'))['ro'] === '1';
  }

  async function vip(change: 'add' | 'del'): Promise<void> {
    await exec([tools.ip, 'address', change, `${VIP}/32`, 'dev', 'lo']);
  }

  /** By the script that waits; the server shows its account and what it does. */
  async function promotionWaits(): Promise<void> {
    await until('the promotion waits', async () => {
      const sessions = await b.sql(
        "SELECT 1 FROM information_schema.PROCESSLIST WHERE USER = ? AND STATE = 'User sleep'",
        [HOST_ACCOUNT.user],
      );
      return sessions.length === 1;
    });
  }

  test('a promotion notes the coordinates, stops following without forgetting whom, and opens', async () => {
    await write();
    await applied();
    const { code, said } = await site.run('promote');
    assert.deepEqual([code, said], [0, 'promote.sh: promoted: open for writes\n']);
    assert.equal(await closed(), false);
    const link = await slaveStatus(b);
    assert.deepEqual([link?.['Slave_IO_Running'], link?.['Slave_SQL_Running']], ['No', 'No']);
    const end = await ownPosition(a);
    assert.deepEqual(
      [link?.['Relay_Master_Log_File'], link?.['Exec_Master_Log_Pos']],
      [end.file, String(end.position)],
    );
    const { file, position } = await ownPosition(b);
    const noted = readFileSync(site.takeovers, 'utf8');
    assert.match(noted, /\thas applied what it received\n/u);
    assert.match(noted, new RegExp(`^${file}\\t${position}\\t`, 'mu'));
    assert.match(noted, new RegExp(`^ *Exec_Master_Log_Pos: ${end.position}$`, 'mu'));
    assert.ok(!noted.includes(LINK.password) && !noted.includes(HOST_ACCOUNT.password));
  });

  test('a promotion waits until the workers, too, have applied what was received', async () => {
    const lock = await openSession({ name: b.name, socketPath: b.socket, user: 'root' });
    await lock.sql('LOCK TABLES app.orders WRITE');
    await write();
    await received();
    await until('only a worker is busy: the SQL thread says that it has read everything', async () =>
      /has read all relay log/u.test((await slaveStatus(b))?.['Slave_SQL_Running_State'] ?? ''),
    );
    const { ended } = site.start('promote');
    await promotionWaits();
    assert.equal(await closed(), true);
    await lock.sql('UNLOCK TABLES');
    lock.close();
    assert.equal((await ended).code, 0);
    assert.deepEqual([await rowsOfB(), await closed()], [rows, false]);
  });

  test('it does not wait for ever, and says that something is missing', async () => {
    await b.sql('STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 3600; START SLAVE');
    await write();
    await received();
    site.site({ APPLY_SECONDS: 1 });
    assert.equal((await site.run('promote')).code, 0);
    assert.deepEqual([await rowsOfB(), await closed()], [rows - 1, false]);
    assert.match(readFileSync(site.takeovers, 'utf8'), /\tHAS NOT APPLIED ALL THAT IT RECEIVED\n/u);
  });

  test('in a pair of primaries nobody stops following', async () => {
    site.site({ PAIR: 'dual' });
    assert.equal((await site.run('promote')).code, 0);
    assert.equal(await closed(), false);
    await write();
    await applied();
    const link = await slaveStatus(b);
    assert.deepEqual([link?.['Slave_IO_Running'], link?.['Slave_SQL_Running']], ['Yes', 'Yes']);
  });

  test('a promotion that comes late opens nothing: the VIP has gone', async () => {
    await vip('del');
    const { code, said } = await site.run('promote');
    await vip('add');
    assert.deepEqual([code, said], [0, 'promote.sh: not promoted: the VIP has gone again\n']);
    assert.equal(await closed(), true);
    const link = await slaveStatus(b);
    assert.equal(link?.['Slave_SQL_Running'], 'Yes');
  });

  test('a demotion closes, one that comes late does not: the VIP is back; a pair that is never closed stays open', async () => {
    await b.sql('SET GLOBAL read_only = 0');
    const late = await site.run('demote');
    assert.deepEqual([late.code, late.said], [0, 'demote.sh: not closed: this host has the VIP again\n']);
    assert.equal(await closed(), false);
    await vip('del');
    site.site({ READ_ONLY: 'no' });
    assert.deepEqual(await site.run('demote'), { code: 0, said: '' });
    assert.equal(await closed(), false);
    site.site({});
    assert.deepEqual(await site.run('demote'), { code: 0, said: '' });
    await vip('add');
    assert.equal(await closed(), true);
  });

  test('a demotion that overtakes a promotion wins, because the VIP is gone', async () => {
    await b.sql('STOP SLAVE; CHANGE MASTER TO MASTER_DELAY = 3600; START SLAVE');
    await write();
    await received();
    site.site({ APPLY_SECONDS: 2 });
    const promotion = site.start('promote');
    await promotionWaits();
    await vip('del');
    const demotion = await site.run('demote');
    await vip('add');
    const { said } = await promotion.ended;
    assert.match(said, /promoted: open for writes/u);
    assert.equal(demotion.code, 0);
    assert.equal(await closed(), true);
  });

  test('what does not work is said, in one line, with the words of the server', async () => {
    site.account(b.socket, { ...HOST_ACCOUNT, password: 'yesterday' });
    const promotion = await site.run('promote');
    await vip('del');
    const demotion = await site.run('demote');
    await vip('add');
    assert.deepEqual([promotion.code, demotion.code], [1, 1]);
    assert.match(promotion.said, /^promote\.sh: not promoted.*ERROR 1045.*\n$/u);
    assert.match(demotion.said, /^demote\.sh: not closed.*ERROR 1045.*\n$/u);
    site.account(b.socket);
    site.site({ TAKEOVER_LOG: '/nowhere/takeovers.log' });
    const { code, said } = await site.run('promote');
    assert.equal(code, 0);
    assert.match(said, /TAKEOVER_LOG: \/nowhere\/takeovers\.log cannot be written: going on without it/u);
    assert.equal(await closed(), false);
    assert.ok(!existsSync('/nowhere'));
  });
});
