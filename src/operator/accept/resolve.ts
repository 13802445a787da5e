import { lookup as dnsLookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Clock } from '../../clock.ts';
import { sleep } from '../../clock.ts';
import { createCache } from './cache.ts';
import { systemCode } from '../../errors.ts';

export type Resolved =
  { readonly state: 'Address'; readonly address: string } | { readonly state: 'Unresolved'; readonly why: string };

export interface Resolver {
  /** Never rejects; answers within the deadline. An address is its own answer. */
  resolve(host: string, options?: { readonly fresh?: boolean }): Promise<Resolved>;
  /** What is known now; undefined: not asked yet. */
  peek(host: string): Resolved | undefined;
}

export interface ResolverOptions {
  readonly clock: Clock;
  readonly maxAgeMs: number;
  readonly deadlineMs: number;
  /** Default: the system's resolver. */
  readonly lookup?: (host: string) => Promise<{ readonly address: string }>;
}

/** Host names as addresses: MariaDB is never given a name, and a plan names the address that was looked at. */
export function createResolver(options: ResolverOptions): Resolver {
  const { clock, maxAgeMs, deadlineMs, lookup = dnsLookup } = options;
  const cache = createCache<Resolved>({ clock, maxAgeMs, ask });
  /** The system's resolver cannot be abandoned, and each call that hangs keeps one of its few threads: one per name. */
  const underWay = new Map<string, Promise<Resolved>>();
  return {
    resolve: async (host, how) => asAddress(host) ?? cache.get(host, how),
    peek: (host) => asAddress(host) ?? cache.peek(host),
  };

  /** A name that resolved before keeps its address: name servers fail in the same nights as databases. */
  async function ask(host: string, before: Resolved | undefined): Promise<Resolved> {
    const answer = await answerInTime(host);
    return answer.state === 'Unresolved' && before?.state === 'Address' ? before : answer;
  }

  async function answerInTime(host: string): Promise<Resolved> {
    const answered = new AbortController();
    const late = sleep(deadlineMs, answered.signal).then(() => unresolved(`no answer within ${deadlineMs} ms`));
    try {
      return await Promise.race([underWay.get(host) ?? look(host), late]);
    } finally {
      answered.abort();
    }
  }

  /** Never rejects. Late answers are waited for by whoever asks next. */
  function look(host: string): Promise<Resolved> {
    const looked = lookup(host)
      .then(
        ({ address }): Resolved => ({ state: 'Address', address }),
        (error: unknown) => unresolved(codeOf(error)),
      )
      .finally(() => underWay.delete(host));
    underWay.set(host, looked);
    return looked;
  }
}

function asAddress(host: string): Resolved | undefined {
  return isIP(host) === 0 ? undefined : { state: 'Address', address: host };
}

function unresolved(why: string): Resolved {
  return { state: 'Unresolved', why };
}

function codeOf(error: unknown): string {
  return systemCode(error) ?? 'the lookup failed';
}
