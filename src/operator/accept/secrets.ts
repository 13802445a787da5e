import type { Clock } from '../../clock.ts';
import { errorText, isMxrError } from '../../errors.ts';
import type { Kube } from '../../kube/client.ts';
import type { ObjectRef } from '../../kube/objects.ts';
import { createCache } from './cache.ts';

export type SecretAnswer =
  | {
      readonly state: 'Read';
      readonly data: Readonly<Record<string, string>>;
      /** Why it could not be read again since: the last value that is known stands. */
      readonly stale: string | null;
    }
  | { readonly state: 'Missing' }
  /** Never read, and could not be asked: says nothing about whether it exists. */
  | { readonly state: 'Unknown'; readonly why: string };

export interface SecretCache {
  /** Never rejects. `fresh` asks the API server whatever the age of what is known. */
  get(ref: ObjectRef, options?: { readonly fresh?: boolean }): Promise<SecretAnswer>;
  /** What is known now; undefined: not asked yet. */
  peek(ref: ObjectRef): SecretAnswer | undefined;
}

export interface SecretCacheOptions {
  readonly kube: Pick<Kube, 'getSecret'>;
  readonly clock: Clock;
  readonly maxAgeMs: number;
  readonly signal: AbortSignal;
  /** Told of every value that must never be shown. */
  readonly onSecret: (value: string) => void;
}

/** Names and certificates may be shown; masking them would hide what a message is about. */
const SHOWN_KEYS: ReadonlySet<string> = new Set(['username', 'replicationUsername', 'ca.crt']);

export function createSecretCache(options: SecretCacheOptions): SecretCache {
  const { kube, clock, maxAgeMs, signal, onSecret } = options;
  const cache = createCache<SecretAnswer>({ clock, maxAgeMs, ask });
  return {
    get: (ref, how) => cache.get(keyOf(ref), how),
    peek: (ref) => cache.peek(keyOf(ref)),
  };

  async function ask(key: string, before: SecretAnswer | undefined): Promise<SecretAnswer> {
    try {
      const data = await kube.getSecret(refOf(key), { signal });
      for (const [name, value] of Object.entries(data)) {
        if (SHOWN_KEYS.has(name)) continue;
        onSecret(value);
        // A token is used without the newline that the file ended with.
        if (value.trim() !== value) onSecret(value.trim());
      }
      return { state: 'Read', data, stale: null };
    } catch (error) {
      return isMxrError(error, 'KubeNotFound') ? { state: 'Missing' } : unasked(before, errorText(error));
    }
  }
}

/** An API server that does not answer, or forbids, says nothing new: a resource that was accepted goes on. */
function unasked(before: SecretAnswer | undefined, why: string): SecretAnswer {
  return before?.state === 'Read' ? { ...before, stale: why } : { state: 'Unknown', why };
}

function keyOf(ref: ObjectRef): string {
  return `${ref.namespace}/${ref.name}`;
}

function refOf(key: string): ObjectRef {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
