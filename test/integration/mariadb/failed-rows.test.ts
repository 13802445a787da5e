import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { primaryKey } from '../../../src/observe/primary-key.ts';
import { failedRows } from '../../../src/sql/binlog/failed-rows.ts';
import { openSession } from '../../../src/sql/connection.ts';
import type { SqlTarget } from '../../../src/sql/port.ts';
import { ownPosition } from '../../support/link.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { enterSandbox } from '../../support/sandbox.ts';

await enterSandbox();
const LIMITS = { deadlineMs: 10_000, maxBytes: 64 * 1024 * 1024 };
let source: MariaDbServer;

before(async () => {
  source = await startMariaDb({ name: 'source', serverId: 1, server: { 'binlog-format': 'ROW' } });
  await source.sql(
    `SET sql_log_bin=0; CREATE USER repl IDENTIFIED BY 'p'; GRANT REPLICATION SLAVE, PROCESS ON *.* TO repl;
     SET sql_log_bin=1; CREATE DATABASE app;
     CREATE TABLE app.t (note CHAR(9), b BIGINT UNSIGNED, a INT, PRIMARY KEY (a, b));
     CREATE TABLE app.bare (a INT);
     CREATE TABLE app.dated (d DATE PRIMARY KEY, note CHAR(9));
     INSERT INTO app.t VALUES ('x', 18446744073709551615, -7), ('x', 8, 8), ('x', 9, 9);
     INSERT INTO app.bare VALUES (1); INSERT INTO app.dated VALUES ('2026-01-01', 'x')`,
  );
});
after(async () => source.stop());

const CASES = [
  ['UPDATE app.t SET note="y" WHERE a=-7', 'app.t', { count: 1, keys: ['-7-18446744073709551615'] }],
  ['UPDATE app.t SET note="z" WHERE a>0', 'app.t', { count: 2, keys: ['8-8', '9-9'] }],
  ['DELETE FROM app.t WHERE a=8', 'app.t', { count: 1, keys: ['8-8'] }],
  ['UPDATE app.bare SET a=2', 'app.bare', null],
  ['UPDATE app.dated SET note="y"', 'app.dated', null],
  ['SET binlog_format=STATEMENT; DELETE FROM app.t WHERE a=9', 'app.t', null],
] as const;

for (const [sql, table, wanted] of CASES) {
  test(`the primary keys of the rows of one event: ${sql}`, async () => {
    const { file, position } = await ownPosition(source);
    await source.sql(sql);
    const events = await source.sql(`SHOW BINLOG EVENTS IN '${file}' FROM ${position}`);
    const rows = events.find(
      (event) => /_rows_v1|^Query$/.test(event['Event_type'] ?? '') && event['Info'] !== 'BEGIN',
    );
    const session = await openSession(target(), LIMITS);
    try {
      const key = await primaryKey(session, table, LIMITS);
      const end = Number(rows?.['End_log_pos']);
      const found =
        key.length === 0 ? null : await failedRows(target(), { from: { file, position }, end, table, key }, LIMITS);
      assert.deepEqual(found, wanted);
    } finally {
      session.destroy();
    }
  });
}

function target(): SqlTarget {
  return {
    name: 'source',
    host: '127.0.0.1',
    port: source.port,
    user: 'repl',
    password: 'p',
    tls: { mode: 'Disabled' },
  };
}
