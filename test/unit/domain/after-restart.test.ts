import assert from 'node:assert/strict';
import { test } from 'node:test';
import { restartDoubt } from '../../../src/domain/after-restart.ts';
import { factsOf } from '../../../src/domain/context.ts';
import type { Evidence } from '../../../src/domain/evidence.ts';
import { questionKey } from '../../../src/domain/evidence.ts';
import { known } from '../../../src/domain/fact.ts';
import { parseGtid } from '../../../src/domain/gtid.ts';
import type { Link } from '../../../src/domain/observation.ts';
import { calmPair, link, memberAt, NOW, POLICY, position, replicaMemory, stable, state } from './pair-fixture.ts';

/** a restarted with 0-1-100; the replica, which has no log of what it applies, is at 0-1-140 by its own reconnect. */

interface Seen {
  /** The incarnation of a member that was seen to feed it. */
  readonly connectedTo?: number | null;
  readonly relayed?: string;
  readonly link?: Partial<Link>;
  readonly later?: readonly string[];
}

function doubt({ connectedTo = 1, relayed, link: change = {}, later = [] }: Seen) {
  const reached = position('0-1-140');
  const { observation, memory, a } = calmPair({
    a: { gtidBinlogState: state('0-1-150') },
    replica: { logSlaveUpdates: false, gtidSlavePos: reached, links: [link({ gtidIoPos: reached, ...change })] },
  });
  const replicas = new Map([['orders-0', replicaMemory('orders-0', { connectedTo })]]);
  const [observed] = observation.replicas;
  assert.ok(observed);
  const replica = factsOf({ memory: { ...memory, replicas }, policy: POLICY, observation }, observed);
  const holder = stable(memberAt('a', '10.0.0.11', a), a).holder;
  assert.ok(replica && holder);
  const question = { kind: 'Relayed', pod: 'orders-0', incarnation: '1', because: '0-1-101' } as const;
  const answer = relayed === undefined ? [] : [[questionKey(question), known(parseGtid(relayed) ?? null, NOW)]];
  const evidence = new Map(answer as []) as Evidence;
  const restart = { file: 'a-bin.000004', survived: state('0-1-100'), later: later.map(state) };
  return restartDoubt({ replica, holder, evidence }, restart);
}

function reasonOf(result: ReturnType<typeof doubt>): string {
  if (result === null) return 'none';
  return result.kind === 'Asking' ? `asks ${result.questions.map(({ kind }) => kind).join()}` : result.reason;
}

test('a replica without a binlog: its relay log is asked what it was sent first', () => {
  assert.equal(reasonOf(doubt({})), 'asks Relayed');
  assert.equal(reasonOf(doubt({ relayed: '0-1-101' })), 'none');
});

test('what it was sent first is later: it may have had more than what survived', () => {
  assert.equal(reasonOf(doubt({ relayed: '0-1-109' })), 'NotComparable');
});

test('a relay log of a connection that this life of the server was not seen to feed says nothing', () => {
  assert.equal(reasonOf(doubt({ relayed: '0-1-101', connectedTo: null })), 'NotComparable');
  assert.equal(reasonOf(doubt({ relayed: '0-1-101', connectedTo: 7 })), 'NotComparable');
});

test('nor one that is not applied to its end, by file and position, or after several starts', () => {
  assert.equal(reasonOf(doubt({ relayed: '0-1-101', link: { sql: 'No' } })), 'NotComparable');
  assert.equal(reasonOf(doubt({ relayed: '0-1-101', link: { usingGtid: 'No' } })), 'NotComparable');
  assert.equal(reasonOf(doubt({ relayed: '0-1-101', later: ['0-1-120'] })), 'NotComparable');
});
