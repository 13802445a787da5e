import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { parseGtid } from '../../../src/domain/gtid.ts';
import type { Range } from '../../../src/domain/unique-transactions.ts';
import { differing } from '../../../src/sql/binlog/differing.ts';
import type { DumpLimits } from '../../../src/sql/binlog/dump.ts';
import type { RangeRead } from '../../../src/sql/binlog/history.ts';
import { readRange, unread } from '../../../src/sql/binlog/history.ts';
import type { SqlTarget } from '../../../src/sql/port.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';

// What only one server has, read from its binlog as a person would have to.
await enterSandbox();
const LIMITS: DumpLimits = { deadlineMs: 10_000, maxBytes: 64 * 1024 * 1024 };
let server: MariaDbServer;
let other: MariaDbServer;

before(async () => {
  server = await startMariaDb({ name: 'one', serverId: 1 });
  other = await startMariaDb({ name: 'other', serverId: 1 });
  for (const one of [server, other]) {
    await one.sql("SET sql_log_bin=0; CREATE USER repl IDENTIFIED BY 'p'; GRANT REPLICATION SLAVE ON *.* TO repl");
    await one.sql(
      'SET timestamp=1700000000; CREATE DATABASE app; SET timestamp=1700000000; CREATE TABLE app.t (a INT)',
    );
    for (let n = 3; n <= 40; n += 1)
      await one.sql(`SET timestamp=${1_700_000_000 + n}; INSERT INTO app.t VALUES (${n})`);
  }
});
after(async () => {
  await server.stop();
  await other.stop();
});

test('count, ends, times and size of what comes after one number; the rest of the domain is not counted', async () => {
  await server.sql('SET server_id=9; INSERT INTO app.t VALUES (900)');
  const { history, reached, purged } = await read(range(30n, 40n));
  assert.deepEqual([history.count, reached, purged], [10, 40n, false]);
  assert.deepEqual([history.first[0], history.last.at(-1)], ['0-1-31', '0-1-40']);
  assert.deepEqual([history.firstAt, history.lastAt], [1_700_000_031_000, 1_700_000_040_000]);
  assert.equal((await read(range(38n, 40n))).history.bytes, (await bytesOf(39)) + (await bytesOf(40)));
});

test('of another server id in the same domain, from its first on', async () => {
  const { history } = await read({ domain: 0, serverId: 9, after: 0n, through: 41n });
  assert.deepEqual([history.count, history.first], [1, ['0-9-41']]);
});

test('cut at a bound it says so, and goes on from there', async () => {
  const wanted = range(10n, 40n);
  const cut = await read(wanted, { ...LIMITS, maxBytes: 1_500 });
  assert.ok(cut.history.count > 0 && cut.history.count < 30, `${cut.history.count}`);
  const whole = await read(wanted, LIMITS, cut);
  assert.deepEqual([whole.history.count, whole.reached], [30, 40n]);
  assert.deepEqual([whole.history.first[0], whole.history.last.at(-1)], ['0-1-11', '0-1-40']);
  assert.deepEqual(whole.history, (await read(wanted)).history);
});

test('the same numbers with other content: all of them from the first that differs, and none that is equal', async () => {
  for (let n = 41; n <= 43; n += 1) {
    await server.sql(`SET server_id=1, gtid_seq_no=${n + 1}; INSERT INTO app.t VALUES (${n})`);
    await other.sql(`SET gtid_seq_no=${n + 1}; INSERT INTO app.t VALUES (${n * 1000})`);
  }
  const found = await differing(targetOf(server), targetOf(other), { domain: 0, serverId: 1, seq: 44n }, LIMITS);
  assert.deepEqual(
    found.transactions.map(({ gtid }) => gtid.seq),
    [42n, 43n, 44n],
  );
  assert.equal(found.complete, true);
  const equal = await differing(targetOf(server), targetOf(other), { domain: 0, serverId: 1, seq: 20n }, LIMITS);
  assert.deepEqual(
    equal.transactions.map(({ gtid }) => gtid.seq),
    [42n, 43n, 44n],
    'whichever was compared first',
  );
  const cut = await differing(targetOf(server), targetOf(other), gtidOf('0-1-44'), { ...LIMITS, maxBytes: 2_000 });
  assert.equal(cut.complete, false);
});

test('a server that did not log what it applied: only what both have logged is compared, and that may not be all', async () => {
  const late = await startMariaDb({ name: 'late', serverId: 1 });
  try {
    await late.sql("SET sql_log_bin=0; CREATE USER repl IDENTIFIED BY 'p'; GRANT REPLICATION SLAVE ON *.* TO repl");
    await late.sql('SET sql_log_bin=0; CREATE DATABASE app; CREATE TABLE app.t (a INT)');
    await late.sql('SET gtid_seq_no=43; INSERT INTO app.t VALUES (1); INSERT INTO app.t VALUES (2)');
    const found = await differing(targetOf(server), targetOf(late), gtidOf('0-1-44'), LIMITS);
    assert.deepEqual(
      found.transactions.map(({ gtid }) => gtid.seq),
      [43n, 44n],
    );
    assert.equal(found.complete, false);
  } finally {
    await late.stop();
  }
});

test('purged: what is left, and that it is not all', async () => {
  await server.sql('FLUSH BINARY LOGS; INSERT INTO app.t VALUES (50)');
  const last = (await server.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'] ?? '';
  await until('the first file is purged', async () => {
    const files = await server.sql("PURGE BINARY LOGS TO 'one-bin.000002'; SHOW BINARY LOGS");
    return files.length === 1;
  });
  const { history, purged } = await read(range(30n, gtidOf(last).seq));
  assert.deepEqual([history.count, history.first, purged], [1, [last], true]);
});

function range(after: bigint, through: bigint): Range {
  return { domain: 0, serverId: 1, after, through };
}

function read(wanted: Range, limits = LIMITS, before: RangeRead = unread(wanted)): Promise<RangeRead> {
  const oldest = async () => ({ file: (await server.sql('SHOW BINARY LOGS'))[0]?.['Log_name'] ?? '', position: 4 });
  return readRange(targetOf(server), wanted, { before, oldest, limits });
}

async function bytesOf(number: number): Promise<number> {
  const events = await server.sql("SHOW BINLOG EVENTS IN 'one-bin.000001'");
  const begins = events.findIndex(({ Info: info }) => info?.includes(`GTID 0-1-${number}`) === true);
  const from = Number(events[begins]?.['Pos']);
  const next = events.findIndex(({ Info: info }, index) => index > begins && info?.includes('GTID') === true);
  return Number(events[next]?.['Pos']) - from;
}

function gtidOf(text: string): { domain: number; serverId: number; seq: bigint } {
  const gtid = parseGtid(text);
  assert.ok(gtid);
  return gtid;
}

function targetOf(one: MariaDbServer): SqlTarget {
  const tls = { mode: 'Disabled' } as const;
  return { name: one.name, host: '127.0.0.1', port: one.port, user: 'repl', password: 'p', tls };
}
