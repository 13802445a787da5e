import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { formatGtid } from '../../../src/domain/gtid.ts';
import type { Coordinates } from '../../../src/domain/observation.ts';
import type { DumpLimits } from '../../../src/sql/binlog/dump.ts';
import { fileHeader } from '../../../src/sql/binlog/file-header.ts';
import { loggedSince } from '../../../src/sql/binlog/logged.ts';
import { lastOwnWrite } from '../../../src/sql/binlog/own-write.ts';
import { rehearse } from '../../../src/sql/binlog/rehearse.ts';
import { transactionAt } from '../../../src/sql/binlog/transaction.ts';
import { walk, walkGtid } from '../../../src/sql/binlog/walk.ts';
import type { SqlTarget } from '../../../src/sql/port.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { VERSIONS, prepareVersions, serverOf, targetOf } from './servers.ts';

const versions = await prepareVersions();
const LIMITS: DumpLimits = { deadlineMs: 10_000, maxBytes: 64 * 1024 * 1024 };
const ALL = { through: null, firstOnly: false };
const COMPRESSED = { 'log-bin-compress': true, 'log-bin-compress-min-len': 10 };

/** 0-1-1 to 0-1-5 in the first file, 0-1-6 to 0-1-9 and 5-1-1 in the second. */
const STATEMENTS = `CREATE DATABASE shop; CREATE TABLE shop.t (id INT PRIMARY KEY, s TEXT) ENGINE=InnoDB;
  INSERT INTO shop.t VALUES (1, 'first'); SET binlog_format=ROW; INSERT INTO shop.t VALUES (2, REPEAT('x', 2000));
  UPDATE shop.t SET s = REPEAT('y', 2000) WHERE id = 2; FLUSH BINARY LOGS; DELETE FROM shop.t WHERE id = 2;
  ALTER TABLE shop.t ADD COLUMN n INT; SET binlog_format=MIXED; BEGIN; INSERT INTO shop.t VALUES (3, 'a', 1);
  INSERT INTO shop.t VALUES (4, UUID(), 1); UPDATE shop.t SET n = 2 WHERE id = 3; COMMIT; DROP TABLE IF EXISTS shop.none;
  SET gtid_domain_id=5; INSERT INTO shop.t VALUES (5, 'other domain', 5)`;
const IN_ORDER = ['0-1-1', '0-1-2', '0-1-3', '0-1-4', '0-1-5', '0-1-6', '0-1-7', '0-1-8', '0-1-9', '5-1-1'];
const KINDS: Readonly<Record<string, RegExp>> = {
  '0-1-1': /^statement shop: CREATE DATABASE shop$/,
  '0-1-2': /^statement CREATE TABLE shop\.t/,
  '0-1-3': /^statement INSERT INTO shop\.t VALUES \(1, 'first'\)$/,
  '0-1-4': /^rows insert shop\.t/,
  '0-1-5': /^rows update shop\.t/,
  '0-1-6': /^rows delete shop\.t/,
  '0-1-7': /^statement ALTER TABLE shop\.t ADD COLUMN n INT$/,
  '0-1-8':
    /^mixed srs INSERT INTO shop\.t VALUES \(3, 'a', 1\); insert shop\.t .*; UPDATE shop\.t SET n = 2 WHERE id = 3$/,
  '0-1-9': /^statement that the server wrote .*DROP TABLE IF EXISTS/,
  '5-1-1': /^statement INSERT INTO shop\.t VALUES \(5, 'other domain', 5\)$/,
};

async function endOf(server: MariaDbServer): Promise<Coordinates> {
  const row = await server.row('SHOW MASTER STATUS');
  return { file: row['File'] ?? '', position: Number(row['Position']) };
}

