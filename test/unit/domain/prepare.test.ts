import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideReplica } from '../../../src/domain/decide.ts';
import type { Answers, Question } from '../../../src/domain/evidence.ts';
import { questionKey } from '../../../src/domain/evidence.ts';
import type { Fact } from '../../../src/domain/fact.ts';
import { known } from '../../../src/domain/fact.ts';
import { formatPosition } from '../../../src/domain/gtid.ts';
import type { ServerLook } from '../../../src/domain/observation.ts';
import { NEW_PAIR } from '../../../src/domain/situation.ts';
import type { Decision } from '../../../src/domain/verdict.ts';
import { NOW, POLICY, calmPair, position, replicaMemory, state } from './pair-fixture.ts';

const ACCEPTED = { accepted: true, at: { file: 'b-bin.000003', position: 4 }, next: null } as const;

interface Seen {
  readonly a: Partial<ServerLook>;
  readonly b?: Partial<ServerLook>;
  readonly standingMs?: number;
  /** The VIP still answers on a, which has been read-only for so long; absent: the VIP is silent, and a still lives. */
  readonly readOnlyForMs?: number;
}

/** The member that the replica would move to. */
function preparedFor({ a, b, standingMs = 0, readOnlyForMs }: Seen): string | null {
  const pair = calmPair({ a, ...(b === undefined ? {} : { b }) });
  const [replica] = pair.observation.replicas;
  assert.ok(replica?.look.known === true);
  const [link] = replica.look.value.links;
  assert.ok(link !== undefined);
  const place = [replica.look.value.gtidSlavePos, link.gtidIoPos].map((gtid) => formatPosition(gtid)).join(' ');
  const standing = { position: `${place} ${link.read.file}:${link.read.position}`, since: NOW - standingMs };
  const memory = { ...pair.memory, replicas: new Map([[replica.pod, replicaMemory(replica.pod, { standing })]]) };
  const situation = readOnlyForMs === undefined ? 'VipSilent' : 'HolderReadOnly';
  const diagnosis = { ...pair.diagnosis, situation, ...(readOnlyForMs === undefined ? { holder: null } : {}) } as const;
  const before = { ...NEW_PAIR, situation, situationSince: NOW - (readOnlyForMs ?? 0) } as const;
  const evidence = new Map<string, Fact<Answers[Question['kind']]>>();
  const nothing = {
    busy: new Map(),
    actedAt: new Map(),
    intended: new Map(),
    relink: new Set<string>(),
    approved: new Set<string>(),
  };
  const { observation } = pair;
  const decide = (): Decision =>
    decideReplica({ ...nothing, pair: before, evidence, policy: POLICY, observation, diagnosis, memory }, replica);
  for (const question of decide().questions) evidence.set(questionKey(question), known(ACCEPTED, NOW));
  return decide().prepared?.target?.member ?? null;
}

test('a planned move is prepared while the demoted holder lives', () => {
  assert.equal(preparedFor({ a: { readOnly: true } }), 'b');
});

test('while the holder may still be written to, only once the replica stands still', () => {
  assert.equal(preparedFor({ a: { readOnly: false }, standingMs: 10 }), null);
  assert.equal(preparedFor({ a: { readOnly: false }, standingMs: 100 }), 'b');
});

test('before the VIP leaves a holder that has just turned read-only, where another member has all that it has', () => {
  const a = { readOnly: true };
  const at = position('0-1-100');
  const logs = { logSlaveUpdates: true, gtidBinlogPos: at, gtidBinlogState: state('0-1-100'), gtidSlavePos: at };
  assert.equal(preparedFor({ a, b: logs, readOnlyForMs: 100 }), 'b');
  assert.equal(preparedFor({ a, b: logs, readOnlyForMs: 10_000 }), null, 'that is maintenance');
  const behind = { ...logs, gtidBinlogPos: position('0-1-99'), gtidBinlogState: state('0-1-99') };
  assert.equal(preparedFor({ a, b: behind, readOnlyForMs: 100 }), null, 'its refusal would stay');
});
