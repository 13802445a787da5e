import type { ExternalReplica, LabelSelector, Spec } from '../../api/v1alpha1.ts';
import type { Pod } from '../../kube/objects.ts';
import { keyOf } from '../../kube/objects.ts';
import { selectPods, selects } from '../selection.ts';
import { replicationManagerOf } from './managed-by.ts';
import type { Refusal } from './refusal.ts';
import { together } from './refusal.ts';

/** What can be said of a resource from the Kubernetes API alone. Pure. */

/** Fields that the schema has and no behaviour stands behind yet. Silence would be a promise. */
const NOT_IMPLEMENTED: readonly (readonly [field: string, asked: (spec: Spec) => boolean])[] = [
  ['replicas.statefulSet', ({ replicas }) => replicas.statefulSet !== undefined],
  ['policy.onGap: Reseed', ({ policy }) => policy.onGap === 'Reseed'],
  ['policy.onDivergence: Reseed', ({ policy }) => policy.onDivergence === 'Reseed'],
  ['policy.onPurged: Reseed', ({ policy }) => policy.onPurged === 'Reseed'],
  // By file and position a VIP that moves between CHANGE and verification leads to other coordinates: rows twice.
  [
    'link.positioning: FilePosition with link.through: VIP',
    ({ link }) => link.positioning === 'FilePosition' && link.through === 'VIP',
  ],
  ['reseed.method', ({ reseed }) => reseed.method !== 'Auto'],
  ['reseed.from', ({ reseed }) => reseed.from !== 'Auto'],
  ['reseed.bandwidthLimit', ({ reseed }) => reseed.bandwidthLimit !== ''],
  [
    'reseed.salvage.pvc (what only one replica has is saved to the salvage volume of the operator: chart value salvage)',
    ({ reseed }) => reseed.salvage.pvc !== '',
  ],
];

export function notImplemented(spec: Spec): Refusal | null {
  const fields = NOT_IMPLEMENTED.filter(([, asked]) => asked(spec)).map(([field]) => field);
  if (fields.length === 0) return null;
  const message = `this version of mxr does not do this yet: ${fields.join(', ')}; remove it from the spec`;
  return { reason: 'NotImplemented', message };
}

/** Members whose publisher would get the token in the clear. */
export function plainPublishers({ source }: Spec): readonly string[] {
  if (source.publisherAuth === undefined) return [];
  return source.members.flatMap(({ name, publisher }) => (publisher?.url.startsWith('http:') === true ? [name] : []));
}

export interface Selection {
  readonly pods: readonly Pod[];
  readonly refusal: Refusal | null;
}

/** The pods of a resource, and why they may not be acted upon. `pods` are all that are known, of any namespace. */
export function selectionOf(
  resource: ExternalReplica,
  pods: readonly Pod[],
  others: readonly ExternalReplica[],
): Selection {
  const { spec, metadata } = resource;
  const { selector } = spec.replicas;
  const selected = selector === undefined ? [] : selectPods(selector, metadata.namespace, pods);
  const refusal = noneOf(resource, selected) ?? twiceOf(resource, selected, others) ?? managed(selected);
  return { pods: selected, refusal };
}

function noneOf({ spec, metadata }: ExternalReplica, selected: readonly Pod[]): Refusal | null {
  if (selected.length > 0) return null;
  const asked = spec.replicas.selector === undefined ? '' : ` (${selectorText(spec.replicas.selector)})`;
  const message = `replicas.selector${asked} matches no pod in namespace ${metadata.namespace}; label the replicas' pods so, or correct the selector`;
  return { reason: 'NoReplicaSelected', message };
}

function selectorText({ matchLabels, matchExpressions }: LabelSelector): string {
  const labels = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  const expressions = matchExpressions.map(({ key, operator, values }) =>
    values.length === 0 ? `${key} ${operator}` : `${key} ${operator} [${values.join(', ')}]`,
  );
  return [...labels, ...expressions].join(', ').slice(0, 200);
}

function twiceOf(
  { metadata }: ExternalReplica,
  selected: readonly Pod[],
  others: readonly ExternalReplica[],
): Refusal | null {
  const found: string[] = [];
  for (const other of others) {
    const { selector } = other.spec.replicas;
    if (other.metadata.namespace !== metadata.namespace || selector === undefined) continue;
    const shared = selected.find((pod) => selects(selector, pod.metadata.labels));
    if (shared !== undefined) found.push(`pod ${shared.metadata.name} is also selected by ${keyOf(other)}`);
  }
  if (found.length === 0) return null;
  const message = `${together(found)}; neither resource acts until one of the selectors is narrowed`;
  return { reason: 'SelectedTwice', message };
}

function managed(selected: readonly Pod[]): Refusal | null {
  const found: string[] = [];
  for (const pod of selected) {
    const manager = replicationManagerOf(pod);
    if (manager === null) continue;
    found.push(`the replication of pod ${pod.metadata.name} is managed by ${manager.name}, as ${manager.mark} shows`);
  }
  if (found.length === 0) return null;
  return { reason: 'ManagedByOther', message: `${together(found)}; select pods that nobody else repoints` };
}
