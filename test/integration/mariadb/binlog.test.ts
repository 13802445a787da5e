import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { formatGtid } from '../../../src/domain/gtid.ts';
import type { DumpLimits } from '../../../src/sql/binlog/dump.ts';
import { fileHeader } from '../../../src/sql/binlog/file-header.ts';
import { rehearse } from '../../../src/sql/binlog/rehearse.ts';
import { span } from '../../../src/sql/binlog/span.ts';
import { transactionAt } from '../../../src/sql/binlog/transaction.ts';
import { walk, walkGtid } from '../../../src/sql/binlog/walk.ts';
import type { SqlTarget } from '../../../src/sql/port.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { makeCertificates } from '../../support/certificates.ts';

const sandbox = await enterSandbox();
const LIMITS: DumpLimits = { deadlineMs: 10_000, maxBytes: 64 * 1024 * 1024 };
const ALL = { through: null, firstOnly: false };
const HANGS = { timeout: 120_000 };

function targetOf(server: MariaDbServer, overrides: Partial<SqlTarget> = {}): SqlTarget {
  const tls = { mode: 'Preferred' } as const;
  return { name: server.name, host: '127.0.0.1', port: server.port, user: 'repl', password: 'p', tls, ...overrides };
}

/** The account of a replica: what it may is enough for all of this. */
async function serverWithAccount(...args: Parameters<typeof startMariaDb>): Promise<MariaDbServer> {
  const server = await startMariaDb(...args);
  await server.sql(`SET sql_log_bin=0; CREATE USER repl IDENTIFIED BY 'p'; GRANT REPLICATION SLAVE ON *.* TO repl;
    CREATE USER nothing IDENTIFIED BY 'p'`);
  return server;
}

async function endOf(server: MariaDbServer): Promise<{ file: string; position: number }> {
  const row = await server.row('SHOW MASTER STATUS');
  return { file: row['File'] ?? '', position: Number(row['Position']) };
}

