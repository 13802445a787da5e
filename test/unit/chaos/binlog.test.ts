import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { Logged } from '../../chaos/binlog.ts';
import { differing, gtidOf, holes, reordered, transactionsOf, twins } from '../../chaos/binlog.ts';
import { doubled } from '../../chaos/evidence.ts';

const HEADER_BYTES = 19;
const GTID = 162;
const QUERY = 2;

function event(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt8(type, 4);
  header.writeUInt32LE(7, 5);
  header.writeUInt32LE(HEADER_BYTES + body.length, 9);
  return Buffer.concat([header, body]);
}

function gtid(number: number, domain: number): Buffer {
  const body = Buffer.alloc(13);
  body.writeBigUInt64LE(BigInt(number), 0);
  body.writeUInt32LE(domain, 8);
  return event(GTID, body);
}

function logged(text: string, ...words: string[]): Logged {
  const [domain = '', server = '', number = ''] = text.split('-');
  return { gtid: text, domain, server, number: BigInt(number), words };
}

describe('the binlog, as the judge reads it', () => {
  const file = Buffer.concat([
    Buffer.from('\xfebin', 'latin1'),
    gtid(3, 0),
    event(QUERY, Buffer.from("INSERT INTO app.plain VALUES ('a1b2c3-7..............')")),
    event(QUERY, Buffer.from("UPDATE app.hot SET token = 'a1b2c3-8..............'")),
    gtid(9, 2),
    event(QUERY, Buffer.from('CREATE TABLE shape_4')),
  ]);

  it('says what each transaction wrote, under which GTID', () => {
    const found = transactionsOf(file).map(({ gtid: name, words }) => [name, ...words]);
    assert.deepEqual(found, [
      ['0-7-3', 'a1b2c3-7..............', 'a1b2c3-8..............'],
      ['2-7-9', 'shape_4'],
    ]);
  });

  it('ends where a crash has torn it', () => {
    assert.deepEqual(transactionsOf(file.subarray(0, file.length - 5)).map(gtidOf), ['0-7-3', '2-7-9']);
    assert.deepEqual(transactionsOf(file.subarray(0, 8)), []);
  });
});

describe('two histories beside each other', () => {
  const holder = [logged('0-1-1', 'a'), logged('0-1-2', 'b'), logged('0-2-3', 'c')];

  it('differ where one GTID has other content', () => {
    assert.deepEqual(differing([logged('0-1-2', 'x'), logged('0-1-1', 'a'), logged('0-9-9', 'y')], holder), ['0-1-2']);
  });

  it('have twins where two servers gave one number', () => {
    assert.deepEqual(twins(holder, [logged('0-3-3'), logged('1-3-2')]), ['0-*-3']);
    assert.deepEqual(twins(holder, holder), []);
  });

  it('have a hole below what somebody has, and none behind it', () => {
    const hasOnly = (...gtids: string[]) => {
      return (one: Logged): boolean => gtids.includes(one.gtid);
    };
    assert.deepEqual(holes(holder, hasOnly('0-1-1', '0-2-3')).map(gtidOf), ['0-1-2']);
    assert.deepEqual(holes(holder, hasOnly('0-1-1', '0-1-2')), []);
    assert.deepEqual(holes(holder, hasOnly()), []);
    assert.deepEqual(
      holes(holder, (one) => (one.gtid === '0-1-2' ? undefined : true)),
      [],
      'what cannot be told is no hole',
    );
  });

  it('have another order where something came before what is earlier', () => {
    assert.deepEqual(reordered([logged('0-2-3'), logged('0-1-2')], holder), ['0-1-2']);
    assert.deepEqual(reordered([logged('0-1-1'), logged('0-8-8'), logged('0-2-3')], holder), []);
  });
});

it('a row is doubled where there are more of it than the holder has, and a transaction may insert some at once', () => {
  const holder = new Map([
    ['one', 1],
    ['batch', 5],
  ]);
  assert.deepEqual(doubled(new Map([...holder, ['ahead', 5]]), holder), []);
  assert.deepEqual(doubled(new Map([['one', 2], ['batch', 5]]), holder), ['one']); // prettier-ignore
});
