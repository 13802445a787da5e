import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { known } from '../../../src/domain/fact.ts';
import { anchorOf, newLineage } from '../../../src/domain/lineage.ts';
import type { MemberMemory } from '../../../src/domain/memory.ts';
import type { MemberObservation, ServerLook } from '../../../src/domain/observation.ts';
import type { PublishedTakeover, PublisherLook } from '../../../src/domain/published.ts';
import { lastStandbyOf } from '../../../src/domain/takeover-published.ts';
import { position, state } from '../../support/scenario/words.ts';
import { calmPair } from './pair-fixture.ts';

const pair = calmPair();
const { now, wallNow } = pair.observation;

const [look, observed] = lookAtB();

function lookAtB(): [ServerLook, MemberObservation] {
  const b = pair.observation.members.find(({ name }) => name === 'b');
  assert.ok(b?.look.known === true);
  const standby = { ...b.look.value, gtidBinlogState: state(''), gtidBinlogPos: position('') };
  return [standby, { ...b, look: known(standby, now - 5) }];
}

function memoryOf(change: Partial<MemberMemory> = {}): MemberMemory {
  return { ...newLineage('b', look, wallNow - 60_000), ...change };
}

function recordOf(change: Partial<PublishedTakeover> = {}): PublishedTakeover {
  const anchor = anchorOf(look, wallNow - 1_000);
  assert.ok(anchor !== null);
  const applied = { file: 'a-bin.000003', position: 900 };
  const standby = { sourceHost: 'a', sourceServerId: 1, applied, usingGtid: true, drained: true };
  return { ...anchor, standby, ...change };
}

function told(takeover: PublishedTakeover, change: Partial<PublisherLook> = {}): MemberObservation {
  const value: PublisherLook = {
    member: 'b',
    databaseAnswers: true,
    identity: { ...look.identity, machineId: null, datadirId: null },
    vipHeld: false,
    vipHeldSince: 0,
    readOnly: true,
    logSlaveUpdates: false,
    end: look.end,
    binlogPos: look.gtidBinlogPos,
    binlogState: state(''),
    slavePos: look.gtidSlavePos,
    takeover,
    peer: null,
    imported: { masterEnd: null, slaveEnd: null },
    observedAt: wallNow - 500,
    ageMs: 300,
    ...change,
  };
  return { ...observed, publisher: known(value, now - 200) };
}

describe('lastStandbyOf', () => {
  const none = memoryOf({ lastStandby: null });
  const standby = (memory: MemberMemory, one: MemberObservation) => {
    const seen = lastStandbyOf(memory, one, look);
    assert.equal(seen.kind, 'Seen');
    return seen.kind === 'Seen' ? seen.look : null;
  };

  it('takes the record where mxr saw nothing', () => {
    assert.equal(standby(none, told(recordOf()))?.standby?.sourceHost, 'a');
  });

  it('says nothing of a server that is in question, or that was started since', () => {
    assert.equal(standby({ ...none, inQuestion: true }, told(recordOf())), null);
    const startedAt = look.identity.startedAt - 60_000;
    const identity = { ...look.identity, startedAt, machineId: null, datadirId: null };
    assert.equal(standby(none, told(recordOf(), { identity })), null);
    assert.equal(standby(none, told(recordOf(), { identity: null })), null);
  });

  it('says nothing where the place is not in the binlog, or not yet', () => {
    assert.ok(look.end !== null);
    const { file, position: end } = look.end;
    assert.equal(standby(none, told(recordOf({ end: { file: 'other-bin.000001', position: 4 } }))), null);
    assert.equal(standby(none, told(recordOf({ end: { file, position: end + 1 } }))), null);
  });

  it('takes the one of the two looks that had applied more', () => {
    const [early, late] = [recordOf({ slavePos: position('0-1-90') }), recordOf({ slavePos: position('0-1-110') })];
    const remembered = memoryOf({ lastStandby: { ...late, since: late.at } });
    assert.deepEqual(standby(remembered, told(early))?.slavePos, late.slavePos);
    const older = memoryOf({ lastStandby: { ...early, since: early.at } });
    assert.deepEqual(standby(older, told(late))?.slavePos, late.slavePos);
  });

  it('by file, takes the one that had applied further, and of two at one place the one that had drained', () => {
    const at = (place: number, drained: boolean): PublishedTakeover => {
      const record = recordOf();
      assert.ok(record.standby !== null);
      const applied = { file: 'a-bin.000003', position: place };
      return { ...record, standby: { ...record.standby, usingGtid: false, applied, drained } };
    };
    const after = (last: PublishedTakeover, record: PublishedTakeover) =>
      standby(memoryOf({ lastStandby: { ...last, since: last.at } }), told(record))?.standby;
    assert.equal(after(at(900, true), at(950, false))?.applied.position, 950);
    assert.equal(after(at(900, true), at(850, true))?.applied.position, 900);
    assert.equal(after(at(900, false), at(900, true))?.drained, true);
    assert.equal(after(at(900, true), at(900, false))?.drained, true);
  });
});

