import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { EVENT, parseEvent } from '../../../src/sql/binlog/event.ts';
import { normaliseStatement, showStatement } from '../../../src/sql/binlog/statement.ts';
import { type Transaction, TransactionReader } from '../../../src/sql/binlog/transactions.ts';
import {
  type EventFields,
  NOW,
  STANDALONE,
  compressed,
  dumpBegin,
  eventBytes,
  gtidBody,
  queryBody,
  rowsBody,
  tableMapBody,
} from './binlog-events.ts';

const GTID: EventFields = { type: EVENT.Gtid, body: gtidBody(2n) };
const XID: EventFields = { type: EVENT.Xid, body: Buffer.alloc(8) };
const INTS = [3, 3];

function transactions(events: readonly EventFields[]): Transaction[] {
  const reader = new TransactionReader();
  const all = [...dumpBegin(), ...events.map(placed)];
  return all.map((bytes) => reader.take(parseEvent(bytes, 'CRC32'))).filter((one) => one !== null);
}

/** Gives each event the end that it would have one after the other. */
function placed(fields: EventFields, index: number): Buffer {
  return eventBytes({ end: 1000 * (index + 1), ...fields });
}

function only(events: readonly EventFields[]): Transaction {
  const [first, ...more] = transactions(events);
  assert.ok(first);
  assert.equal(more.length, 0);
  return first;
}

function query(sql: string | Buffer, database = 'shop'): EventFields {
  return { type: EVENT.Query, body: queryBody(sql, database) };
}

function table(tableId: number, name = 'orders', types: readonly number[] = INTS): EventFields {
  return { type: EVENT.TableMap, body: tableMapBody(tableId, name, types) };
}

function rows(tableId: number, images: string, options: { type?: number; columns?: number[] } = {}): EventFields {
  const { type = EVENT.WriteRowsV1, columns = [0xff] } = options;
  return { type, body: rowsBody({ tableId, width: 2, columns, rows: Buffer.from(images) }) };
}

const changed = (...events: EventFields[]): Transaction => only([GTID, ...events, XID]);

describe('transactions', () => {
  test('GTID, place, size, time of the first statement', () => {
    const transaction = only([
      { ...GTID, serverId: 7, timestamp: NOW + 5 },
      { ...query('INSERT INTO t VALUES (1)'), timestamp: NOW + 1 },
      { ...query('INSERT INTO t VALUES (2)'), timestamp: NOW + 3 },
      { ...XID, timestamp: NOW + 5 },
    ]);
    assert.deepEqual(transaction.gtid, { domain: 0, serverId: 7, seq: 2n });
    assert.equal(transaction.timestamp, (NOW + 1) * 1000);
    assert.deepEqual(transaction.at, { file: 'bin.000001', position: 1000 - 42 });
    assert.deepEqual(transaction.end, { file: 'bin.000001', position: 4000 });
    assert.equal(transaction.standalone, false);
  });

  test('a standalone statement ends its group; another one needs an Xid, a COMMIT or an XA PREPARE', () => {
    const standalone = { type: EVENT.Gtid, body: gtidBody(2n, { flags: STANDALONE }) };
    const statement = query('UPDATE t SET a = 1');
    assert.equal(transactions([standalone, statement]).length, 1);
    assert.equal(transactions([GTID, statement]).length, 0);
    for (const end of [XID, query('COMMIT'), query('ROLLBACK'), { type: EVENT.XaPrepare, body: Buffer.alloc(20) }]) {
      assert.equal(transactions([GTID, statement, end]).length, 1);
    }
  });

  test('a group that a crash left open is dropped', () => {
    const found = transactions([
      GTID,
      query('INSERT INTO t VALUES (1)'),
      { ...GTID, body: gtidBody(3n) },
      query('x'),
      XID,
    ]);
    assert.deepEqual(
      found.map(({ gtid }) => gtid.seq),
      [3n],
    );
  });
});

