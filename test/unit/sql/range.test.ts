import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as fc from 'fast-check';
import { type GtidPosition, parsePosition } from '../../../src/domain/gtid.ts';
import { EVENT } from '../../../src/sql/binlog/event.ts';
import type { BinlogFiles } from '../../../src/sql/binlog/files.ts';
import { proveRange } from '../../../src/sql/binlog/prove-range.ts';
import type { BinlogRange, RangeAnswer, RangeQuestion } from '../../../src/sql/binlog/range.ts';
import { rangeEvents } from '../../../src/sql/binlog/range-events.ts';
import { NOW, gtidBody, queryBody } from './binlog-events.ts';
import { FileBuilder, diskOf, encryptedFile } from './binlog-file.ts';

const NEVER = new AbortController().signal;

function at(text: string): GtidPosition {
  return parsePosition(text) ?? assert.fail(text);
}

function gtids(text: string) {
  return [...at(text).values()];
}

function question(from: string, until: string, more: Partial<RangeQuestion> = {}): RangeQuestion {
  return { from: at(from), until: at(until), fromAt: null, untilAt: null, serverId: 1, remembered: [], ...more };
}

function prove(files: BinlogFiles, ...asked: Parameters<typeof question>): Promise<RangeAnswer> {
  return proveRange(files, question(...asked), NEVER);
}

async function proven(files: BinlogFiles, ...asked: Parameters<typeof question>): Promise<BinlogRange> {
  const answer = await prove(files, ...asked);
  return answer.kind === 'Range' ? answer.range : assert.fail(answer.message);
}

async function refused(files: BinlogFiles, reason: string, words: RegExp, ...asked: Parameters<typeof question>) {
  const answer = await prove(files, ...asked);
  assert.ok(answer.kind === 'Refused', 'it was proven');
  assert.equal(answer.reason, reason, answer.message);
  assert.match(answer.message, words);
}

/** The sequence numbers of what is sent, and the files that it is sent from. */
async function sent(files: BinlogFiles, range: BinlogRange): Promise<string[]> {
  const seen: string[] = [];
  for await (const one of rangeEvents(files, range, NEVER)) {
    if (one.kind === 'file') seen.push(one.head.name);
    else if (one.type === EVENT.Gtid) seen.push(String(one.bytes.readBigUInt64LE(19)));
  }
  return seen;
}

/** 1 and 2, 3 to 5, 6 and 7 in three files, the last one still open. */
function three(): FileBuilder[] {
  return [
    new FileBuilder().statement(1n).transaction(2n).rotate('bin.000002'),
    new FileBuilder({ before: gtids('0-1-2'), byServerStart: false })
      .transaction(3n)
      .statement(4n)
      .transaction(5n)
      .event({ type: EVENT.Stop }),
    new FileBuilder({ before: gtids('0-1-5') }).event({ type: EVENT.BinlogCheckpoint }).transaction(6n).transaction(7n),
  ];
}

