import type { Policy } from './context.ts';
import { factsOf } from './context.ts';
import type { Evidence, Question } from './evidence.ts';
import type { GtidState } from './gtid.ts';
import { mergeStates, stateOfPosition } from './gtid.ts';
import { inHandBefore, newLineage, sameLineage } from './lineage.ts';
import type { MemberMemory, Memory } from './memory.ts';
import { sameServer } from './memory.ts';
import type { Link } from './observation.ts';
import { judgeHeir } from './heir.ts';
import type { HeirJudgement } from './heir.ts';
import { judgeRestart } from './restart.ts';
import { areOneServer, stillAnswering } from './shared.ts';
import type { SeenMember, SharedInput } from './shared.ts';

interface Input extends SharedInput {
  readonly policy: Policy;
  readonly memory: Memory;
  readonly evidence: Evidence;
}

export type Settled =
  { readonly members: readonly (readonly [string, MemberMemory])[] } | { readonly questions: readonly Question[] };

/** A restarted member is the same history, or it is not; until that is proven nothing rests on it. */
export function settleLineage(input: Input, memory: MemberMemory, seen: SeenMember): Settled {
  const { observed, look, lookAt } = seen;
  const answering = memory.storage === null ? [] : stillAnswering(input, seen);
  if (answering.length > 0) return { questions: answering };
  const replicas = input.observation.replicas
    .flatMap((replica) => factsOf(input, replica) ?? [])
    .filter(({ link }) => !dialsOther(input, memory, link));
  const peers = input.observation.members.flatMap(({ name, incarnation, look: peer }) =>
    peer.known && name !== observed.name
      ? [{ name, incarnation, look: peer.value, at: peer.at, before: shownBefore(input, name, lookAt) }]
      : [],
  );
  const restarted = { memory, observed, look, lookAt, replicas, peers, evidence: input.evidence };
  const isHeir = memory.storage !== null && !sameServer(memory.identity, look.identity);
  const judgement = isHeir ? judgeHeir(restarted) : judgeRestart(restarted);
  if (judgement.kind === 'Asking') return { questions: judgement.questions };
  return { members: conclude(input, memory, seen, judgement) };
}

function shownBefore({ members, observation }: Input, name: string, at: number): GtidState | null {
  const memory = members.get(name);
  // Without a binlog there is nothing to remember of it.
  if (memory === undefined || memory.inQuestion || memory.anchors.length === 0) return null;
  const anchor = inHandBefore(at, memory, observation);
  return anchor === undefined ? new Map() : mergeStates(anchor.binlogState, stateOfPosition(anchor.slavePos));
}

function conclude(
  { members, topology, observation }: Input,
  memory: MemberMemory,
  { look }: SeenMember,
  judgement: Exclude<HeirJudgement, { kind: 'Asking' }>,
): (readonly [string, MemberMemory])[] {
  const { name, storage, besideAt } = memory;
  const from = storage?.from == null ? undefined : members.get(storage.from);
  const isKnown = topology === 'SharedStorage' || from === undefined || from.storage !== null;
  // Under another name, and with other files, a member that nobody called the same server is what it always was.
  if (judgement.kind === 'OtherData' && !isKnown) return [[name, newLineage(name, look, observation.wallNow)]];
  const settled = { besideAt, storage: storage === null ? null : { ...storage, from: null } };
  const own = { ...concluded(memory, look, observation.wallNow, judgement), ...settled };
  if (from === undefined || from.storage !== null || storage === null) return [[name, own]];
  return [
    [name, own],
    [from.name, { ...from, storage: { tenure: storage.tenure - 1, from: null } }],
  ];
}

function concluded(
  memory: MemberMemory,
  look: SeenMember['look'],
  wallNow: number,
  judgement: Exclude<HeirJudgement, { kind: 'Asking' }>,
): MemberMemory {
  const fresh = newLineage(memory.name, look, wallNow);
  switch (judgement.kind) {
    case 'SameLineage':
      return sameLineage(memory, look, wallNow, judgement.restart);
    case 'LostTail': {
      const { restart, message } = judgement;
      const survived = restart === null ? {} : { survived: restart.survived };
      return { ...fresh, restart, broken: { reason: 'LostTail', message, ...survived } };
    }
    case 'OtherData':
    case 'NewLineage':
      return {
        ...fresh,
        // Its rows may be older than that: what was lost from its binlog alone is a hole there.
        restart: judgement.kind === 'NewLineage' ? (judgement.restart ?? null) : null,
        broken: { reason: 'LineageChanged', message: judgement.message },
      };
    default:
      return judgement satisfies never;
  }
}

/** A replica that is on its way to another server says nothing of this one any more, whatever its baseline is yet. */
function dialsOther({ observation, members }: Input, memory: MemberMemory, { host, port }: Link): boolean {
  return observation.members.some(({ name, ...member }) => {
    const isOne = areOneServer({ members }, name, memory.name) || members.get(name)?.lineage === memory.lineage;
    return !isOne && member.host === host && member.port === port;
  });
}
