import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatGtid, formatPosition, formatState, parsePosition } from '../../../src/domain/gtid.ts';
import type { Trx } from '../../support/simulate/binlog.ts';
import {
  append,
  gtidAt,
  HEADER_BYTES,
  newBinlog,
  openFile,
  purge,
  reopen,
  stateOfBinlog,
} from '../../support/simulate/binlog.ts';
import type { Cursor, DumpServer, Refusal } from '../../support/simulate/dump.ts';
import { dumpByFile, dumpByGtid, nextOf } from '../../support/simulate/dump.ts';
import { applyTrx, newServer, startServer, stopServer, write } from '../../support/simulate/server.ts';

/** The simulated server accepts what MariaDB accepts (facts/mariadb.md §0, §1, §4), above all what is wrong. */

function trx(text: string): Trx {
  const [domain = '0', serverId = '0', seq = '0'] = text.split('-');
  const gtid = { domain: Number(domain), serverId: Number(serverId), seq: BigInt(seq) };
  return { gtid, token: `row of ${text}`, timestamp: 0, size: 100 };
}

function server(logged: readonly string[], facts: { slavePos?: string; serverId?: number } = {}): DumpServer {
  const binlog = newBinlog('mysql-bin', 0);
  for (const text of logged) {
    if (text === 'rotate') openFile(binlog, 0, false);
    else append(binlog, trx(text));
  }
  const slavePos = parsePosition(facts.slavePos ?? '');
  assert.ok(slavePos);
  return { binlog, serverId: facts.serverId ?? 2, slavePos };
}

/** The GTIDs that a replica would get from here, or the refusal, at once or in the middle. */
function gets(from: DumpServer, wanted: string, strict = false): string {
  const position = parsePosition(wanted);
  assert.ok(position);
  return all(from, dumpByGtid(from, position, strict));
}

function all(from: DumpServer, cursor: Cursor | Refusal): string {
  if ('errno' in cursor) return `refused: ${cursor.text}`;
  const got: string[] = [];
  for (;;) {
    const next = nextOf(from, cursor);
    if (next.kind === 'Refused') return [...got, `refused: ${next.refusal.text}`].join(' ');
    if (next.kind !== 'Trx') return got.join(' ');
    got.push(formatGtid(next.trx.gtid));
  }
}

