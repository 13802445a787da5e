import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answers, Evidence, Question, WalkedTransaction } from '../../../src/domain/evidence.ts';
import { questionKey } from '../../../src/domain/evidence.ts';
import { factsOf } from '../../../src/domain/context.ts';
import { proveContained } from '../../../src/domain/contained.ts';
import { known } from '../../../src/domain/fact.ts';
import { parseGtid } from '../../../src/domain/gtid.ts';
import { rememberMember } from '../../../src/domain/lineage.ts';
import type { ServerLook } from '../../../src/domain/observation.ts';
import type { ProofInput } from '../../../src/domain/proof.ts';
import { strayedByFile } from '../../../src/domain/stray.ts';
import { calmPair, link, memberAt, NOW, POLICY, position, state, WALL } from './pair-fixture.ts';

/** a held the VIP, b holds it now, and the replica, whose link dials the VIP, attached itself to b before mxr stopped it. */

const END = { file: 'b-bin.000003', position: 2_000 };
const FROM = { file: 'b-bin.000003', position: 900 };

function input(change: Partial<ServerLook>, walked: readonly string[] = []): ProofInput {
  const pair = calmPair({
    replica: {
      gtidSlavePos: position('0-2-130'),
      gtidBinlogState: state('0-1-101,0-2-130'),
      links: [link({ host: '10.0.0.100', io: 'No', sourceServerId: 2, gtidIoPos: position('0-2-130') })],
      ...change,
    },
  });
  const target = { ...pair.b, readOnly: false, links: [], end: END, gtidBinlogState: state('0-1-101,0-2-130') };
  const holder = {
    member: memberAt('b', '10.0.0.12', target),
    knownBy: 'Lock',
    look: target,
    lookAt: NOW,
    readOnly: false,
  } as const;
  const observed = pair.observation.replicas[0];
  // A second look says that all of it lies before the end.
  const looks = [target, { ...target }];
  const targetMemory = looks.reduce(
    (memory, look, nth) => rememberMember(memory, 'b', look, WALL + nth),
    pair.memory.members.get('b'),
  );
  const baseline = pair.memory.replicas.get('orders-0')?.baseline;
  assert.ok(observed && targetMemory && baseline);
  const replica = factsOf({ memory: pair.memory, policy: POLICY, observation: pair.observation }, observed);
  assert.ok(replica);
  const source = pair.memory.members.get('a');
  const evidence = new Map([
    answered(
      { kind: 'Walk', member: 'b', incarnation: '1', from: FROM, through: END, firstOnly: false },
      { transactions: walked.map(walkedOf), truncated: null },
    ),
    answered(
      { kind: 'Logged', pod: 'orders-0', incarnation: '1', domain: 0, after: '0-1-100', upTo: '0-2-130' },
      ['0-1-101', '0-2-102', '0-2-130'].map((gtid) => walkedOf(gtid).gtid),
    ),
    answered(
      { kind: 'Rehearsal', member: 'b', incarnation: '1', gtid: '0-2-130' },
      { accepted: true, at: END, next: null },
    ),
  ]) as Evidence;
  const common = { replica, baseline: { ...baseline, lineage: source?.lineage ?? '' }, holder, target, targetMemory };
  const vip = {
    viaVip: true,
    strayed: false,
    sourceObserved: undefined,
    stillReceiving: false,
    hasOwnId: true,
  } as const;
  return { ...common, ...vip, source, positioning: 'GTID', evidence, approved: new Set() };
}

function answered<Q extends Question>(question: Q, answer: Answers[Q['kind']]) {
  return [questionKey(question), known<Answers[Question['kind']]>(answer, NOW)] as const;
}

function walkedOf(text: string): WalkedTransaction {
  const gtid = parseGtid(text);
  assert.ok(gtid);
  return { gtid, at: { ...FROM, position: Number(gtid.seq) }, timestamp: 0, bytes: 1, tables: null };
}

test('an errant write that lies before what the replica had is not proven by the numbers it got after it', () => {
  // 0-2-90 was written on the standby; the replica began after 0-1-100, and 0-2-130 only looks as if it had 0-2-90 too.
  const result = proveContained(input({}, ['0-2-90', '0-1-100', '0-2-102', '0-2-130']));

  assert.equal(result.kind, 'Refused');
  assert.deepEqual(result.kind === 'Refused' && [result.verdict, result.reason], ['Unproven', 'NotPrefix']);
  assert.deepEqual(result.kind === 'Refused' && result.transactions?.gtids, ['0-2-90']);
});

test('what the old holder had comes first, what the new one wrote after it: the replica went on at the right place', () => {
  const result = proveContained(input({}, ['0-1-100', '0-1-101', '0-2-102', '0-2-130']));

  assert.equal(result.kind, 'Proven');
});

test('by file and offset, a position that the new holder wrote over proves nothing', () => {
  const byFile = link({ host: '10.0.0.100', io: 'No', sourceServerId: 2, usingGtid: 'No', gtidIoPos: position('') });
  const refusal = strayedByFile(input({ links: [byFile] }));

  assert.deepEqual([refusal?.verdict, refusal?.reason], ['Unproven', 'WitnessesDisagree']);
});

test('by file and offset, a replica that the new holder turned away still stands where it was proven', () => {
  const refused = { host: '10.0.0.100', io: 'No', ioErrno: 1236, sourceServerId: 2, usingGtid: 'No' } as const;

  assert.equal(strayedByFile(input({ links: [link(refused)], gtidSlavePos: position('0-1-100') })), null);
});