describe('asking one server', HANGS, () => {
  let server: MariaDbServer;
  let target: SqlTarget;

  before(async () => {
    const certificates = makeCertificates(join(sandbox, 'tls'), 'IP:127.0.0.1');
    server = await serverWithAccount({ name: 'one', serverId: 1, server: certificates.server });
    target = targetOf(server);
    // 0-1-1 to 0-1-4 in the first file, 0-1-5 and 5-1-1 in the second.
    await server.sql(`CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY);
      INSERT INTO shop.t VALUES (1); INSERT INTO shop.t VALUES (2); FLUSH BINARY LOGS;
      INSERT INTO shop.t VALUES (3); SET gtid_domain_id=5; INSERT INTO shop.t VALUES (4)`);
  });
  after(() => server.stop());

  test('a rehearsal: accepted in the middle, with the place and the next transaction', async () => {
    const answer = await rehearse(target, { gtid: '0-1-3,5-1-1', strict: true }, LIMITS);
    assert.ok(answer.accepted);
    assert.equal(answer.file, 'one-bin.000001');
    assert.equal(answer.next === null ? null : formatGtid(answer.next.gtid), '0-1-4');
    const row = await server.row('SELECT BINLOG_GTID_POS(?, ?) AS gtid', [answer.file, answer.offset]);
    assert.equal(row['gtid'], '0-1-3');
  });

  test('a rehearsal: accepted at the end, with nothing to send', async () => {
    const answer = await rehearse(target, { gtid: '0-1-5,5-1-1', strict: true }, LIMITS);
    assert.ok(answer.accepted);
    assert.equal(answer.next, null);
    const row = await server.row('SELECT BINLOG_GTID_POS(?, ?) AS gtid', [answer.file, answer.offset]);
    assert.deepEqual(row['gtid']?.split(',').sort(), ['0-1-5', '5-1-1']);
  });

  test('a rehearsal: refused, with the server’s words', async () => {
    const ahead = await rehearse(target, { gtid: '0-1-9', strict: true }, LIMITS);
    assert.deepEqual(ahead.accepted, false);
    assert.match('text' in ahead ? ahead.text : '', /0-1-9, which is not in the master's binlog/);
    const other = await rehearse(target, { gtid: '0-2-4', strict: true }, LIMITS);
    assert.match('text' in other ? other.text : '', /probably means that the slave has diverged/);
    const hole = { gtid: '0-1-0', strict: true };
    const strict = await rehearse(target, hole, LIMITS);
    assert.match('text' in strict ? strict.text : '', /missing the GTID/);
    const lax = await rehearse(target, { ...hole, strict: false }, LIMITS);
    assert.ok(lax.accepted);
  });

  test('in plain text as through TLS', async () => {
    for (const mode of ['Disabled', 'Required'] as const) {
      const answer = await rehearse(targetOf(server, { tls: { mode } }), { gtid: '0-1-3', strict: true }, LIMITS);
      assert.ok(answer.accepted, mode);
    }
  });

  test('without the grant the missing grant is named', async () => {
    const asked = rehearse(targetOf(server, { user: 'nothing' }), { gtid: '0-1-1', strict: true }, LIMITS);
    await assert.rejects(asked, { code: 'GrantMissing', message: /REPLICATION SLAVE/ });
  });

  test('a walk: every transaction between two places, and not one more', async () => {
    const start = { file: 'one-bin.000001', position: 4 };
    const all = await walk(target, { from: start, ...ALL }, LIMITS);
    assert.deepEqual(
      all.transactions.map(({ gtid }) => formatGtid(gtid)),
      ['0-1-1', '0-1-2', '0-1-3', '0-1-4', '0-1-5', '5-1-1'],
    );
    assert.equal(all.truncated, null);
    assert.deepEqual(all.end, await endOf(server));
    assert.deepEqual(
      all.files.map(({ name }) => name),
      ['one-bin.000001', 'one-bin.000002'],
    );
    const [, second, third, fourth, fifth] = all.transactions;
    assert.ok(second && third && fourth && fifth);
    assert.deepEqual(second.end, third.at);
    const gtids = async (from: typeof start, through: typeof start): Promise<string[]> => {
      const part = await walk(target, { from, through, firstOnly: false }, LIMITS);
      return part.transactions.map(({ gtid }) => formatGtid(gtid));
    };
    assert.deepEqual(await gtids(second.at, third.end), ['0-1-2', '0-1-3']);
    assert.deepEqual(await gtids(second.at, fourth.end), ['0-1-2', '0-1-3', '0-1-4']);
    assert.deepEqual(await gtids(fourth.at, fifth.end), ['0-1-4', '0-1-5']);
    assert.deepEqual(await gtids(third.at, third.at), []);
    assert.deepEqual(await gtids(fifth.at, third.at), []);
    const first = await walk(target, { from: start, through: null, firstOnly: true }, LIMITS);
    assert.equal(first.transactions.length, 1);
    assert.deepEqual(first.end, second.at);
  });

  test('a walk by GTID: what a replica there would get', async () => {
    const { transactions } = await walkGtid(target, { gtid: '0-1-4', strict: true, ...ALL }, LIMITS);
    assert.deepEqual(
      transactions.map(({ gtid }) => formatGtid(gtid)),
      ['0-1-5', '5-1-1'],
    );
  });

  test('a span: what a replica would get that is started UNTIL a position', async () => {
    const asked = async (from: string, upTo: string): Promise<unknown> => {
      const answer = await span(target, { from, upTo }, LIMITS);
      if (!answer.accepted) return answer.text;
      assert.equal(answer.truncated, null);
      return answer.runs.map(({ domain, serverId, first, last }) => `${domain}-${serverId}-${first} to ${last}`);
    };
    assert.deepEqual(await asked('0-1-1', '0-1-3'), ['0-1-2 to 3']);
    // Over the end of a file, and without the domain that is not named.
    assert.deepEqual(await asked('0-1-2', '0-1-5'), ['0-1-3 to 5']);
    assert.deepEqual(await asked('0-1-2', '0-1-5,5-1-1'), ['0-1-3 to 5', '5-1-1 to 1']);
    assert.deepEqual(await asked('0-1-5', '5-1-1'), ['5-1-1 to 1']);
    assert.deepEqual(await asked('0-1-4', '0-1-3'), []);
    // Another server's number is no end: everything would come.
    assert.deepEqual(await asked('0-1-3', '0-9-4'), ['0-1-4 to 5']);
    assert.match(String(await asked('0-1-9', '0-1-12')), /not in the master's binlog/);
    const cut = await span(target, { from: '0-1-1', upTo: '0-1-5' }, { ...LIMITS, maxBytes: 100 });
    assert.ok(cut.accepted && cut.truncated === 'bytes');
  });

  test('a walk from no event boundary, or in no file of this server, is refused', async () => {
    const walking = (file: string, position: number): Promise<unknown> =>
      walk(target, { from: { file, position }, ...ALL }, LIMITS);
    await assert.rejects(walking('one-bin.000001', 300), { code: 'BinlogRefused', errno: 1236 });
    await assert.rejects(walking('other-bin.000001', 4), { code: 'BinlogRefused', errno: 1236 });
  });

  test('a walk that is cut says so', async () => {
    const from = { file: 'one-bin.000001', position: 4 };
    const cut = await walk(target, { from, ...ALL }, { ...LIMITS, maxBytes: 100 });
    assert.equal(cut.truncated, 'bytes');
  });

  test('the header of a file: how old, how begun, what was before', async () => {
    const now = Date.now();
    const [first, second] = [
      await fileHeader(target, 'one-bin.000001', LIMITS),
      await fileHeader(target, 'one-bin.000002', LIMITS),
    ];
    assert.equal(first.byServerStart, true);
    assert.equal(second.byServerStart, false);
    assert.equal(first.gtidList, '');
    assert.equal(second.gtidList, '0-1-4');
    assert.equal(first.encrypted, false);
    assert.match(first.serverVersion, /MariaDB/);
    assert.ok(second.createdAt >= first.createdAt && Math.abs(now - second.createdAt) < 60_000);
    await assert.rejects(fileHeader(target, 'one-bin.000009', LIMITS), { code: 'BinlogRefused' });
  });

  test('one transaction by its GTID, also the first of its domain or behind a rotation; or that it is not there', async () => {
    const found = await transactionAt(target, '0-1-5', LIMITS);
    assert.equal(found?.kind, 'statement');
    assert.equal(found.summary, 'INSERT INTO shop.t VALUES (3)');
    assert.ok(Math.abs(Date.now() - found.timestamp) < 60_000);
    assert.equal((await transactionAt(target, '0-1-1', LIMITS))?.summary, 'shop: CREATE DATABASE shop');
    assert.equal((await transactionAt(target, '5-1-1', LIMITS))?.summary, 'INSERT INTO shop.t VALUES (4)');
    for (const gtid of ['0-1-6', '0-1-500', '0-2-5', '7-1-1']) {
      assert.equal(await transactionAt(target, gtid, LIMITS), null, gtid);
    }
    await assert.rejects(transactionAt(target, 'nonsense', LIMITS), { code: 'InputInvalid' });
  });

  test('one transaction that is too large to read is never equal to another', async () => {
    const limits = { ...LIMITS, maxBytes: 100 };
    const here = await transactionAt(target, '0-1-5', limits);
    const there = await transactionAt(targetOf(server, { name: 'other' }), '0-1-5', limits);
    assert.notEqual(here?.kind, there?.kind);
  });

  test('a transaction of another server id after its predecessor', async () => {
    await server.sql('SET gtid_domain_id=8, server_id=21; INSERT INTO shop.t VALUES (21)');
    await server.sql('SET gtid_domain_id=8, server_id=22; INSERT INTO shop.t VALUES (22)');
    await server.sql('FLUSH BINARY LOGS');
    assert.equal((await transactionAt(target, '8-22-2', LIMITS))?.summary, 'INSERT INTO shop.t VALUES (22)');
    assert.equal(await transactionAt(target, '8-21-2', LIMITS), null);
  });

  test('what was purged is not there', async () => {
    await server.sql("PURGE BINARY LOGS TO 'one-bin.000002'");
    assert.equal(await transactionAt(target, '0-1-2', LIMITS), null);
    const purged = await rehearse(target, { gtid: '0-1-2,5-1-1,8-22-2', strict: true }, LIMITS);
    assert.match('text' in purged ? purged.text : '', /purged/);
  });

  test('a frozen server ends at the deadline', async () => {
    await server.freeze();
    try {
      const asked = rehearse(target, { gtid: '0-1-5', strict: true }, { ...LIMITS, deadlineMs: 200 });
      await assert.rejects(asked, { code: 'Deadline' });
    } finally {
      server.thaw();
    }
  });

  test('dumps do not end each other, and leave no thread behind', async () => {
    const question = { gtid: '0-1-5,5-1-1,8-22-2', strict: true };
    const answers = await Promise.all(Array.from({ length: 10 }, () => rehearse(target, question, LIMITS)));
    assert.ok(answers.every(({ accepted }) => accepted));
    const dumps = "SELECT COUNT(*) AS n FROM information_schema.PROCESSLIST WHERE COMMAND = 'Binlog Dump'";
    await until('every dump thread has ended', async () => (await server.row(dumps))['n'] === '0');
  });
});

describe('a large transaction', HANGS, () => {
  test('of more than one packet is read whole', async () => {
    const server = await serverWithAccount({
      name: 'big',
      serverId: 1,
      server: { 'max-allowed-packet': '64M', 'binlog-format': 'ROW' },
    });
    await server.sql(`CREATE DATABASE shop; CREATE TABLE shop.t (a LONGTEXT);
      INSERT INTO shop.t VALUES (REPEAT('x', 20000000))`);
    const found = await transactionAt(targetOf(server), '0-1-3', LIMITS);
    assert.ok(found !== null && found.bytes > 20_000_000);
    assert.equal(found.kind, 'rows');
    await server.stop();
  });
});
