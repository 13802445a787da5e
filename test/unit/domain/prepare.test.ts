import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideReplica } from '../../../src/domain/decide.ts';
import type { Answers, Question } from '../../../src/domain/evidence.ts';
import { questionKey } from '../../../src/domain/evidence.ts';
import type { Fact } from '../../../src/domain/fact.ts';
import { known } from '../../../src/domain/fact.ts';
import { formatPosition } from '../../../src/domain/gtid.ts';
import type { ServerLook } from '../../../src/domain/observation.ts';
import type { Decision } from '../../../src/domain/verdict.ts';
import { NOW, POLICY, calmPair, replicaMemory } from './pair-fixture.ts';

const ACCEPTED = { accepted: true, at: { file: 'b-bin.000003', position: 4 }, next: null } as const;

/** The VIP is silent, a still lives, and the replica has stood where it stands for so long. The member it would move to. */
function preparedFor(a: Partial<ServerLook>, standingMs: number): string | null {
  const pair = calmPair({ a });
  const [replica] = pair.observation.replicas;
  assert.ok(replica?.look.known === true);
  const [link] = replica.look.value.links;
  assert.ok(link !== undefined);
  const place = [replica.look.value.gtidSlavePos, link.gtidIoPos].map((gtid) => formatPosition(gtid)).join(' ');
  const standing = { position: `${place} ${link.read.file}:${link.read.position}`, since: NOW - standingMs };
  const memory = { ...pair.memory, replicas: new Map([[replica.pod, replicaMemory(replica.pod, { standing })]]) };
  const diagnosis = { ...pair.diagnosis, situation: 'VipSilent', holder: null } as const;
  const evidence = new Map<string, Fact<Answers[Question['kind']]>>();
  const nothing = { busy: new Map(), actedAt: new Map(), intended: new Map(), relink: new Set<string>() };
  const { observation } = pair;
  const decide = (): Decision =>
    decideReplica({ ...nothing, evidence, policy: POLICY, observation, diagnosis, memory }, replica);
  for (const question of decide().questions) evidence.set(questionKey(question), known(ACCEPTED, NOW));
  return decide().prepared?.target?.member ?? null;
}

test('a planned move is prepared while the demoted holder lives', () => {
  assert.equal(preparedFor({ readOnly: true }, 0), 'b');
});

test('while the holder may still be written to, only once the replica stands still', () => {
  assert.equal(preparedFor({ readOnly: false }, 10), null);
  assert.equal(preparedFor({ readOnly: false }, 100), 'b');
});
