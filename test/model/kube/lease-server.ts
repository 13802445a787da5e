import { MxrError } from '../../../src/errors.ts';
import type { ErrorCode } from '../../../src/errors.ts';
import type { CallOptions, LeaseApi } from '../../../src/kube/client.ts';
import type { Lease, LeaseSpec } from '../../../src/kube/objects.ts';
import type { VirtualProcess, VirtualTime } from './virtual-time.ts';

/** What the network does to one call. A lost answer is the interesting one: the write has happened. */
export interface CallFate {
  readonly requestMs: number;
  readonly answerMs: number;
  readonly lose: 'nothing' | 'request' | 'answer';
  /** The server answers 500 and does nothing. */
  readonly refuse: boolean;
}

export const SMOOTH: CallFate = { requestMs: 2, answerMs: 2, lose: 'nothing', refuse: false };

/** A Lease as the API server keeps it: versioned, compared and swapped, seen through a network with faults. */
export class LeaseServer {
  readonly #time: VirtualTime;
  #lease: Lease | undefined;
  #version = 0;
  /** Decides the fate of each call. */
  fate: () => CallFate = () => SMOOTH;
  /** Calls that have arrived. */
  served = 0;

  constructor(time: VirtualTime) {
    this.#time = time;
  }

  get lease(): Lease | undefined {
    return this.#lease;
  }

  delete(): void {
    this.#lease = undefined;
  }

  edit(spec: LeaseSpec): void {
    if (this.#lease !== undefined) this.#store({ ...this.#lease.spec, ...spec });
  }

  clientOf(process: VirtualProcess): LeaseApi {
    return {
      getLease: (_ref, options) => this.#call(process, options, () => this.#lease ?? fail('KubeNotFound')),
      createLease: (_ref, spec, options) =>
        this.#call(process, options, () => (this.#lease === undefined ? this.#store(spec) : fail('KubeConflict'))),
      updateLease: (lease, spec, options) =>
        this.#call(process, options, () => {
          if (this.#lease === undefined) return fail('KubeNotFound');
          const same = this.#lease.metadata.resourceVersion === lease.metadata.resourceVersion;
          return same ? this.#store(spec) : fail('KubeConflict');
        }),
    };
  }

  #store(spec: LeaseSpec): Lease {
    this.#version += 1;
    const lists = { labels: {}, annotations: {}, finalizers: [], ownerReferences: [] };
    const metadata = { name: 'mxr', namespace: 'mxr', uid: 'l', generation: 0, ...lists };
    this.#lease = { metadata: { ...metadata, resourceVersion: String(this.#version) }, spec };
    return this.#lease;
  }

  #call(process: VirtualProcess, options: CallOptions | undefined, serve: () => Lease): Promise<Lease> {
    const fate = this.fate();
    return new Promise((resolve, reject) => {
      const give = (error: unknown): void => reject(error instanceof Error ? error : new Error('not an error'));
      process.timers.after(options?.timeoutMs ?? 5_000, () => give(errorOf('Deadline')));
      options?.signal?.addEventListener('abort', () => give(errorOf('KubeUnavailable')), { once: true });
      if (fate.lose === 'request') return;
      this.#time.timers.after(fate.requestMs, () => {
        this.served += 1;
        const answer = attempt(fate.refuse ? () => fail('KubeUnavailable') : serve);
        if (fate.lose === 'answer') return;
        this.#time.timers.after(fate.answerMs, () =>
          process.whenAwake(() => ('lease' in answer ? resolve(answer.lease) : give(answer.error))),
        );
      });
    });
  }
}

function attempt(serve: () => Lease): { lease: Lease } | { error: unknown } {
  try {
    return { lease: serve() };
  } catch (error) {
    return { error };
  }
}

function errorOf(code: ErrorCode): MxrError {
  return new MxrError({ operation: 'call', target: 'lease mxr/mxr', code, detail: 'scripted', retryable: true });
}

function fail(code: ErrorCode): never {
  throw errorOf(code);
}