for (const name of VERSIONS) {
  for (const compress of [false, true]) {
    const title = `the ${compress ? 'compressed ' : ''}binlog of ${name}`;
    describe(title, { timeout: 120_000, skip: versions[name].skip }, () => {
      let server: MariaDbServer;
      let target: SqlTarget;
      let first: string;
      let second: string;

      before(async () => {
        const options = compress ? COMPRESSED : {};
        const base = `${compress ? 'packed' : 'plain'}-${name}`;
        server = await serverOf(versions[name], 'member', { name: base, serverId: 1, server: options });
        target = targetOf(server, 'mxr_repl');
        await server.sql(STATEMENTS);
        [first, second] = [`${server.name}-bin.000001`, `${server.name}-bin.000002`];
      });
      after(() => server.stop());

      test('has the events that it is read by', async () => {
        const events = [first, second].map((file) => server.sql(`SHOW BINLOG EVENTS IN '${file}'`));
        const types = new Set((await Promise.all(events)).flat().map((event) => event['Event_type']));
        for (const type of ['Query_compressed', 'Write_rows_compressed_v1', 'Delete_rows_compressed_v1']) {
          assert.equal(types.has(type), compress, type);
        }
      });

      test('a walk: every transaction and what it did, to the end', async () => {
        const all = await walk(target, { from: { file: first, position: 4 }, ...ALL }, LIMITS);
        assert.deepEqual(
          all.transactions.map(({ gtid }) => formatGtid(gtid)),
          IN_ORDER,
        );
        assert.deepEqual([all.truncated, all.end], [null, await endOf(server)]);
        assert.deepEqual(
          all.files.map((file) => file.name),
          [first, second],
        );
        for (const { gtid, content, ddl, timestamp } of all.transactions) {
          const id = formatGtid(gtid);
          assert.match(`${content.kind} ${content.summary}`, KINDS[id] ?? /never/, id);
          assert.equal(ddl, ['0-1-1', '0-1-2', '0-1-7', '0-1-9'].includes(id), id);
          assert.ok(Math.abs(Date.now() - timestamp) < 60_000);
        }
        const [, from, , through] = all.transactions;
        assert.ok(from && through);
        const part = await walk(target, { from: from.at, through: through.end, firstOnly: false }, LIMITS);
        assert.deepEqual(part.transactions, all.transactions.slice(1, 4));
        const gtid = { gtid: '0-1-7', strict: true, ...ALL };
        const { transactions } = await walkGtid(target, gtid, LIMITS);
        assert.deepEqual(
          transactions.map((one) => one.content),
          all.transactions.slice(7).map((one) => one.content),
        );
      });

      test('one transaction by its GTID, or that it is not there', async () => {
        for (const gtid of IN_ORDER) {
          const found = await transactionAt(target, gtid, LIMITS);
          assert.match(`${found?.kind} ${found?.summary}`, KINDS[gtid] ?? /never/, gtid);
        }
        for (const gtid of ['0-1-10', '0-2-5', '7-1-1']) assert.equal(await transactionAt(target, gtid, LIMITS), null);
      });

      test('a rehearsal: accepted in the middle and at the end, with the place', async () => {
        const middle = await rehearse(target, { gtid: '0-1-5,5-1-1', strict: true }, LIMITS);
        assert.ok(middle.accepted);
        assert.equal(middle.next === null ? null : formatGtid(middle.next.gtid), '0-1-6');
        const end = await rehearse(target, { gtid: '0-1-9,5-1-1', strict: true }, LIMITS);
        assert.ok(end.accepted);
        assert.equal(end.next, null);
        for (const [{ file, offset }, expected] of [
          [middle, '0-1-5'],
          [end, '0-1-9,5-1-1'],
        ] as const) {
          const row = await server.row('SELECT BINLOG_GTID_POS(?, ?) AS gtid', [file, offset]);
          assert.equal(row['gtid']?.split(',').sort().join(','), expected);
        }
      });

      test('a rehearsal: refused, with the server’s words', async () => {
        const refusal = async (gtid: string): Promise<string> => {
          const answer = await rehearse(target, { gtid, strict: true }, LIMITS);
          return 'text' in answer ? answer.text : 'accepted';
        };
        assert.match(await refusal('0-1-19'), /0-1-19, which is not in the master's binlog/);
        assert.match(await refusal('0-2-4'), /probably means that the slave has diverged/);
        assert.match(await refusal('0-1-0'), /missing the GTID/);
      });

      test('the header of a file: how begun, what was before', async () => {
        const headers = [await fileHeader(target, first, LIMITS), await fileHeader(target, second, LIMITS)];
        assert.deepEqual(
          headers.map(({ byServerStart, gtidList }) => [byServerStart, gtidList]),
          [
            [true, ''],
            [false, '0-1-5'],
          ],
        );
        const version = (await server.row('SELECT @@version AS version'))['version'];
        for (const { serverVersion, createdAt } of headers) {
          assert.equal(serverVersion, version);
          assert.ok(Math.abs(Date.now() - createdAt) < 60_000);
        }
        await assert.rejects(fileHeader(target, `${server.name}-bin.000009`, LIMITS), { code: 'BinlogRefused' });
      });

      test('what it logged of its own', async () => {
        const from = { file: first, position: 4 };
        const own = await lastOwnWrite(target, { serverId: 1, table: 'shop.t', key: null, from }, LIMITS);
        assert.equal(own === null ? null : formatGtid(own.gtid), '5-1-1');
        assert.deepEqual((await loggedSince(target, { domain: 0, after: '0-1-7' }, LIMITS))?.map(formatGtid), [
          '0-1-8',
          '0-1-9',
        ]);
      });

      test('a purge and a crash are told', async () => {
        await server.sql(`PURGE BINARY LOGS TO '${second}'`);
        assert.equal(await transactionAt(target, '0-1-2', LIMITS), null);
        const purged = await rehearse(target, { gtid: '0-1-2,5-1-1', strict: true }, LIMITS);
        assert.match('text' in purged ? purged.text : '', /purged/);
        await server.kill9();
        await server.start();
        const header = await fileHeader(target, `${server.name}-bin.000003`, LIMITS);
        assert.deepEqual([header.byServerStart, header.gtidList.split(',').sort()], [true, ['0-1-9', '5-1-1']]);
      });
    });
  }
}

describe(
  'a large transaction of 11.8, whose cache becomes a binlog file',
  { timeout: 120_000, skip: versions['11.8'].skip },
  () => {
    test('is walked through and found like any other', async () => {
      const options = {
        'binlog-format': 'ROW',
        'binlog-large-commit-threshold': 10 * 1024 * 1024,
        'max-allowed-packet': '64M',
      };
      const server = await serverOf(versions['11.8'], 'member', { name: 'large', serverId: 1, server: options });
      const target = targetOf(server, 'mxr_repl');
      await server.sql(`CREATE DATABASE shop; CREATE TABLE shop.t (a LONGTEXT); INSERT INTO shop.t VALUES (REPEAT('x', 20000000));
      INSERT INTO shop.t VALUES ('after')`);
      const from = { file: 'large-bin.000001', position: 4 };
      const { transactions, end, files } = await walk(target, { from, ...ALL }, LIMITS);
      assert.deepEqual(
        transactions.map(({ gtid }) => formatGtid(gtid)),
        ['0-1-1', '0-1-2', '0-1-3', '0-1-4'],
      );
      assert.deepEqual(end, await endOf(server));
      assert.ok(files.length > 1, 'it has a file of its own');
      const found = await transactionAt(target, '0-1-3', LIMITS);
      assert.ok(found !== null && found.bytes > 20_000_000);
      assert.equal(found.digest, transactions[2]?.content.digest);
      const answer = await rehearse(target, { gtid: '0-1-3', strict: true }, LIMITS);
      assert.ok(answer.accepted);
      const row = await server.row('SELECT BINLOG_GTID_POS(?, ?) AS gtid', [answer.file, answer.offset]);
      assert.equal(row['gtid'], '0-1-3');
      await server.stop();
    });
  },
);
