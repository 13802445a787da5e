import type { Cluster, KubeConfig } from '@kubernetes/client-node';

/** The part of undici's Dispatcher that is needed here; undici itself is client-node's dependency, not ours. */
interface Dispatcher {
  compose(interceptor: (dispatch: Dispatch) => Dispatch): Dispatcher;
  close(): Promise<void>;
  destroy(): Promise<void>;
}
type Dispatch = (options: object, handler: unknown) => boolean;
type TlsParts = Readonly<Record<'ca' | 'cert' | 'key' | 'pfx' | 'servername', unknown>>;
type MakeDispatcher = (cluster: Cluster | null, tls: TlsParts) => Dispatcher | undefined;

export interface SharedDispatcher {
  /** The next call opens new connections; calls under way keep theirs until they end. */
  renew(): void;
  /** Closes every connection at once. */
  destroy(): Promise<void>;
}

/**
 * client-node 2.0.1 makes a new undici agent for every request, so 500 calls leave some 400 connections open.
 * This keeps one agent per set of TLS material (client certificates are re-read from their files and may rotate).
 */
export function shareDispatcher(kubeConfig: KubeConfig): SharedDispatcher {
  // `createDispatcher` is private in the types and the only seam there is; test/unit/kube/client.test.ts pins it.
  const seam = kubeConfig as unknown as { createDispatcher: MakeDispatcher };
  const make = seam.createDispatcher.bind(kubeConfig);
  const all = new Set<Dispatcher>();
  let current: { readonly key: string; readonly dispatcher: Dispatcher } | undefined;

  function retire(): void {
    const old = current?.dispatcher;
    current = undefined;
    if (old === undefined) return;
    const forget = (): unknown => all.delete(old);
    old.close().then(forget, forget);
  }

  seam.createDispatcher = (cluster, tls) => {
    const key = [tls.ca, tls.cert, tls.key, tls.pfx, tls.servername].map(String).join('\n');
    if (current?.key === key) return current.dispatcher;
    const dispatcher = make(cluster, tls)?.compose(http1Only);
    retire();
    if (dispatcher === undefined) return undefined;
    all.add(dispatcher);
    current = { key, dispatcher };
    return dispatcher;
  };

  return {
    renew: retire,
    destroy: async () => {
      current = undefined;
      await Promise.allSettled([...all].map((dispatcher) => dispatcher.destroy()));
      all.clear();
    },
  };
}

/**
 * Over HTTP/2 all calls and watches share one connection, and one that died without a word takes them all with it.
 * Over HTTP/1.1 an aborted call destroys its own socket and nothing else.
 */
function http1Only(dispatch: Dispatch): Dispatch {
  return (options, handler) => dispatch({ ...options, allowH2: false }, handler);
}
