import type { ExternalReplica } from '../api/v1alpha1.ts';
import type { Memory } from '../domain/memory.ts';
import type { Observation } from '../domain/observation.ts';
import { linkOf } from '../domain/observation.ts';
import { ER_ACCESS_DENIED } from '../domain/relink.ts';
import type { ReplicationAccount } from './accept/named.ts';

/** What the links log in with, as far as this process knows. In memory only: no server tells a link's password. */
export interface LinkAccounts {
  /** What was accepted when the last pass looked. */
  readonly current: ReplicationAccount | null;
  readonly byPod: ReadonlyMap<string, ReplicationAccount>;
}

export const NO_LINK_ACCOUNTS: LinkAccounts = { current: null, byPod: new Map() };

function same(a: ReplicationAccount, b: ReplicationAccount): boolean {
  return a.user === b.user && a.password === b.password;
}

/** Another account was accepted: a link of which nothing else is known has the one before. */
export function accountsAt(before: LinkAccounts, current: ReplicationAccount, pods: readonly string[]): LinkAccounts {
  const { current: former, byPod } = before;
  if (former === null || same(former, current)) return former === null ? { ...before, current } : before;
  return { current, byPod: new Map(pods.map((pod) => [pod, byPod.get(pod) ?? former])) };
}

/** mxr has written this pod's link with this account. */
export function linkedWith(before: LinkAccounts, pod: string, account: ReplicationAccount): LinkAccounts {
  return { ...before, byPod: new Map([...before.byPod, [pod, account]]) };
}

/**
 * Pods whose link has another account than the one that is accepted now. A process that has just begun knows only the name
 * of the account, and that it is refused.
 */
export function podsToRelink(
  { current, byPod }: LinkAccounts,
  { replicas }: Pick<Observation, 'replicas'>,
  { memory, resource }: { readonly memory: Memory; readonly resource: Pick<ExternalReplica, 'spec'> },
): ReadonlySet<string> {
  const due = replicas.filter(({ pod, look }) => {
    const link = look.known ? linkOf(look.value, resource.spec.link.channel) : undefined;
    if (current === null || link === undefined || memory.replicas.get(pod)?.baseline == null) return false;
    const known = byPod.get(pod);
    if (link.user !== current.user) return true;
    return known === undefined ? link.ioErrno === ER_ACCESS_DENIED : !same(known, current);
  });
  return new Set(due.map(({ pod }) => pod));
}