describe('a connect by GTID', () => {
  test('goes on after a transaction that is there', () => {
    assert.equal(gets(server(['0-1-1', '0-1-2', '0-1-3']), '0-1-2'), '0-1-3');
  });

  test('finds the place in an older file', () => {
    assert.equal(gets(server(['0-1-1', 'rotate', '0-1-2', 'rotate', '0-1-3']), '0-1-1'), '0-1-2 0-1-3');
  });

  test('takes equal numbers for the same transaction (§0.1): the silent loss', () => {
    const reused = server(['0-1-1', '0-1-2', '0-1-3'], { serverId: 1 });
    assert.equal(gets(reused, '0-1-2'), '0-1-3', 'whatever its 0-1-2 is');
  });

  test('refuses a number that is beyond, and accepts it once others were written (§0.2)', () => {
    assert.match(gets(server(['0-1-5']), '0-1-8'), /^refused: .*not in the master's binlog$/);
    assert.equal(gets(server(['0-1-5', '0-1-6', '0-1-7', '0-1-8', '0-1-9']), '0-1-8'), '0-1-9');
  });

  test('says “diverged” of one that is merely behind a standby that writes', () => {
    const promoted = server(['0-2-13', '0-2-14'], { slavePos: '0-1-12' });
    assert.match(gets(promoted, '0-1-7'), /diverged/);
  });

  test('starts at its first own transaction where the position is exactly what it applied', () => {
    assert.equal(gets(server(['0-2-13', '0-2-14'], { slavePos: '0-1-12' }), '0-1-12'), '0-2-13 0-2-14');
    assert.equal(gets(server([], { slavePos: '0-1-12' }), '0-1-12'), '');
  });

  test('accepts anything in a domain that is empty, and refuses at the first transaction (§0.3)', () => {
    assert.equal(gets(server([]), '0-1-7'), '');
    const late = server([]);
    const cursor = dumpByGtid(late, new Map([[0, trx('0-1-7').gtid]]), false);
    append(late.binlog, trx('0-2-1'));
    assert.match(all(late, cursor), /^refused/);
  });

  test('replays a domain that the replica lacks, from its start', () => {
    assert.equal(gets(server(['7-2-1', '0-1-1', '7-2-2', '0-1-2']), '0-1-1'), '7-2-1 7-2-2 0-1-2');
  });

  test('calls that domain purged when its start is gone', () => {
    const from = server(['7-2-1', 'rotate', '0-1-1', '0-1-2']);
    purge(from.binlog, 1);
    assert.match(gets(from, '0-1-1'), /purged/);
  });

  test('needs every file from the position on, but for the very last transaction of a purged one', () => {
    const from = server(['0-1-1', '0-1-2', 'rotate', '0-1-3']);
    purge(from.binlog, 1);
    assert.equal(gets(from, '0-1-2'), '0-1-3');
    assert.match(gets(from, '0-1-1'), /purged/);
  });

  test('jumps over a hole in silence, unless the replica is strict', () => {
    const hole = server(['0-1-1', '0-1-3', '0-1-4']);
    assert.equal(gets(hole, '0-1-2'), '0-1-3 0-1-4');
    assert.match(gets(hole, '0-1-2', true), /missing the GTID 0-1-2/);
  });

  test('never sends an errant transaction that stands before the position', () => {
    assert.equal(gets(server(['0-1-1', '0-2-2', '0-1-2', '0-1-3']), '0-1-2'), '0-1-3');
  });
});

describe('a connect by file and position', () => {
  test('goes on wherever an event ends, whoever the coordinates are of (§0.4)', () => {
    const from = server(['0-2-1', '0-2-2']);
    assert.equal(
      all(from, dumpByFile(from.binlog, { file: 'mysql-bin.000001', position: HEADER_BYTES + 100 })),
      '0-2-2',
    );
  });

  for (const [what, at, text] of [
    ['a file that is not there', { file: 'mysql-bin.000009', position: 4 }, /first log file name/],
    ['a place beyond the end', { file: 'mysql-bin.000001', position: 9999 }, /impossible position/],
    ['a place inside an event', { file: 'mysql-bin.000001', position: HEADER_BYTES + 7 }, /max_allowed_packet/],
  ] as const) {
    test(`refuses ${what}`, () => {
      const from = server(['0-2-1']);
      assert.match(all(from, dumpByFile(from.binlog, at)), text);
    });
  }
});

describe('a server', () => {
  const options = { name: 'b', ip: '10.0.0.12', serverId: 2 };

  test('that applied D-S-N writes D-own-(N+1) next, logged or not (§4), also after a restart', () => {
    for (const logSlaveUpdates of [true, false]) {
      const b = newServer({ ...options, logSlaveUpdates }, 0);
      applyTrx(b, trx('0-1-12'));
      assert.equal(formatGtid(write(b, 'x', { now: 0, size: 100 }).gtid), '0-2-13');
      stopServer(b);
      startServer(b, 1, { clean: false, lostTail: 0, engineToo: false });
      assert.equal(formatGtid(write(b, 'y', { now: 0, size: 100 }).gtid), '0-2-14');
      assert.equal(formatState(stateOfBinlog(b.binlog)), logSlaveUpdates ? '0-1-12,0-2-14' : '0-2-14');
    }
  });

  test('that lost its tail gives the numbers out again, and keeps the rows', () => {
    const a = newServer({ ...options, serverId: 1, logSlaveUpdates: true }, 0);
    write(a, 'one', { now: 0, size: 100 });
    write(a, 'two', { now: 0, size: 100 });
    stopServer(a);
    startServer(a, 1, { clean: false, lostTail: 1, engineToo: false });
    assert.equal(formatGtid(write(a, 'three', { now: 0, size: 100 }).gtid), '0-1-2');
    assert.deepEqual(a.rows, ['one', 'two', 'three']);
  });

  test('that is an older copy of itself has neither', () => {
    const b = newServer({ ...options, logSlaveUpdates: true }, 0);
    applyTrx(b, trx('0-1-1'));
    applyTrx(b, trx('0-1-2'));
    stopServer(b);
    startServer(b, 1, { clean: false, lostTail: 1, engineToo: true });
    assert.deepEqual(b.rows, ['row of 0-1-1']);
    assert.equal(formatPosition(b.slavePos), '0-1-1');
  });
});

test('BINLOG_GTID_POS answers at boundaries only, and counts what older files had', () => {
  const { binlog } = server(['0-1-1', 'rotate', '0-1-2']);
  const at = (position: number) => gtidAt(binlog, { file: 'mysql-bin.000002', position });
  assert.equal(formatPosition(at(4) ?? new Map()), '0-1-1');
  assert.equal(formatPosition(at(HEADER_BYTES + 100) ?? new Map()), '0-1-2');
  assert.equal(at(HEADER_BYTES + 1), null);
  reopen(binlog, 0, { clean: true, lostTail: 0 });
  assert.equal(formatPosition(at(HEADER_BYTES + 123) ?? new Map()), '0-1-2', 'the Stop event moves the end');
});
