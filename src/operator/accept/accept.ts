// Thin stand-in until the real one lands.
import type { AcceptedReason } from '../../api/reasons.ts';
import type { ExternalReplica } from '../../api/v1alpha1.ts';
import type { Clock } from '../../clock.ts';
import type { Observation } from '../../domain/observation.ts';
import type { Kube } from '../../kube/client.ts';
import type { Pod } from '../../kube/objects.ts';
import type { WatchedReplica, WatchedTargets } from '../../observe/watcher.ts';
import type { Secrets } from '../../ops/secrets.ts';
import type { SqlConnect } from '../../sql/port.ts';
import { selectPods, watchedReplica } from '../selection.ts';

export type Acceptance =
  | {
      readonly ok: true;
      readonly targets: WatchedTargets;
      readonly replication: { readonly user: string; readonly password: string };
      readonly pods: readonly WatchedReplica[];
    }
  | { readonly ok: false; readonly reason: AcceptedReason; readonly message: string };
export interface Acceptor {
  check(input: {
    key: string;
    resource: ExternalReplica;
    pods: readonly Pod[];
    others: readonly ExternalReplica[];
    observation: Observation | null;
  }): Acceptance;
  forget(key: string): void;
}
export function createAcceptor(deps: {
  kube: Kube;
  connect: SqlConnect;
  clock: Clock;
  secrets: Secrets;
  signal: AbortSignal;
  onChange: (key: string) => void;
}): Acceptor {
  const cache = new Map<string, Record<string, string>>();
  return {
    check({ key, resource, pods }) {
      const { spec, metadata } = resource;
      const names = [spec.source.credentials.secretName, spec.replicas.credentials.secretName];
      for (const name of names) {
        if (cache.has(name)) continue;
        cache.set(name, {});
        void deps.kube.getSecret({ namespace: metadata.namespace, name }).then((data) => {
          cache.set(name, data);
          deps.onChange(key);
        });
      }
      const [source, replica] = names.map((name) => cache.get(name) ?? {});
      if (
        source?.['username'] === undefined ||
        replica?.['username'] === undefined ||
        spec.replicas.selector === undefined
      )
        return { ok: false, reason: 'SecretMissing', message: 'not read yet' };
      const account = { user: source['username'] ?? '', password: source['password'] ?? '' };
      const tls = { mode: spec.source.tls.mode };
      return {
        ok: true,
        targets: {
          vip: { name: 'the VIP', ...spec.source.vip, ...account, tls },
          members: spec.source.members.map((m) => ({
            name: m.name,
            match: m.match ?? null,
            target: { name: `member ${m.name}`, host: m.host, port: m.port, ...account, tls },
          })),
          replica: {
            port: spec.replicas.port,
            user: replica['username'] ?? '',
            password: replica['password'] ?? '',
            tls: { mode: spec.replicas.tls.mode },
          },
        },
        replication: { user: source['replicationUsername'] ?? '', password: source['replicationPassword'] ?? '' },
        pods: selectPods(spec.replicas.selector, metadata.namespace, pods).map(watchedReplica),
      };
    },
    forget() {},
  };
}
