import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectSql } from '../../../src/sql/connection.ts';
import type { MariaDbServer, ServerOptions } from '../../support/mariadb.ts';
import { WORKLOAD } from '../mariadb/workload.ts';
import { checksums, fill, filesOf, gtidOf, offerTo, rangeOf, sourceFor } from './fill.ts';
import { VERSIONS, type VersionName, caughtUp, follow, prepareVersions, serverOf } from './servers.ts';
import { MORE, ONLY_THERE } from './workloads.ts';

const versions = await prepareVersions();
const PACKETS = { 'max-allowed-packet': '64M', 'slave-max-allowed-packet': '128M' };
const FORMATS: Readonly<Record<string, ServerOptions>> = {
  rows: { 'binlog-format': 'ROW', 'binlog-annotate-row-events': true },
  statements: { 'binlog-format': 'STATEMENT' },
  compressed: { 'log-bin-compress': true, 'log-bin-compress-min-len': 10, 'binlog-annotate-row-events': false },
  'without checksums': { 'binlog-checksum': 'NONE' },
};
const PAIRS: readonly (readonly [VersionName, VersionName])[] = [
  ...VERSIONS.map((name) => [name, name] as const),
  ['10.5', '11.8'],
];
/** Events around the length at which a packet is cut, and one transaction that is much longer. */
const LARGE = `CREATE TABLE shop.large (id INT PRIMARY KEY, a LONGTEXT); INSERT INTO shop.large VALUES (1, REPEAT('x', 40000000));
  BEGIN; ${[0, 1, 2].map((id) => `INSERT INTO shop.large VALUES (${id + 10}, REPEAT('y', 16777000))`).join(';')}; COMMIT;
  INSERT INTO shop.large SELECT seq + 100, REPEAT('z', 9000) FROM shop.seq_1_to_3000`;

async function load(source: MariaDbServer, own: VersionName, binlogFormat: unknown): Promise<void> {
  const file = join(source.directory, 'load.csv');
  writeFileSync(file, Array.from({ length: 60_000 }, (_, index) => `${index}\tvalue ${index}\n`).join(''));
  await source.sql(`CREATE TABLE shop.loaded (id INT PRIMARY KEY, s VARCHAR(40)); FLUSH BINARY LOGS;
    LOAD DATA INFILE '${file}' INTO TABLE shop.loaded`);
  // Rows of an event of 40 MB; a statement makes them on the replica.
  await source.sql(LARGE, [], 120_000);
  const statements = [MORE, ONLY_THERE[own]].filter(() => binlogFormat !== 'STATEMENT');
  for (const sql of statements) await source.sql(`FLUSH BINARY LOGS; ${sql}`);
}

for (const [own, other] of PAIRS) {
  for (const [format, options] of Object.entries(FORMATS)) {
    // What else differs between formats does not differ between versions.
    if (own !== 'own' && !['rows', 'statements'].includes(format)) continue;
    const skip = versions[own].skip || versions[other].skip;
    test(`${other} is filled from the files of a killed ${own}: ${format}`, { timeout: 240_000, skip }, async (t) => {
      const name = `${format.slice(0, 4)}${own}${other}`.replaceAll('.', '');
      const source = await serverOf(versions[own], 'member', {
        name: `s${name}`,
        serverId: 1,
        server: { ...PACKETS, ...options },
      });
      t.after(() => source.stop());
      const replica = await serverOf(versions[other], 'replica', { name: `r${name}`, serverId: 3, server: PACKETS });
      t.after(() => replica.stop());
      await source.sql(format === 'statements' ? 'CREATE DATABASE shop' : WORKLOAD);
      await follow(replica, source);
      await caughtUp(replica, source);
      await replica.sql('STOP SLAVE');
      const from = await gtidOf(replica, 'gtid_slave_pos');
      await load(source, own, options['binlog-format']);
      const [upTo, wanted] = [await gtidOf(source, 'gtid_binlog_pos'), await checksums(source)];
      await source.sql(
        'CREATE TABLE shop.later (a INT); INSERT INTO shop.later VALUES (1); BEGIN; INSERT INTO shop.later VALUES (2)',
      );
      await source.kill9();
      const files = await filesOf(t, source);
      const range = await rangeOf(files, source, { from, upTo });
      assert.ok(range.parts.length > 1 && range.transactions >= 6, `${range.transactions} in ${range.parts.length}`);
      await fill(replica, offerTo(await sourceFor(t), files, range), upTo);
      assert.deepEqual(await checksums(replica), wanted);
      await source.start();
      await follow(replica, source);
      await caughtUp(replica, source);
      assert.deepEqual(await checksums(replica), await checksums(source));
    });
  }
}

test('temporary tables of statements survive the fill', { timeout: 120_000 }, async (t) => {
  const source = await serverOf(versions.own, 'member', { name: 'stemp', serverId: 1 });
  t.after(() => source.stop());
  const replica = await serverOf(versions.own, 'replica', { name: 'rtemp', serverId: 3 });
  t.after(() => replica.stop());
  const { name, host, port, socket: socketPath } = source;
  const target = { name, host, port, socketPath, user: 'root', password: '', tls: { mode: 'Disabled' } } as const;
  const session = await connectSql(target, { deadlineMs: 5_000 });
  t.after(() => session.destroy());
  const run = (sql: string) => session.query(sql, [], { deadlineMs: 5_000, operation: 'write' });
  for (const sql of ['CREATE DATABASE shop', 'USE shop', 'CREATE TABLE t (a INT)', 'SET binlog_format=STATEMENT'])
    await run(sql);
  await run('CREATE TEMPORARY TABLE tmp (a INT)');
  await run('INSERT INTO tmp VALUES (7)');
  await follow(replica, source);
  await caughtUp(replica, source);
  await replica.sql('STOP SLAVE');
  const from = await gtidOf(replica, 'gtid_slave_pos');
  await run('INSERT INTO t SELECT * FROM tmp');
  const upTo = await gtidOf(source, 'gtid_binlog_pos');
  await source.kill9();
  const files = await filesOf(t, source);
  await fill(replica, offerTo(await sourceFor(t), files, await rangeOf(files, source, { from, upTo })), upTo);
  assert.deepEqual(await replica.sql('SELECT a FROM shop.t'), [{ a: '7' }]);
});
