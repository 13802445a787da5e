import { systemClock } from '../../../src/clock.ts';
import { parseResource } from '../../../src/api/v1alpha1.ts';
import type { ExternalReplica, Status } from '../../../src/api/v1alpha1.ts';
import { Resource } from '../../../src/kube/objects.ts';
import { createLogger } from '../../../src/ops/log.ts';
import { createSecrets } from '../../../src/ops/secrets.ts';
import { beginRuntime } from '../../../src/operator/begin.ts';
import { reconcile } from '../../../src/operator/reconcile.ts';
import type { Runtime, Shared } from '../../../src/operator/runtime.ts';
import { stopRuntime } from '../../../src/operator/runtime.ts';
import type { Acceptance } from '../../../src/operator/accept/accept.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import { until } from '../../support/wait.ts';

/** What an API server would keep: a process that begins knows of the ones before it only what is stored here. */
export interface Stored {
  readonly spec: Readonly<Record<string, unknown>>;
  status: unknown;
}

const REF = { name: 'orders', namespace: 'default' };
const TICK_MS = 100;

/**
 * One process of mxr over real servers: the looks, proofs, passes and statements are the product's, what is left out is the
 * Kubernetes API. It has no keepalived to wait for, so a takeover takes a second.
 */
export class Mxr {
  readonly log: string[] = [];
  readonly #runtime: Runtime;
  readonly #acceptance: Acceptance;
  readonly #end = new AbortController();
  readonly #tick: NodeJS.Timeout;
  #alive = true;
  #due = false;

  constructor(stored: Stored, acceptance: Acceptance) {
    this.#acceptance = acceptance;
    const shared = sharedOf(stored, this.log, { alive: () => this.#alive, signal: this.#end.signal });
    this.#runtime = beginRuntime(`${REF.namespace}/${REF.name}`, resourceOf(stored), shared, () => this.#wake());
    this.#tick = setInterval(() => this.#pass(), TICK_MS);
  }

  get status(): Status {
    return this.#runtime.resource.status;
  }

  /** Resolves with the status once it is as described; else the message shows what it was instead. */
  async statusIs(what: string, holds: (status: Status) => boolean, deadlineMs = 20_000): Promise<Status> {
    try {
      await until(what, () => holds(this.status), { deadlineMs, intervalMs: 20 });
    } catch (error) {
      const { source, replicas } = this.status;
      const told = replicas.map((one) => `${one.pod} ${one.verdict}/${one.reason}: ${one.message}`);
      const text = [
        `${(error as Error).message}; ${source.situation}: ${source.message}`,
        ...told,
        ...this.log.slice(-5),
      ];
      throw new Error(text.join('\n  '), { cause: error });
    }
    return this.status;
  }

  /** Resolves when every server was looked at once more, and a pass has decided with that. */
  async lookedAgain(): Promise<void> {
    const { watcher } = this.#runtime;
    const looked = watcher?.observation();
    const members = looked?.members.map(({ name }) => name) ?? [];
    const replicas = looked?.replicas.map(({ pod }) => pod) ?? [];
    await watcher?.lookNow({ vip: true, members, replicas }, 5_000);
    this.#pass();
  }

  /** kill -9: nothing goes on, and nothing is stored any more. */
  kill(): void {
    this.#alive = false;
    clearInterval(this.#tick);
    this.#end.abort();
    stopRuntime(this.#runtime);
  }

  #wake(): void {
    if (this.#due) return;
    this.#due = true;
    setImmediate(() => this.#pass());
  }

  #pass(): void {
    this.#due = false;
    if (this.#alive) reconcile(this.#runtime, this.#acceptance);
  }
}

function resourceOf({ spec, status }: Stored): ExternalReplica {
  const metadata = { ...REF, uid: 'u', generation: 1 };
  const parsed = parseResource({
    apiVersion: 'mxr.dev/v1alpha1',
    kind: 'MariaDBExternalReplica',
    metadata,
    spec,
    status,
  });
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.resource;
}

function nothing(): void {}

function sharedOf(
  stored: Stored,
  log: string[],
  { alive, signal }: { readonly alive: () => boolean; readonly signal: AbortSignal },
): Shared {
  const object = Resource.parse({ metadata: { ...REF, uid: 'u', resourceVersion: '1' } });
  const kube: Pick<Shared['kube'], 'getResource' | 'patchResourceMetadata' | 'replaceStatus' | 'labelPod'> = {
    getResource: async () => object,
    patchResourceMetadata: async () => object,
    replaceStatus: async (_, status) => {
      if (alive()) stored.status = JSON.parse(JSON.stringify(status));
      return object;
    },
    labelPod: async () => undefined,
  };
  const secrets = createSecrets();
  return {
    kube: kube as Shared['kube'],
    connect: connectSql,
    clock: systemClock,
    log: createLogger({ level: 'info', clock: systemClock, secrets, write: (line) => log.push(line) }),
    tell: { statement: nothing, error: nothing, handover: nothing, shows: nothing, changed: nothing, gone: nothing },
    filler: null,
    mayHedge: () => true,
    mayHurry: () => true,
    leaseDurationMs: 15_000,
    isLeader: alive,
    salvage: null,
    signal,
  };
}
