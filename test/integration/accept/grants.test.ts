import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import type { AccountAnswer, AccountCheck, AccountUse } from '../../../src/operator/accept/grants.ts';
import { checkAccount, versionOf } from '../../../src/operator/accept/grants.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import type { SqlTarget } from '../../../src/sql/port.ts';
import { grantsOf } from '../../support/accounts-page.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { openSession } from '../../support/mariadb-sql.ts';
import { enterSandbox } from '../../support/sandbox.ts';

await enterSandbox();

const PASSWORD = 'pw-of-the-account';
const GRANTS: Readonly<Record<AccountUse, readonly string[]>> = {
  look: grantsOf('mxr_look'),
  replication: grantsOf('mxr_repl'),
  replica: grantsOf('mxr_replica'),
};
const USES = Object.keys(GRANTS) as AccountUse[];

describe('the check of an account on a real server', { timeout: 120_000 }, () => {
  let server: MariaDbServer;
  let accounts = 0;

  before(async () => {
    server = await startMariaDb({ server: { 'log-bin': 'binlog' } });
  });
  after(async () => {
    await server.stop();
  });

  async function newAccount(...grants: readonly string[]): Promise<string> {
    accounts += 1;
    const user = `account_${accounts}`;
    await server.sql(`CREATE USER ${user}@'127.0.0.%' IDENTIFIED BY '${PASSWORD}'`);
    if (grants.length > 0) await server.sql(`GRANT ${grants.join(', ')} ON *.* TO ${user}@'127.0.0.%'`);
    return user;
  }

  function checkOf(use: AccountUse, user: string, change: Partial<SqlTarget> = {}): AccountCheck {
    const where = { name: 'member a', host: server.host, port: server.port, tls: { mode: 'Disabled' } as const };
    const target = { ...where, user, password: PASSWORD, ...change };
    return { use, target, secretName: 'orders-source', keepsReadOnly: true };
  }

  function check(asked: AccountCheck, signal = new AbortController().signal): Promise<AccountAnswer> {
    return checkAccount(asked, { connect: connectSql, clock: systemClock, deadlineMs: 5_000, signal });
  }

  async function refusal(asked: AccountCheck): Promise<{ reason: string; message: string }> {
    const answer = await check(asked);
    assert.equal(answer.state, 'Refused');
    return answer.refusal;
  }

  for (const use of USES) {
    it(`takes exactly the grants of docs/accounts.md for ${use}`, async () => {
      assert.deepEqual(await check(checkOf(use, await newAccount(...GRANTS[use]))), { state: 'Fine' });
    });

    for (const lacking of GRANTS[use]) {
      it(`names ${lacking} where ${use} lacks it, and its statement cures it`, async () => {
        const user = await newAccount(...GRANTS[use].filter((grant) => grant !== lacking));
        const { reason, message } = await refusal(checkOf(use, user));
        assert.equal(reason, 'GrantMissing');
        assert.ok(message.includes(`lacks ${lacking} on member a (127.0.0.1:${server.port})`), message);
        const statement = /: ((?:SET SESSION sql_log_bin = 0; )?GRANT .*;)$/.exec(message)?.[1];
        assert.ok(statement !== undefined, message);
        await server.sql(statement);
        assert.deepEqual(await check(checkOf(use, user)), { state: 'Fine' });
      });
    }

    it(`takes ALL PRIVILEGES for ${use}, but not those of one database`, async () => {
      const all = await newAccount('ALL PRIVILEGES');
      assert.deepEqual(await check(checkOf(use, all)), { state: 'Fine' });
      const some = await newAccount();
      await server.sql(`GRANT ALL PRIVILEGES ON app.* TO ${some}@'127.0.0.%'`);
      const { message } = await refusal(checkOf(use, some));
      for (const grant of GRANTS[use]) assert.ok(message.includes(grant), message);
    });
  }

  it('does not ask for READ_ONLY ADMIN where services may write', async () => {
    const user = await newAccount(...GRANTS.replica.filter((grant) => grant !== 'READ_ONLY ADMIN'));
    assert.deepEqual(await check({ ...checkOf('replica', user), keepsReadOnly: false }), { state: 'Fine' });
  });

  it('counts the grants of a default role, but not of one that is not active', async () => {
    const user = await newAccount();
    await server.sql(`CREATE ROLE watching; GRANT ${GRANTS.look.join(', ')} ON *.* TO watching`);
    await server.sql(`GRANT watching TO ${user}@'127.0.0.%'`);
    assert.equal((await refusal(checkOf('look', user))).reason, 'GrantMissing');
    await server.sql(`SET DEFAULT ROLE watching FOR ${user}@'127.0.0.%'`);
    assert.deepEqual(await check(checkOf('look', user)), { state: 'Fine' });
  });

  it('counts the grants of a role within a role', async () => {
    const user = await newAccount();
    await server.sql(`CREATE ROLE inner_role; GRANT ${GRANTS.look.join(', ')} ON *.* TO inner_role`);
    await server.sql(`CREATE ROLE outer_role; GRANT inner_role TO outer_role`);
    await server.sql(`GRANT outer_role TO ${user}@'127.0.0.%'; SET DEFAULT ROLE outer_role FOR ${user}@'127.0.0.%'`);
    assert.deepEqual(await check(checkOf('look', user)), { state: 'Fine' });
  });

  it('agrees with the server about what SUPER is worth', async () => {
    const user = await newAccount('SUPER');
    const { message } = await refusal(checkOf('replica', user));
    const lacks = /lacks ([^;]*) on member a/.exec(message)?.[1]?.split(', ') ?? [];
    const session = await openSession({ name: user, user, password: PASSWORD, host: server.host, port: server.port });
    const tried: Record<string, string> = {
      'REPLICATION SLAVE ADMIN': 'STOP SLAVE',
      'SLAVE MONITOR': 'SHOW ALL SLAVES STATUS',
      'BINLOG MONITOR': 'SHOW MASTER STATUS',
      'READ_ONLY ADMIN': 'SET GLOBAL read_only = 0',
    };
    for (const [grant, statement] of Object.entries(tried)) {
      const done = await session.sql(statement).then(
        () => true,
        (error: unknown) => {
          assert.match(String(error), /denied/u);
          return false;
        },
      );
      assert.equal(lacks.includes(grant), !done, `${statement} worked: ${done}; said to lack ${lacks.join(', ')}`);
    }
    session.close();
  });

  it('says which account a server refuses, and never the password', async () => {
    const user = await newAccount();
    const { reason, message } = await refusal(checkOf('look', user, { password: 'another-password' }));
    assert.equal(reason, 'AccessDenied');
    assert.match(
      message,
      new RegExp(`member a \\(127.0.0.1:${server.port}\\) refuses the account '${user}' of Secret`),
    );
    assert.ok(!message.includes('another-password'), message);
  });

  it('names an account whose name needs quotes so that the statement works', async () => {
    const user = `o'bri\\en@home`;
    await server.sql(`CREATE USER ?@'127.0.0.%' IDENTIFIED BY '${PASSWORD}'`, [user]);
    const { message } = await refusal(checkOf('replication', user));
    await server.sql(/: (GRANT .*;)$/.exec(message)?.[1] ?? message);
    assert.deepEqual(await check(checkOf('replication', user)), { state: 'Fine' });
  });

  it('tells TLS that does not fit from an account that is refused', async () => {
    const user = await newAccount(...GRANTS.look);
    const { reason, message } = await refusal(
      checkOf('look', user, { tls: { mode: 'VerifyCA', ca: 'no certificate' } }),
    );
    assert.equal(reason, 'TlsRefused');
    assert.match(message, /source\.tls/);
  });

  it('says nothing about an account when the server does not answer in time, or not at all', async () => {
    const user = await newAccount(...GRANTS.look);
    const asked = checkOf('look', user);
    await server.freeze();
    try {
      const limits = { connect: connectSql, clock: systemClock, signal: new AbortController().signal };
      assert.equal((await checkAccount(asked, { ...limits, deadlineMs: 300 })).state, 'Unknown');
    } finally {
      server.thaw();
    }
    assert.equal((await check(checkOf('look', user, { port: 1 }))).state, 'Unknown');
    assert.equal((await check(asked, AbortSignal.abort())).state, 'Unknown');
  });

  it('leaves the server as it is', async () => {
    const user = await newAccount(...GRANTS.replica);
    const before = await server.row('SELECT @@gtid_binlog_pos AS pos, @@read_only AS ro');
    await check(checkOf('replica', user));
    assert.deepEqual(await server.row('SELECT @@gtid_binlog_pos AS pos, @@read_only AS ro'), before);
  });

  for (const use of USES) {
    it(`lets ${use} read @@gtid_binlog_state with exactly these grants`, async () => {
      const user = await newAccount(...GRANTS[use]);
      const session = await openSession({ name: user, user, password: PASSWORD, host: server.host, port: server.port });
      const rows = await session.sql('SELECT @@global.gtid_binlog_state AS state');
      assert.deepEqual(rows, await server.sql('SELECT @@global.gtid_binlog_state AS state'));
      session.close();
    });
  }

  it('counts what everybody has', async (t) => {
    const version = versionOf(String((await server.row('SELECT VERSION() AS version'))['version']));
    if (version === null || version[0] * 100 + version[1] < 1011) return t.skip('PUBLIC is from 10.11');
    const user = await newAccount();
    await server.sql('GRANT REPLICATION SLAVE ON *.* TO PUBLIC');
    try {
      assert.deepEqual(await check(checkOf('replication', user)), { state: 'Fine' });
    } finally {
      await server.sql('REVOKE REPLICATION SLAVE ON *.* FROM PUBLIC');
    }
  });

  it('takes a server without grants for one where everything is allowed', async () => {
    await server.restart({ 'skip-grant-tables': true });
    assert.deepEqual(await check(checkOf('replica', 'anybody')), { state: 'Fine' });
  });
});