describe('what a hostile server may send', () => {
  const packed = (block: Buffer): EventFields => ({ type: EVENT.QueryCompressed, body: queryBody(block) });
  const bodies: EventFields[] = [
    { type: EVENT.Query, body: Buffer.alloc(5) },
    { type: EVENT.TableMap, body: Buffer.alloc(9) },
    { type: EVENT.WriteRowsV1, body: Buffer.from([1, 0, 0, 0, 0, 0, 0, 0, 252, 255, 255]) },
    rows(77, 'rows of a table that was never described'),
    packed(Buffer.from([0x84, 0xff, 0xff, 0xff, 0xff, 1, 2, 3])),
    packed(Buffer.from([0x87, 1, 2, 3])),
    packed(Buffer.from([0x42])),
    packed(compressed(Buffer.alloc(60_000)).fill(0, 1, 3).fill(9, 2, 3)),
    { type: EVENT.FormatDescription, body: Buffer.alloc(20) },
    { type: EVENT.Gtid, body: Buffer.alloc(3) },
  ];
  for (const [index, fields] of bodies.entries()) {
    test(`malformed body ${index} throws, whatever it claims to hold`, () => {
      assert.throws(() => changed(fields));
    });
  }
});

describe('content: the same on every server that has the transaction', () => {
  function same(a: Transaction, b: Transaction): void {
    assert.equal(a.content.kind, b.content.kind);
    assert.equal(a.content.digest, b.content.digest);
  }

  test('table ids, the cutting of rows into events, bits behind the last column, xids, Annotate', () => {
    const primary = changed(table(18), rows(18, 'onetwo'));
    const annotate = { type: EVENT.AnnotateRows, body: Buffer.from('INSERT') };
    const replica = changed(annotate, table(99), rows(99, 'one', { columns: [0x03] }), table(99), rows(99, 'two'));
    same(primary, replica);
    assert.equal(primary.content.kind, 'rows');
    assert.match(primary.content.summary, /^insert shop\.orders \(6 bytes/);
  });

  test('compression', () => {
    const statement = 'INSERT INTO t VALUES (1)';
    const packed = { type: EVENT.QueryCompressed, body: queryBody(compressed(Buffer.from(statement))) };
    same(changed(query(statement)), changed(packed));
    const images = Buffer.from('images');
    const body = rowsBody({ tableId: 1, width: 2, columns: [3], rows: compressed(images) });
    same(changed(table(1), rows(1, 'images')), changed(table(1), { type: EVENT.WriteRowsCompressedV1, body }));
  });

  test('rows of version 2, which carry more in their head', () => {
    const v1 = rowsBody({ tableId: 1, width: 2, columns: [3], rows: Buffer.from('images') });
    const body = Buffer.concat([v1.subarray(0, 8), Buffer.from([4, 0, 1, 2]), v1.subarray(8)]);
    same(changed(table(1), rows(1, 'images')), changed(table(1), { type: EVENT.WriteRowsV2, body }));
  });

  test('INSERT_ID before rows means nothing, before a statement it does', () => {
    const insertId = (id: number): EventFields => ({
      type: EVENT.Intvar,
      body: Buffer.from([2, id, 0, 0, 0, 0, 0, 0, 0]),
    });
    const rowsThenStatement = [table(1), rows(1, 'x'), query('INSERT')];
    same(changed(insertId(1), ...rowsThenStatement), changed(...rowsThenStatement));
    const [one, two] = [changed(insertId(1), query('INSERT')), changed(insertId(2), query('INSERT'))];
    assert.notEqual(one.content.digest, two.content.digest);
  });

  test('the end of all time in current rows of versioned tables, which is later from MariaDB 11.5 on', () => {
    const versioned = (id: number, end: string): Transaction => {
      const images = Buffer.from(`fc0${id}0000000f423f${end}0f423f`.repeat(2), 'hex');
      return changed(table(5), {
        type: EVENT.WriteRowsV1,
        body: rowsBody({ tableId: 5, width: 2, columns: [0xff], rows: images }),
      });
    };
    const [old, recent] = [versioned(1, '7fffffff'), versioned(1, 'ffffffff')];
    assert.equal(old.content.digest, recent.content.digest);
    assert.notEqual(versioned(1, '7ffffffe').content.digest, recent.content.digest);
    assert.notEqual(versioned(2, '7fffffff').content.digest, recent.content.digest);
  });

  test('what servers rewrite when they log what they applied', () => {
    same(
      changed(query('DROP TABLE `c` /* generated by server */')),
      changed(query('DROP TABLE IF EXISTS `shop`.`c` /* generated by server */')),
    );
    same(
      changed(query('CREATE TABLE `c` (\n  `a` int\n)'), table(1, 'c'), rows(1, 'x')),
      changed(query('CREATE OR REPLACE TABLE `c` (\n  `a` int\n)'), table(1, 'c'), rows(1, 'x')),
    );
    same(changed(query("XA END X'78',X'',1", 'shop')), changed(query("XA END X'78',X'',1", '')));
    same(changed(query('SAVEPOINT a'), query('INSERT'), query('ROLLBACK TO a')), changed(query('INSERT')));
  });
});

describe('content: different, or not comparable', () => {
  const kindOf = (...events: EventFields[]): string => changed(...events).content.kind;
  const digestOf = (...events: EventFields[]): string => changed(...events).content.digest;

  test('other rows, another table, another change, another statement, another database', () => {
    const digests = [
      digestOf(table(1), rows(1, 'a')),
      digestOf(table(1), rows(1, 'b')),
      digestOf(table(1, 'items'), rows(1, 'a')),
      digestOf(table(1), rows(1, 'a', { type: EVENT.DeleteRowsV1 })),
      digestOf(query('INSERT INTO t VALUES (1)')),
      digestOf(query('INSERT INTO t VALUES (2)')),
      digestOf(query('INSERT INTO t VALUES (1)', 'bank')),
      digestOf(query("INSERT INTO t VALUES ('a b')")),
      digestOf(query("INSERT INTO t VALUES ('a  b')")),
    ];
    assert.equal(new Set(digests).size, digests.length);
    assert.equal(kindOf(table(1), rows(1, 'a')), kindOf(table(1), rows(1, 'b')));
  });

  test('rows and statements are of different kinds, and so are other orders of both', () => {
    const [row, statement] = [[table(1), rows(1, 'a')], [query('INSERT')]];
    const kinds = [row, statement, [...row, ...statement], [...statement, ...row]].map((events) => kindOf(...events));
    assert.deepEqual(kinds, ['rows', 'statement', 'mixed rs', 'mixed sr']);
  });

  test('what cannot be told different with certainty is of a kind of its own', () => {
    const pairs: [EventFields[], EventFields[]][] = [
      [
        [table(1), rows(1, 'a', { columns: [1] })],
        [table(1), rows(1, 'b', { columns: [1] })],
      ],
      [[query('DROP TABLE `a` /* generated by server */')], [query('DROP TABLE `b` /* generated by server */')]],
      [
        [{ type: EVENT.BeginLoadQuery, body: Buffer.from('a') }],
        [{ type: EVENT.BeginLoadQuery, body: Buffer.from('b') }],
      ],
      [
        [query('CREATE TABLE a (a int)'), table(1), rows(1, 'a')],
        [query('CREATE TABLE b (b int)'), table(1), rows(1, 'a')],
      ],
    ];
    for (const [one, other] of pairs) {
      assert.notEqual(kindOf(...one), kindOf(...other));
      assert.equal(kindOf(...one), kindOf(...one));
    }
  });

  test('the column types of the tables are told, for rows of other types', () => {
    const [ints, texts] = [
      changed(table(1, 'orders', [3, 3]), rows(1, 'a')),
      changed(table(1, 'orders', [3, 15]), rows(1, 'a')),
    ];
    assert.equal(ints.content.tables[0]?.name, 'shop.orders');
    assert.notEqual(ints.content.tables[0]?.types, texts.content.tables[0]?.types);
  });

  test('property: rows are equal exactly when their bytes are, however they are cut', () => {
    const parts = fc.array(fc.string({ minLength: 1, maxLength: 5 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(parts, parts, (one, other) => {
        const digest = (images: string[]): string => digestOf(table(1), ...images.map((image) => rows(1, image)));
        assert.equal(digest(one) === digest(other), one.join('') === other.join(''));
      }),
    );
  });
});

describe('statements for people', () => {
  test('cut, with their database, without passwords', () => {
    assert.equal(showStatement('shop', 'INSERT  INTO\n t VALUES (1)'), 'shop: INSERT INTO t VALUES (1)');
    assert.ok(showStatement('', 'x'.repeat(500)).length < 130);
    for (const sql of ["CREATE USER a IDENTIFIED BY 'top-secret'", "SET PASSWORD FOR a = PASSWORD('top-secret')"]) {
      assert.doesNotMatch(showStatement('mysql', sql), /top-secret/);
      assert.match(showStatement('mysql', sql), /^mysql: (CREATE USER|SET PASSWORD)/);
    }
  });

  test('boundaries are no content', () => {
    for (const sql of ['BEGIN', 'COMMIT', 'ROLLBACK', 'SAVEPOINT `a`', 'ROLLBACK TO `a`']) {
      assert.equal(normaliseStatement('shop', sql), null);
    }
    assert.notEqual(normaliseStatement('shop', 'BEGINNING'), null);
  });
});
