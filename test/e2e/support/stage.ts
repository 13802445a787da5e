import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Status } from '../../../src/api/v1alpha1.ts';
import type { Bench, BenchOptions } from '../../support/bench.ts';
import { layBench } from '../../support/bench.ts';
import type { KubeApi } from '../../support/kube/api.ts';
import { OPERATOR_USER } from '../../support/kube/servers.ts';
import { until } from '../../support/wait.ts';
import type { StandingGround } from './ground.ts';
import { NAMESPACE, apiWithChart } from './ground.ts';
import { OperatorProcess } from './operator-process.ts';

export { NAMESPACE } from './ground.ts';

export const NAME = 'orders';
const RESOURCE = { api: 'mxr.dev/v1alpha1', plural: 'mariadbexternalreplicas', namespace: NAMESPACE, name: NAME };
const LABELS = { app: 'orders-replica' };

export interface StageOptions {
  readonly bench?: BenchOptions;
  /** Merged over the default spec, one level deep in each section. */
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly operator?: { readonly env?: Readonly<Record<string, string>> };
  readonly onOperatorLine?: (line: string) => void;
  readonly log?: (line: string) => void;
}

/** The whole play: pair under keepalived, replicas, a real API server with the chart, and the operator with its rights. */
export class Stage {
  readonly bench: Bench;
  readonly api: KubeApi;
  readonly #options: StageOptions;
  #operator: OperatorProcess | null = null;

  private constructor(bench: Bench, api: KubeApi, options: StageOptions) {
    this.bench = bench;
    this.api = api;
    this.#options = options;
  }

  static async open(options: StageOptions = {}): Promise<Stage> {
    const log = options.log ?? (() => undefined);
    const bench = await layBench({ ...options.bench, log });
    try {
      const [api] = await Promise.all([apiWithChart(bench.op, log), bench.build()]);
      const stage = new Stage(bench, api, options);
      await stage.createObjects();
      return stage;
    } catch (error) {
      // Whatever has started by then runs on one of its hosts.
      await bench.close();
      throw error;
    }
  }

  /** On ground that stays, and not built yet: an operator may begin beside `bench.build`. */
  static async lay(ground: StandingGround, options: StageOptions): Promise<Stage> {
    const bench = await layBench(options.bench, ground);
    const stage = new Stage(bench, ground.api, options);
    await stage.createObjects();
    return stage;
  }

  get operator(): OperatorProcess {
    if (this.#operator === null) throw new Error('the operator was not started');
    return this.#operator;
  }

  /** Starts an operator (again); resolves when it leads. */
  async startOperator(env: Readonly<Record<string, string>> = {}): Promise<OperatorProcess> {
    const kubeconfig = join(this.bench.op.directory, 'kubeconfig');
    writeFileSync(kubeconfig, this.api.userKubeconfig(OPERATOR_USER), { mode: 0o600 });
    const { onOperatorLine } = this.#options;
    this.#operator = new OperatorProcess({
      host: this.bench.op,
      kubeconfig,
      env: { ...this.#options.operator?.env, ...env },
      ...(onOperatorLine === undefined ? {} : { onLine: onOperatorLine }),
    });
    await this.#operator.says('leading');
    return this.#operator;
  }

  /** Secrets, and one pod object per replica: nothing runs a kubelet here. */
  async createObjects(): Promise<void> {
    const { accounts, replicas } = this.bench;
    const { look, replication, replica } = accounts;
    await this.api.createSecret(NAMESPACE, 'orders-source', {
      username: look.user,
      password: look.password,
      replicationUsername: replication.user,
      replicationPassword: replication.password,
    });
    await this.api.createSecret(NAMESPACE, 'orders-replica', { username: replica.user, password: replica.password });
    for (const { name, host } of replicas) {
      await this.api.createPod({ namespace: NAMESPACE, name, labels: LABELS, ip: host.address, ready: true });
    }
  }