describe('two witnesses that disagree', () => {
  const contradiction = (memory: MemberMemory, one: MemberObservation, target: ServerLook): string => {
    const seen = lastStandbyOf(memory, one, target);
    return seen.kind === 'Disagree' ? seen.why : '';
  };
  const has = (gtids: string): PublishedTakeover => recordOf({ binlogState: state(gtids) });

  it('is a transaction that the server does not have', () => {
    assert.match(
      contradiction(memoryOf(), told(has('0-2-9')), { ...look, gtidBinlogState: state('0-2-8') }),
      /does not have/,
    );
  });

  it('is none where the server was looked at before the publisher was asked', () => {
    const before = { ...told(has('0-2-9')), look: known(look, now - 300) };
    assert.equal(contradiction(memoryOf(), before, { ...look, gtidBinlogState: state('0-2-8') }), '');
  });

  it('is an end that does not fit the transactions up to there', () => {
    assert.ok(look.end !== null);
    const last = recordOf({ end: { ...look.end, position: look.end.position - 50 } });
    const memory = memoryOf({ lastStandby: { ...last, since: last.at } });
    const now_ = { ...look, gtidBinlogState: state('0-2-9') };
    const earlier = { ...has('0-2-9'), end: { ...look.end, position: look.end.position - 100 } };
    assert.match(contradiction(memory, told(earlier), now_), /do not fit together/);
    const later = { ...has('0-2-9'), end: look.end };
    assert.equal(contradiction(memory, told(later), now_), '');
  });

  it('is a .pos file of that host that was written later and says less', () => {
    const record = recordOf();
    const at = record.at + 1_000;
    const pos = (one: Partial<PublisherLook['imported']>) =>
      contradiction(memoryOf(), told(record, { imported: { masterEnd: null, slaveEnd: null, ...one } }), look);
    const { end } = record;
    const less = { ...end, position: end.position - 1 };
    assert.match(pos({ slaveEnd: { ...less, at } }), /mysql-bin-slave-end.pos on the host of b says/);
    assert.equal(pos({ slaveEnd: { ...less, at: record.at - 1 } }), '', 'of an earlier failover');
    assert.equal(pos({ slaveEnd: { ...end, at } }), '', 'it confirms');
    assert.equal(pos({ slaveEnd: { ...end, position: end.position + 1, at } }), '', 'it wrote more since');
    assert.match(pos({ masterEnd: { file: 'a-bin.000003', position: 899, at } }), /binlog of the old primary ended at/);
    assert.equal(pos({ masterEnd: { file: 'a-bin.000004', position: 4, at } }), '');
    assert.equal(pos({ masterEnd: { file: 'other.000001', position: 4, at } }), '', 'of another binlog');
  });
});
