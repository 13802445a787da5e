import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answers, Evidence, TransactionContent } from '../../../src/domain/evidence.ts';
import { questionKey } from '../../../src/domain/evidence.ts';
import { known } from '../../../src/domain/fact.ts';
import { formatGtid } from '../../../src/domain/gtid.ts';
import { firstsAfter, keptByPeer } from '../../../src/domain/kept.ts';
import { newLineage } from '../../../src/domain/lineage.ts';
import type { ServerLook } from '../../../src/domain/observation.ts';
import { stateOfServer } from '../../../src/domain/memory.ts';
import { holderLook, link, look, memberAt, NOW, position, state, WALL } from './pair-fixture.ts';

/** a (server id 1) started again with 0-1-100, and has 0-1-101 by now; its peer says what it has of a. */

interface Shown {
  readonly peer?: Partial<ServerLook>;
  /** When the look at the peer began. */
  readonly at?: number;
  /** What was in hand of it before; null: its own history is in question. By default as it is now. */
  readonly before?: string | null;
  readonly there?: Partial<NonNullable<TransactionContent['found']>> | 'not asked';
}

const CONTENT = { timestamp: WALL, kind: 'rows', digest: 'a', summary: 'insert', bytes: 100 };
const TABLES = [{ name: 'app.t', types: '3' }];

function judged({ peer = {}, at = NOW - 10, before, there = {} }: Shown) {
  const seen = holderLook({ gtidBinlogState: state('0-1-101') });
  const observed = memberAt('a', '10.0.0.11', seen);
  const applied = { gtidBinlogState: state('0-1-101'), gtidSlavePos: position('0-1-101') };
  const other = look('b', 2, { logSlaveUpdates: true, ...applied, ...peer });
  const answers = [
    { member: 'a', found: { ...CONTENT, tables: TABLES } },
    ...(there === 'not asked' ? [] : [{ member: 'b', found: { ...CONTENT, tables: TABLES, ...there } }]),
  ].map(({ member, found }) => {
    const question = { kind: 'Transaction', server: { member }, incarnation: '1', gtid: '0-1-101' } as const;
    return [questionKey(question), known<Answers['Transaction']>({ found }, NOW)] as const;
  });
  const shown = before === null ? null : before === undefined ? stateOfServer(other) : state(before);
  const input = {
    memory: newLineage('a', seen, WALL),
    observed,
    look: seen,
    lookAt: NOW - 5,
    replicas: [],
    peers: [{ name: 'b', incarnation: 1, look: other, at, before: shown }],
    evidence: new Map(answers) as Evidence,
  };
  return keptByPeer(input, { file: 'a-bin.000004', survived: state('0-1-100'), later: [] })?.kind ?? null;
}

test('the first number since the start is the same on both: nothing was lost', () => {
  assert.equal(judged({}), null);
  assert.equal(judged({ there: 'not asked' }), 'Asking');
});

test('another content under it, or a number that a does not have any more: the tail was lost', () => {
  assert.equal(judged({ there: { digest: 'b' } }), 'LostTail');
  assert.equal(judged({ there: { timestamp: WALL + 1_000 } }), 'LostTail');
  assert.equal(judged({ peer: { gtidBinlogState: state('0-1-102') } }), 'LostTail');
});

test('the side that must be the larger is read last: what was in hand of the peer before the look at the server began', () => {
  const peer = { gtidBinlogState: state('0-1-102') };
  assert.equal(judged({ peer, before: '0-1-101' }), 'Asking', 'its look began before, and was answered after');
  assert.equal(judged({ peer, before: '' }), 'Asking');
  assert.equal(judged({ peer, at: NOW }), 'LostTail', 'it was in hand before, whatever a newer look says');
  assert.equal(judged({ peer, before: null, at: NOW }), 'Asking');
  assert.equal(judged({ peer, before: null }), 'LostTail', 'two in question at once would wait for each other');
});

test('what a filter, other columns or another form make of the same transaction is no loss', () => {
  const other = { digest: 'b' };
  assert.equal(judged({ there: other, peer: { links: [link({ filters: { Replicate_Do_DB: 'shop' } })] } }), null);
  assert.equal(judged({ there: { ...other, tables: [] } }), null);
  assert.equal(judged({ there: { ...other, tables: [{ name: 'app.t', types: '8' }] } }), null);
  assert.equal(judged({ there: { ...other, kind: 'statement' } }), null);
});

test('under one server id a number of the peer may be its own, and without log_slave_updates it shows no content', () => {
  const { identity } = look('b', 1);
  assert.equal(judged({ there: { digest: 'b' }, peer: { identity } }), null);
  assert.equal(judged({ there: { digest: 'b' }, peer: { logSlaveUpdates: false } }), null);
});

test('what its peer handed back of its own is not what it had before; behind newer ones of another server it went on', () => {
  const firsts = (applied: string, logged: string | null) => {
    const writer = { serverId: 1, applied: position(applied), logged: logged === null ? null : state(logged) };
    return firstsAfter(position('0-1-140').values(), [state('0-1-100,0-2-90')], writer).map(formatGtid);
  };
  assert.deepEqual(firsts('0-1-140', '0-1-140,0-2-90'), ['0-1-101']);
  assert.deepEqual(firsts('0-1-130', '0-1-140,0-2-120'), ['0-1-131'], 'storm 7010: a ring of one domain');
  assert.deepEqual(firsts('0-2-120', '0-1-140,0-2-120'), ['0-1-121']);
  assert.deepEqual(
    firsts('0-1-130', null),
    ['0-1-131'],
    'without log_slave_updates nothing shows what it went on behind',
  );
});
