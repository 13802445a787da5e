import type { ExternalReplica } from '../api/v1alpha1.ts';
import type { Policy } from '../domain/context.ts';
import type { Dial } from '../domain/plan.ts';
import type { Acceptance } from './accept/accept.ts';

/** What the domain needs of a spec, with every `Auto` resolved and every name as an address. */
export function policyOf(
  { spec }: ExternalReplica,
  accepted: Extract<Acceptance, { ok: true }>,
  fillAt: Dial | null,
): Policy {
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
    files: filesOf(spec, fillAt),
  };
}

/** Where replicas are filled from binlog files, or why they are not. */
export function filesOf(
  { link }: Pick<ExternalReplica['spec'], 'link'>,
  fillAt: Dial | null,
): NonNullable<Policy['files']> {
  if (fillAt === null) return { why: 'mxr has no address for it (MXR_FILL_PORT)' };
  const { mode } = link.tls;
  if (mode === 'Disabled' || mode === 'Preferred') return { dial: fillAt };
  return { why: `link.tls.mode is ${mode}, and what mxr hands out of files is not encrypted` };
}
