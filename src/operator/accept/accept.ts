import type { Clock } from '../../clock.ts';
import type { Kube } from '../../kube/client.ts';
import type { Secrets } from '../../ops/secrets.ts';
import type { SqlConnect } from '../../sql/port.ts';
import type { Acceptance, AcceptInput, Candidate } from './candidate.ts';
import { createCandidate } from './candidate.ts';
import { createResolver } from './resolve.ts';
import type { ResolverOptions } from './resolve.ts';
import { createSecretCache } from './secrets.ts';
import { notImplemented } from './static.ts';

export type { Acceptance, AcceptInput } from './candidate.ts';

/** Says of each resource whether it can be acted upon, and if not, what to mend. */
export interface Acceptor {
  /** Answers at once from what is known. What must be asked is asked in the background; `onChange` follows. */
  check(input: AcceptInput & { readonly key: string }): Acceptance;
  forget(key: string): void;
}

export interface AcceptorDeps {
  readonly kube: Pick<Kube, 'getSecret'>;
  readonly connect: SqlConnect;
  readonly clock: Clock;
  readonly secrets: Pick<Secrets, 'add'>;
  readonly signal: AbortSignal;
  /** Another answer is there for this resource. It must only enqueue. */
  readonly onChange: (key: string) => void;
  /** Default: the system's resolver. */
  readonly lookup?: ResolverOptions['lookup'];
}

const SECRET_AGE_MS = 40_000;
const ADDRESS_AGE_MS = 30_000;
const LOOKUP_DEADLINE_MS = 1_000;

export function createAcceptor(deps: AcceptorDeps): Acceptor {
  const { kube, connect, clock, signal, lookup } = deps;
  const onSecret = (value: string): void => deps.secrets.add(value);
  const secrets = createSecretCache({ kube, clock, maxAgeMs: SECRET_AGE_MS, signal, onSecret });
  const resolver = createResolver({
    clock,
    maxAgeMs: ADDRESS_AGE_MS,
    deadlineMs: LOOKUP_DEADLINE_MS,
    ...(lookup === undefined ? {} : { lookup }),
  });
  const candidates = new Map<string, Candidate>();
  return { check, forget };

  function check({ key, ...input }: AcceptInput & { readonly key: string }): Acceptance {
    const refusal = notImplemented(input.resource.spec);
    if (refusal !== null) {
      forget(key);
      return { ok: false, ...refusal };
    }
    const candidate = candidates.get(key) ?? begin(key, input);
    return candidate.judge(input);
  }

  function begin(key: string, input: AcceptInput): Candidate {
    const onChange = (): void => deps.onChange(key);
    const candidate = createCandidate(input, { secrets, resolver, connect, clock, signal, onChange });
    candidates.set(key, candidate);
    return candidate;
  }

  function forget(key: string): void {
    candidates.get(key)?.stop();
    candidates.delete(key);
  }
}
