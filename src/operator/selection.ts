import type { LabelSelector } from '../api/v1alpha1.ts';
import { SERVING_LABEL } from '../api/names.ts';
import type { Pod } from '../kube/objects.ts';
import type { WatchedReplica } from '../observe/watcher.ts';

/** Kubernetes' own label selector semantics: every label and every expression must hold. */
export function selects(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const byLabels = Object.entries(selector.matchLabels).every(([key, value]) => labels[key] === value);
  return byLabels && selector.matchExpressions.every((one) => expressionHolds(one, labels));
}

function expressionHolds(
  { key, operator, values }: LabelSelector['matchExpressions'][number],
  labels: Readonly<Record<string, string>>,
): boolean {
  const value = labels[key];
  switch (operator) {
    case 'In':
      return value !== undefined && values.includes(value);
    case 'NotIn':
      return value === undefined || !values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
    default:
      return operator satisfies never;
  }
}

/** Pods that are there to stay: a pod that is being deleted or has ended is nobody's replica any more. */
export function selectPods(selector: LabelSelector, namespace: string, pods: readonly Pod[]): readonly Pod[] {
  return pods
    .filter((pod) => pod.metadata.namespace === namespace && selects(selector, pod.metadata.labels))
    .filter((pod) => pod.metadata.deletionTimestamp === undefined)
    .filter((pod) => pod.status.phase !== 'Succeeded' && pod.status.phase !== 'Failed')
    .toSorted((a, b) => a.metadata.name.localeCompare(b.metadata.name));
}

export function watchedReplica(pod: Pod): WatchedReplica {
  return {
    pod: pod.metadata.name,
    podUid: pod.metadata.uid,
    ip: pod.status.podIP ?? null,
    podReady: pod.status.conditions.some((one) => one.type === 'Ready' && one.status === 'True'),
    labelledServing: pod.metadata.labels[SERVING_LABEL] === 'true',
  };
}
