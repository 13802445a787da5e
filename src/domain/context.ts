import { ofChannel } from './channels.ts';
import type { Evidence } from './evidence.ts';
import type { Filters } from './filters.ts';
import type { Holder } from './holder.ts';
import type { Intended } from './intent.ts';
import type { Memory } from './memory.ts';
import { NEW_REPLICA } from './memory.ts';
import type { Link, MemberObservation, Observation, ReplicaObservation } from './observation.ts';
import { linkOf } from './observation.ts';
import type { Failures } from './pause.ts';
import type { Dial, LinkTarget } from './plan.ts';
import type { ReplicaFacts } from './replica.ts';
import { replicaFacts } from './replica.ts';
import type { Diagnosis, PairMemory } from './situation.ts';
import { sameDial } from './plan.ts';

/** What a user asked for, as far as deciding depends on it. */
export interface Policy {
  readonly channel: string;
  readonly vip: { readonly host: string; readonly port: number };
  readonly through: 'Auto' | 'Member' | 'VIP';
  readonly positioning: 'GTID' | 'FilePosition';
  readonly topology: 'Auto' | 'PrimaryStandby' | 'DualPrimary' | 'SharedStorage';
  readonly onSplitBrain: 'Confirm' | 'Resume';
  /** `Fill`: what the new holder cannot give is fetched from a donor. */
  readonly onGap: 'Halt' | 'Fill' | 'Reseed';
  /** `localWrites: Forbidden`. */
  readonly keepReadOnly: boolean;
  /** Where a replica's server listens. */
  readonly replicaPort: number;
  /** Where replicas dial mxr to be filled from binlog files, or why they are not; absent: it has no address for that. */
  readonly files?: { readonly dial: Dial } | { readonly why: string };
  /** What the replicas are declared to filter out. */
  readonly filters: Filters;
}

/** Everything that the decision about one replica may look at. */
export interface DecisionInput {
  readonly policy: Policy;
  readonly observation: Observation;
  readonly diagnosis: Diagnosis;
  /** As the pass before left it. */
  readonly pair: Pick<PairMemory, 'situation' | 'situationSince'>;
  readonly memory: Memory;
  readonly evidence: Evidence;
  /** Replicas on which a plan is being carried out: what it is doing, and since when (monotonic ms). */
  readonly busy: ReadonlyMap<string, { readonly what: string; readonly since: number }>;
  /** Monotonic ms at which the last plan on a replica ended: a look that began before says nothing of it any more. */
  readonly actedAt: ReadonlyMap<string, number>;
  /** Replicas named by an open intent, and what was wanted of them: a stopped link there is ours. */
  readonly intended: ReadonlyMap<string, Intended>;
  /** Plans that stopped at a surprise lately, by pod; absent: none. */
  readonly failures?: ReadonlyMap<string, Failures>;
  /** Pods whose link logs in with an account that was changed since. */
  readonly relink: ReadonlySet<string>;
  /** Ids that a person has approved. */
  readonly approved: ReadonlySet<string>;
}

export interface Context extends DecisionInput {
  readonly replica: ReplicaFacts;
}

export function factsOf(
  input: Pick<DecisionInput, 'memory' | 'policy' | 'observation'> & Partial<Pick<DecisionInput, 'evidence'>>,
  observed: ReplicaObservation,
): ReplicaFacts | null {
  const { look } = observed;
  if (!look.known) return null;
  const { channel } = input.policy;
  const seen = ofChannel(look.value, channel, memberIds(input.memory));
  const shown = linkOf(seen, channel);
  if (shown === undefined) return null;
  const memory = input.memory.replicas.get(observed.pod) ?? { ...NEW_REPLICA, pod: observed.pod };
  const link = memory.baseline === null || shown.usingGtid === 'No' ? shown : withOwnPlaces(shown, input);
  const source = memory.baseline === null ? undefined : input.memory.members.get(memory.baseline.member);
  const at = { lookAt: look.at, seenAt: input.observation.now };
  return replicaFacts(observed, at, { look: seen, link, memory, source, evidence: input.evidence });
}

/** A link that dials none of the members, nor the VIP: it was pointed at a donor, or somewhere by a person. */
export function dialsStranger(
  link: Dial,
  { policy, observation }: Pick<DecisionInput, 'policy' | 'observation'>,
): boolean {
  return ![policy.vip, ...observation.members].some((one) => sameDial(one, link));
}

/** Coordinates belong to the history of the server that sent them: of a stranger they are no place of the replica's source. */
export function withOwnPlaces(link: Link, input: Pick<DecisionInput, 'policy' | 'observation'>): Link {
  if (!dialsStranger(link, input)) return link;
  return { ...link, read: { file: '', position: 4 }, exec: { file: '', position: 0 } };
}

/** Server ids of the pair, as far as they were seen. */
export function memberIds({ members }: Memory): readonly number[] {
  return [...members.values()].map(({ identity }) => identity.serverId);
}

export function linkTarget(context: Pick<Context, 'policy'>, replica: ReplicaFacts, holder: Holder): LinkTarget {
  const { policy } = context;
  const through = policy.through === 'Auto' ? (replica.memory.through ?? 'Member') : policy.through;
  const { name, host, port } = holder.member;
  return through === 'VIP' ? { member: name, ...policy.vip, through } : { member: name, host, port, through };
}

export function dialsVip(replica: ReplicaFacts, policy: Policy): boolean {
  return sameDial(replica.link, policy.vip);
}

export function baselineMember(replica: ReplicaFacts): string | null {
  return replica.memory.baseline?.member ?? null;
}

export function memberOf(context: Context, name: string | null): MemberObservation | undefined {
  return context.observation.members.find((member) => member.name === name);
}
