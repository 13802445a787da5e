import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Answers, Evidence, Question } from '../../../src/domain/evidence.ts';
import { questionKey } from '../../../src/domain/evidence.ts';
import { known } from '../../../src/domain/fact.ts';
import type { Captured, MemberMemory } from '../../../src/domain/memory.ts';
import { newLineage } from '../../../src/domain/lineage.ts';
import type { Link } from '../../../src/domain/observation.ts';
import { factsOf } from '../../../src/domain/context.ts';
import type { RestartJudgement } from '../../../src/domain/restart.ts';
import { judgeRestart } from '../../../src/domain/restart.ts';
import { holderLook, link, look, memberAt, NOW, POLICY, position, replicaAt, replicaMemory } from './pair-fixture.ts';
import { state, WALL } from './pair-fixture.ts';

/** A holder that restarted: a-bin.000004 begins with its start, and each test says what survived. */

const CREATED = WALL - 5_000;

function captured(gtid: string, file: string): Captured {
  const at = { file, position: 900 };
  return { at: WALL, exec: at, read: at, gtid: position(gtid), gtidIoPos: position(gtid) };
}

interface Restarted {
  readonly survived: Readonly<Record<string, string>>;
  readonly replica: { readonly gtid: string; readonly link: Partial<Link>; readonly captured: Captured | null };
}

function judged({ survived, replica }: Restarted): RestartJudgement {
  const before = holderLook({ gtidBinlogState: state('0-1-100') });
  const memory: MemberMemory = newLineage('a', before, WALL - 1_000);
  const later = Object.keys(survived).map((name) => ({ name, size: 500 }));
  const after = holderLook({
    identity: { ...before.identity, startedAt: CREATED },
    files: [{ name: 'a-bin.000003', size: 1_200 }, ...later],
    gtidBinlogState: state('0-1-140'),
  });
  const observed = memberAt('a', '10.0.0.11', after);
  const evidence = new Map(
    Object.entries(survived).map(([file, gtids]) => {
      const question: Question = { kind: 'FileHeader', member: 'a', incarnation: '1', file };
      const answer = { createdAt: CREATED, byServerStart: true, encrypted: false, gtidList: state(gtids) };
      return [questionKey(question), known<Answers[Question['kind']]>(answer, NOW)] as const;
    }),
  ) as Evidence;
  const seen = look('orders-0', 11, {
    gtidSlavePos: position(replica.gtid),
    links: [link({ io: 'No', gtidIoPos: position(replica.gtid), ...replica.link })],
  });
  const remembered = replicaMemory('orders-0', { captured: replica.captured });
  const lineage = memory.lineage;
  const baseline = remembered.baseline === null ? null : { ...remembered.baseline, lineage };
  const facts = factsOf(
    {
      observation: { now: NOW, members: [{ host: '10.0.0.11', port: 3306 }] },
      policy: POLICY,
      memory: { members: new Map([['a', memory]]), replicas: new Map([['orders-0', { ...remembered, baseline }]]) },
    } as unknown as Parameters<typeof factsOf>[0],
    replicaAt('orders-0', '10.1.0.1', seen),
  );
  assert.ok(facts);
  return judgeRestart({ memory, observed, look: after, lookAt: NOW, replicas: [facts], peers: [], evidence });
}

test('what a replica received after mxr had stopped it once counts: somebody had started it again', () => {
  const read = { file: 'a-bin.000003', position: 1_200 };
  const judgement = judged({
    survived: { 'a-bin.000004': '0-1-102' },
    replica: { gtid: '0-1-105', link: { read, exec: read }, captured: captured('0-1-100', 'a-bin.000003') },
  });

  assert.equal(judgement.kind, 'LostTail');
  assert.match('message' in judgement ? judgement.message : '', /0-1-105/);
});

test('of two starts that nobody watched the first one tells what was lost', () => {
  const judgement = judged({
    survived: { 'a-bin.000004': '0-1-95', 'a-bin.000005': '0-1-120' },
    replica: { gtid: '0-1-100', link: {}, captured: null },
  });

  assert.equal(judgement.kind, 'LostTail');
});

test('what a link through the VIP has read of another server accuses nobody', () => {
  const read = { file: 'a-bin.000003', position: 9_000 };
  const judgement = judged({
    survived: { 'a-bin.000004': '0-1-100' },
    replica: { gtid: '0-1-100', link: { read, exec: read, sourceServerId: 2 }, captured: null },
  });

  assert.equal(judgement.kind, 'SameLineage');
});

test('a replica that has read less than what survived goes on', () => {
  const judgement = judged({
    survived: { 'a-bin.000004': '0-1-100' },
    replica: { gtid: '0-1-100', link: {}, captured: captured('0-1-100', 'a-bin.000003') },
  });

  assert.equal(judgement.kind, 'SameLineage');
});