describe('a range of binlog files', () => {
  test('is proven and sent from any place to any later one, however the bytes come', async () => {
    for (const chunk of [1, 7, 1000, 1e6]) {
      const files = diskOf(three(), { chunk });
      const all = await proven(files, '', '0-1-7');
      assert.deepEqual(await sent(files, all), [
        'bin.000001',
        '1',
        '2',
        'bin.000002',
        '3',
        '4',
        '5',
        'bin.000003',
        '6',
        '7',
      ]);
      const part = await proven(files, '0-1-3', '0-1-6');
      assert.deepEqual(await sent(files, part), ['bin.000002', '4', '5', 'bin.000003', '6']);
      assert.deepEqual([part.transactions, part.parts.length], [3, 2]);
    }
    const files = diskOf(three());
    assert.deepEqual(await sent(files, await proven(files, '0-1-2', '0-1-3')), ['bin.000002', '3']);
    assert.deepEqual(await sent(files, await proven(files, '0-1-4', '0-1-5')), ['bin.000002', '5']);
    assert.equal((await proven(files, '0-1-5', '0-1-5')).transactions, 0);
  });

  test('only forwards, and only between places that are there', async () => {
    const files = diskOf(three());
    await refused(files, 'NotThere', /not at a place of these files before/, '0-1-4', '0-1-3');
    await refused(files, 'NotThere', /go up to 0-1-7 and do not have the place up to which/, '0-1-3', '0-1-9');
    await refused(files, 'NotThere', /do not have the position of the replica/, '0-2-3', '0-2-9');
    await refused(files, 'NotThere', /needs transactions from before bin\.000001|do not have/, '9-1-1', '9-1-2');
    const purged = diskOf(three().slice(1), { first: 2 });
    await refused(purged, 'NotThere', /needs transactions from before bin\.000002/, '0-1-1', '0-1-4');
    assert.deepEqual(await sent(purged, await proven(purged, '0-1-2', '0-1-3')), ['bin.000002', '3']);
    await refused(diskOf([]), 'NotThere', /there are none/, '0-1-1', '0-1-2');
  });

  test('of several domains: the replica and the end stand between the same transactions in each', async () => {
    const files = diskOf([
      new FileBuilder()
        .statement(1n)
        .statement(1n, 'x', { domain: 5 })
        .statement(2n)
        .statement(2n, 'x', { domain: 5 })
        .statement(3n),
    ]);
    const range = await proven(files, '0-1-1,5-1-1', '0-1-3,5-1-2');
    assert.deepEqual(await sent(files, range), ['bin.000001', '2', '2', '3']);
    // A domain of somewhere else, which both have.
    assert.equal((await proven(files, '0-1-1,5-1-1,9-4-4', '0-1-3,5-1-2,9-4-4')).transactions, 3);
    await refused(files, 'NotThere', /position of the replica/, '0-1-1,5-1-1,9-4-4', '0-1-3,5-1-2,9-4-5');
    await refused(files, 'NotThere', /not at a place of these files/, '0-1-1,5-1-2', '0-1-3,5-1-2');
    await refused(files, 'NotThere', /place up to which/, '0-1-1,5-1-1', '0-1-3,5-1-1');
    // Between them a domain begins that the replica never had: it has all of it yet to come.
    assert.equal((await proven(files, '0-1-1', '0-1-2,5-1-1')).transactions, 2);
  });

  test('a transaction that the power cut is never sent; what the server did after its restart is', async () => {
    const cut = new FileBuilder()
      .statement(1n)
      .transaction(2n)
      .event({ type: EVENT.Gtid, body: gtidBody(3n) })
      .event({ type: EVENT.Query, body: queryBody('INSERT INTO t VALUES (3)') });
    const torn = new FileBuilder().statement(1n).transaction(2n).transaction(3n).cut(9);
    for (const first of [cut, torn]) {
      const last = diskOf([first]);
      assert.deepEqual(await sent(last, await proven(last, '0-1-1', '0-1-2')), ['bin.000001', '2']);
      await refused(last, 'NotThere', /go up to 0-1-2 and do not have/, '0-1-1', '0-1-3');
      const after = new FileBuilder({ before: gtids('0-1-2') }).transaction(3n, 'INSERT INTO t VALUES (33)');
      const files = diskOf([first, after]);
      assert.deepEqual(await sent(files, await proven(files, '0-1-1', '0-1-3')), [
        'bin.000001',
        '2',
        'bin.000002',
        '3',
      ]);
    }
    await refused(
      diskOf([torn]),
      'NotThere',
      /bin\.000001 ends there \(cut at \d+: it ends in the middle/,
      '0-1-1',
      '0-1-3',
    );
  });

  test('a byte that changed anywhere between the two places is found', async () => {
    const whole = diskOf(three());
    const { parts } = await proven(whole, '0-1-2', '0-1-5');
    const [{ from, to } = assert.fail()] = parts;
    const property = fc.asyncProperty(
      fc.integer({ min: from, max: to - 1 }),
      fc.integer({ min: 1, max: 255 }),
      async (offset, bit) => {
        const files = diskOf(three(), { change: { file: 'bin.000002', offset, bit } });
        const answer = await prove(files, '0-1-2', '0-1-5');
        assert.ok(answer.kind === 'Refused' && ['Damaged', 'NotThere'].includes(answer.reason), JSON.stringify(answer));
      },
    );
    await fc.assert(property, { numRuns: 200 });
  });

  test('and so is one that changes between the proof and the sending', async () => {
    const range = await proven(diskOf(three()), '0-1-2', '0-1-5');
    const { from, to } = range.parts[0] ?? assert.fail();
    const property = fc.asyncProperty(fc.integer({ min: from, max: to - 1 }), async (offset) => {
      const files = diskOf(three(), { change: { file: 'bin.000002', offset, bit: 1 } });
      await assert.rejects(sent(files, range), { code: 'BinlogRefused' });
    });
    await fc.assert(property, { numRuns: 100 });
    const other = new FileBuilder({ before: gtids('0-1-2'), byServerStart: false })
      .transaction(3n, 'INSERT INTO t VALUES (9)')
      .statement(4n)
      .transaction(5n);
    const [first, , last] = three();
    const swapped = diskOf([first ?? assert.fail(), other, last ?? assert.fail()]);
    await assert.rejects(sent(swapped, range), { code: 'BinlogRefused' });
  });

  test('a file or a transaction that is missing in between is a refusal', async () => {
    const [first, second, third] = three() as [FileBuilder, FileBuilder, FileBuilder];
    const without = diskOf([first, second, third], { without: 'bin.000002' });
    await refused(without, 'Incomplete', /^bin\.000002 is missing/, '0-1-1', '0-1-6');
    const hole = diskOf([first, new FileBuilder({ before: gtids('0-1-3'), byServerStart: false }).transaction(4n)]);
    await refused(
      hole,
      'Incomplete',
      /bin\.000002 begins after 0-1-3, and bin\.000001 ends with 0-1-2/,
      '0-1-1',
      '0-1-4',
    );
    const unended = new FileBuilder().statement(1n).transaction(2n);
    await refused(diskOf([unended, second]), 'Incomplete', /does not end by going on to/, '0-1-1', '0-1-4');
    const backwards = new FileBuilder().statement(1n).statement(3n).statement(2n);
    await refused(diskOf([backwards]), 'Damaged', /0-1-2 comes after 0-1-3/, '0-1-1', '0-1-2');
  });

  test('events that no transaction can hold are a refusal', async () => {
    const begun = (): FileBuilder => new FileBuilder().statement(1n).event({ type: EVENT.Gtid, body: gtidBody(2n) });
    const wrong = {
      'inside another': begun().event({ type: EVENT.Gtid, body: gtidBody(3n) }),
      'the server lost events': begun().event({ type: EVENT.Incident, body: Buffer.alloc(3) }),
      'inside a transaction': begun().rotate('bin.000002'),
      'outside of every': new FileBuilder()
        .statement(1n)
        .event({ type: EVENT.Query, body: queryBody('DELETE FROM t') }),
    };
    for (const [words, file] of Object.entries(wrong)) {
      await refused(diskOf([file.transaction(2n)]), 'Damaged', new RegExp(words), '0-1-1', '0-1-2');
    }
    const huge = Buffer.alloc(19);
    huge.writeUInt32LE(0xffff_ffff, 9);
    await refused(
      diskOf([new FileBuilder().statement(1n).bytes(huge)]),
      'Damaged',
      /4294967295 bytes/,
      '0-1-1',
      '0-1-2',
    );
    const zeros = new FileBuilder().statement(1n).bytes(Buffer.alloc(4096));
    await refused(diskOf([zeros]), 'Damaged', /has 0 bytes/, '0-1-1', '0-1-2');
  });

  test('encrypted files are refused', async () => {
    const files = diskOf([...three(), { build: encryptedFile }]);
    await refused(files, 'Encrypted', /^bin\.000004 is encrypted/, '0-1-1', '0-1-2');
  });

  test('files of another history are refused: another server, another beginning, a lost end, other coordinates', async () => {
    const files = diskOf(three());
    await refused(files, 'OtherLineage', /server with the id 1, not 3/, '0-1-1', '0-1-4', { serverId: 3 });
    const remembered = (name: string, changes: object) => ({
      remembered: [{ name, size: 100, createdAt: NOW * 1000, ...changes }],
    });
    assert.equal((await proven(files, '0-1-1', '0-1-4', remembered('bin.000001', {}))).transactions, 3);
    assert.equal(
      (await proven(files, '0-1-1', '0-1-4', remembered('bin.000001', { createdAt: null }))).transactions,
      3,
    );
    assert.equal((await proven(files, '0-1-1', '0-1-4', remembered('bin.000003', { size: 1e6 }))).transactions, 3);
    await refused(
      files,
      'OtherLineage',
      /mxr saw one of that name/,
      '0-1-3',
      '0-1-4',
      remembered('bin.000001', { createdAt: 7000 }),
    );
    await refused(
      files,
      'OtherLineage',
      /lost the end of it and went on/,
      '0-1-3',
      '0-1-4',
      remembered('bin.000002', { size: 1e6 }),
    );
    await refused(
      files,
      'OtherLineage',
      /none of the files that mxr saw/,
      '0-1-3',
      '0-1-4',
      remembered('other.000002', {}),
    );
    const { start, next, end } = await proven(files, '0-1-3', '0-1-5');
    const { position } = next ?? assert.fail();
    const place = (file: string, position: number) => ({ file, position });
    for (const fromAt of [start, next]) await proven(files, '0-1-3', '0-1-5', { fromAt });
    for (const untilAt of [end, place('bin.000003', 4)]) await proven(files, '0-1-3', '0-1-5', { untilAt });
    for (const fromAt of [
      place('bin.000002', start.position - 1),
      place('bin.000002', position + 1),
      place('x.1', position),
    ]) {
      await refused(files, 'OtherLineage', /the replica stands at/, '0-1-3', '0-1-5', { fromAt });
    }
    const untilAt = place('bin.000002', end.position - 1);
    await refused(files, 'OtherLineage', /took over stood at/, '0-1-3', '0-1-5', { untilAt });
  });

  test('a newest file that was only just begun is none', async () => {
    const files = diskOf([...three().slice(0, 2), new FileBuilder({ before: gtids('0-1-5') }).cut(20)]);
    assert.equal((await proven(files, '0-1-2', '0-1-5')).transactions, 3);
    const [first, second, third] = three() as [FileBuilder, FileBuilder, FileBuilder];
    second.cut(second.size - 50);
    await refused(diskOf([first, second, third]), 'Damaged', /^bin\.000002: /, '0-1-2', '0-1-5');
  });
});
