import type { Picture } from './judge.ts';
import type { MemberObservation, Observation, ReplicaObservation } from './observation.ts';
import { ownTransactions } from './own-transactions.ts';
import { incarnationKey } from './proof.ts';
import type { Unique } from './unique-transactions.ts';
import type { Decision } from './verdict.ts';

/** Transactions of one server that are to be read for people: no decision waits for them, and none rests on them. */
export interface HistoryWanted {
  readonly server: HistoryServer;
  readonly incarnation: string;
  readonly unique: Unique;
}

export type HistoryServer = { readonly member: string } | { readonly pod: string };

export function historiesWanted(
  picture: Pick<Picture, 'decisions' | 'diagnosis' | 'memory'>,
  observation: Observation,
): readonly HistoryWanted[] {
  const members = observation.members.flatMap((observed) => ofMember(observed, picture, observation));
  const replicas = picture.decisions.flatMap((decision) => {
    const observed = observation.replicas.find(({ pod }) => pod === decision.pod);
    return observed === undefined ? [] : ofReplica(observed, decision);
  });
  return [...members, ...replicas];
}

function ofMember(
  observed: MemberObservation,
  { diagnosis, memory }: Pick<Picture, 'diagnosis' | 'memory'>,
  observation: Observation,
): HistoryWanted[] {
  const unique = ownTransactions({
    observed,
    holder: diagnosis.holder?.member,
    memory: memory.members.get(observed.name),
    observation,
    split: diagnosis.split,
  })?.unique;
  if (unique === undefined) return [];
  return [{ server: { member: observed.name }, incarnation: incarnationKey(observed), unique }];
}

/** Without log_slave_updates its binlog has only its own writes. */
function ofReplica({ pod, look, incarnation }: ReplicaObservation, decision: Decision): HistoryWanted[] {
  const unique = isSalvaged(decision) ? decision.transactions?.unique : undefined;
  if (unique === undefined || !look.known || !look.value.logBin || !look.value.logSlaveUpdates) return [];
  return [{ server: { pod }, incarnation: incarnationKey({ incarnation }), unique }];
}

/** The verdicts of a replica that has what nobody else may have. */
export function isSalvaged({ verdict }: Pick<Decision, 'verdict'>): boolean {
  return verdict === 'Ahead' || verdict === 'Diverged';
}
