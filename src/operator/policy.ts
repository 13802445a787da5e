import type { ExternalReplica } from '../api/v1alpha1.ts';
import type { Policy } from '../domain/context.ts';
import type { Acceptance } from './accept/accept.ts';

/** What the domain needs of a spec, with every `Auto` resolved and every name as an address. */
export function policyOf({ spec }: ExternalReplica, accepted: Extract<Acceptance, { ok: true }>): Policy {
  const { host, port } = accepted.targets.vip;
  return {
    channel: spec.link.channel,
    vip: { host, port },
    through: spec.link.through,
    positioning: spec.link.positioning === 'FilePosition' ? 'FilePosition' : 'GTID',
    topology: spec.source.topology,
    onSplitBrain: spec.policy.onSplitBrain,
    onGap: spec.policy.onGap,
    keepReadOnly: spec.replicas.localWrites === 'Forbidden',
    replicaPort: spec.replicas.port,
    filters: spec.link.filters,
  };
}