  /** `source` is merged over what the spec says of it. */
  async createResource(source: Readonly<Record<string, unknown>> = {}): Promise<void> {
    await this.api.create(RESOURCE, {
      apiVersion: 'mxr.dev/v1alpha1',
      kind: 'MariaDBExternalReplica',
      metadata: { name: NAME, namespace: NAMESPACE },
      spec: this.#spec(source),
    });
  }

  #spec(source: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const { a, b, vip } = this.bench;
    const members = [a, b].map((member) => ({ name: member.name, host: member.address }));
    const base: Record<string, unknown> = {
      source: { vip, members, credentials: { secretName: 'orders-source' } },
      replicas: { selector: { matchLabels: LABELS }, port: vip.port, credentials: { secretName: 'orders-replica' } },
      detection: { probeIntervalMs: 250, probeTimeoutMs: 1000 },
    };
    for (const [section, value] of Object.entries(this.#options.spec ?? {})) {
      base[section] = typeof value === 'object' ? { ...(base[section] as object | undefined), ...value } : value;
    }
    base['source'] = { ...(base['source'] as object), ...source };
    return base;
  }

  /** The generation that this makes. */
  async patchSpec(spec: unknown): Promise<number> {
    const { metadata } = await this.api.patch(RESOURCE, { spec });
    return metadata?.generation ?? 0;
  }

  async annotate(annotations: Readonly<Record<string, string | null>>): Promise<void> {
    await this.api.patch(RESOURCE, { metadata: { annotations } });
  }

  async status(): Promise<Status> {
    const resource = (await this.api.get(RESOURCE)) as { status?: Status };
    return { ...EMPTY, ...resource.status };
  }

  /** Resolves with the status once it is as described; on failure the message shows what it was instead. */
  async statusIs(what: string, holds: (status: Status) => boolean, deadlineMs = 30_000): Promise<Status> {
    let last: Status = EMPTY;
    try {
      await until(what, async () => holds((last = await this.status())), { deadlineMs, intervalMs: 50 });
    } catch (error) {
      throw new Error(`${(error as Error).message}; ${describe(last)}\n${this.#operator?.tail() ?? ''}`, {
        cause: error,
      });
    }
    return last;
  }

  /** Every replica follows this member, proven. */
  async following(member: string, deadlineMs = 30_000): Promise<Status> {
    const count = this.bench.replicas.length;
    return this.statusIs(
      `all replicas follow ${member}`,
      (status) =>
        status.following === `${count}/${count}` &&
        status.holder === member &&
        status.replicas.every((replica) => replica.baseline?.member === member),
      deadlineMs,
    );
  }

  /** All events of the namespace. */
  async events(): Promise<readonly EventObject[]> {
    return this.api.list<EventObject>({ api: 'events.k8s.io/v1', plural: 'events', namespace: NAMESPACE });
  }

  async close(): Promise<void> {
    await this.#operator?.kill9();
    await this.api.stop();
    await this.bench.close();
  }
}

interface EventObject {
  readonly reason: string;
  readonly note: string;
  readonly regarding: { readonly name: string; readonly kind: string };
}

const EMPTY: Status = {
  holder: '',
  following: '',
  source: { message: '', members: [] },
  replicas: [],
  approvals: [],
  handovers: [],
  findings: [],
  conditions: [],
};

export function describe(status: Status): string {
  const replicas = status.replicas.map((one) => `${one.pod} ${one.verdict}/${one.reason}: ${one.message}`);
  const conditions = status.conditions.map((one) => `${one.type}=${one.status} (${one.reason}: ${one.message})`);
  const situation = `situation ${status.source.situation ?? 'none'}: ${status.source.message}; holder ${status.holder || 'none'}`;
  const findings = status.findings.map(({ finding, subject, message }) => `${finding} of ${subject}: ${message}`);
  return [situation, ...replicas, ...conditions, ...findings].join('\n  ');
}
