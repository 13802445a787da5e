import { mock } from 'node:test';
import { parseResource } from '../../../src/api/v1alpha1.ts';
import type { ExternalReplica } from '../../../src/api/v1alpha1.ts';
import { createEvidenceStore } from '../../../src/observe/evidence.ts';
import type { Acceptance } from '../../../src/operator/accept/accept.ts';
import { Status } from '../../../src/api/status.ts';
import { stateHas } from '../../../src/domain/gtid.ts';
import type { MemberMemory } from '../../../src/domain/memory.ts';
import { memoryFromStatus } from '../../../src/operator/memory.ts';
import { beginRuntime } from '../../../src/operator/begin.ts';
import { reconcile } from '../../../src/operator/reconcile.ts';
import type { Runtime, Shared } from '../../../src/operator/runtime.ts';
import { answerFrom } from './answers.ts';
import { simConnect } from './session.ts';
import type { Gate } from './session.ts';
import type { SimServer } from './server.ts';
import type { SimWatcher } from './watcher.ts';
import { simWatcher } from './watcher.ts';
import type { World } from './world.ts';
import { serversOf, VIP, wallOf } from './world.ts';

/** What outlives a process of mxr: the resource in the API server, and the labels of the pods. */
export interface Cluster {
  readonly world: World;
  readonly spec: Record<string, unknown>;
  status: unknown;
  annotations: Record<string, string>;
  readonly serving: Set<string>;
  /** Invariants that a plan broke: always a bug. */
  readonly broken: string[];
  readonly trace: string[];
  /** The last picture in the trace. */
  said: string;
  /** Called before each statement that changes a replica. */
  onStatement: (server: SimServer, sql: string) => void;
  /** Called while a status is being stored. */
  onStore: () => void;
}

/** One process of mxr: the real passes, plans and executor over the simulated servers. */
export interface Operator {
  readonly cluster: Cluster;
  readonly runtime: Runtime;
  readonly watcher: SimWatcher;
  readonly acceptance: Acceptance;
  alive: boolean;
  readonly end: AbortController;
  /** How often another pass was asked for. */
  readonly woken: number;
}

const REF = { name: 'orders', namespace: 'default' };

export function newCluster(world: World, change: Record<string, unknown> = {}): Cluster {
  const spec = {
    source: {
      vip: { host: VIP },
      members: world.members.map(({ name, ip }) => ({ name, host: ip })),
      credentials: { secretName: 's' },
    },
    replicas: { selector: { matchLabels: { app: 'orders' } }, credentials: { secretName: 'r' } },
    ...change,
  };
  return {
    world,
    spec,
    status: {},
    annotations: {},
    serving: new Set(),
    broken: [],
    trace: [],
    said: '',
    onStatement: () => undefined,
    onStore: () => undefined,
  };
}

function resourceOf(cluster: Cluster): ExternalReplica {
  const parsed = parseResource({
    apiVersion: 'mxr.dev/v1alpha1',
    kind: 'MariaDBExternalReplica',
    metadata: { ...REF, uid: 'u', generation: 1, annotations: cluster.annotations },
    spec: cluster.spec,
    status: JSON.parse(JSON.stringify(cluster.status)),
  });
  if (!parsed.ok) throw new Error(parsed.message);
  return parsed.resource;
}

export function startOperator(cluster: Cluster): Operator {
  const { world } = cluster;
  for (const server of serversOf(world)) server.lockedBy = null;
  world.witnessed.clear();
  forgetUnstored(cluster);
  const end = new AbortController();
  const state = { alive: true, woken: 0 };
  const shared = sharedOf(cluster, state, end.signal);
  const runtime = beginRuntime(`${REF.namespace}/${REF.name}`, resourceOf(cluster), shared, () => {
    state.woken += 1;
  });
  const watcher = simWatcher(world, cluster.serving);
  runtime.watcher = watcher;
  runtime.evidence = createEvidenceStore({
    clock: shared.clock,
    onAnswer: () => undefined,
    ask: async (question) => {
      if (question.kind !== 'LiveLook') return answerFrom(world, question);
      if (question.target === 'vip') watcher.probeVip();
      else watcher.look('member' in question.target ? question.target.member : question.target.pod);
      return true;
    },
  });
  return {
    cluster,
    runtime,
    watcher,
    acceptance: acceptanceOf(world),
    end,
    get alive() {
      return state.alive;
    },
    set alive(value) {
      state.alive = value;
    },
    get woken() {
      return state.woken;
    },
  };
}

/** What the process before had seen lost, and did not store, died with it: no proof can know of it. */
function forgetUnstored({ world, status }: Cluster): void {
  const parsed = Status.safeParse(status);
  const stored = parsed.success ? memoryFromStatus(parsed.data).members : new Map<string, MemberMemory>();
  for (const { token, member, gtid } of world.heardOnly.splice(0)) {
    const memory = stored.get(member);
    const known =
      memory?.broken != null || memory?.anchors.some(({ binlogState }) => stateHas(binlogState, gtid)) === true;
    if (!known) world.unheard.add(token);
  }
}

/** kill -9: nothing that it has begun goes on, and it writes no status any more. */
export function killOperator(operator: Operator): void {
  operator.alive = false;
}

function sharedOf(cluster: Cluster, state: { readonly alive: boolean }, signal: AbortSignal): Shared {
  const { world } = cluster;
  const gate: Gate = async (server, sql) => {
    await Promise.resolve();
    if (state.alive) cluster.onStatement(server, sql);
    if (!state.alive) await new Promise(() => undefined);
    cluster.trace.push(`${world.now} ${server.name}: ${sql}`);
  };
  return {
    kube: kubeOf(cluster, state),
    connect: simConnect(world, gate),
    clock: { monotonicMs: () => world.now, wallMs: () => wallOf(world) },
    log: logOf(cluster),
    tell: { statement: noop, error: noop, handover: noop, shows: noop, changed: noop, gone: noop },
    filler: null,
    mayHedge: () => true,
    mayHurry: () => true,
    leaseDurationMs: 15_000,
    isLeader: () => state.alive,
    salvage: null,
    signal,
  };
}

function noop(): void {}

function logOf(cluster: Cluster): Shared['log'] {
  const say = (level: string) => (message: string, fields?: unknown) => {
    cluster.trace.push(`${cluster.world.now} ${level}: ${message} ${text(fields)}`);
    if (message.includes('invariant')) cluster.broken.push(`${message} ${text(fields)}`);
  };
  const log = {
    trace: noop,
    debug: noop,
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    fatal: say('fatal'),
  };
  return { ...log, child: () => logOf(cluster) } as unknown as Shared['log'];
}

function text(fields: unknown): string {
  return JSON.stringify(fields, (_, value: unknown) => (value instanceof Error ? value.message : value)) ?? '';
}

function kubeOf(cluster: Cluster, state: { readonly alive: boolean }): Shared['kube'] {
  const resource = () => ({ metadata: { ...REF, uid: 'u', resourceVersion: '1', finalizers: [] } });
  const kube = {
    getResource: async () => resource(),
    patchResourceMetadata: async () => resource(),
    async replaceStatus(_: unknown, status: unknown) {
      cluster.onStore();
      if (state.alive) cluster.status = JSON.parse(JSON.stringify(status));
      return resource();
    },
    async labelPod(pod: { name: string }, labels: Record<string, string | null>) {
      if (!state.alive) return;
      if (Object.values(labels)[0] === null) cluster.serving.delete(pod.name);
      else cluster.serving.add(pod.name);
    },
  };
  return kube as unknown as Shared['kube'];
}

function acceptanceOf(world: World): Acceptance {
  const account = { user: 'mxr', password: 'x', port: 3306, tls: { mode: 'Disabled' as const } };
  return {
    ok: true,
    targets: {
      vip: { name: 'the VIP', host: VIP, ...account },
      members: world.members.map(({ name, ip }) => ({
        name,
        match: null,
        target: { name: `member ${name}`, host: ip, ...account },
      })),
      replica: account,
    },
    replication: { user: 'repl', password: 'x' },
    refused: null,
    pods: world.replicas.map(({ name, ip }) => ({
      pod: name,
      podUid: `uid-${name}`,
      ip,
      podReady: true,
      labelledServing: false,
    })),
  };
}

/** Everything that waits only for promises goes on until it stands. */
export function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export async function pass(operator: Operator): Promise<void> {
  if (!operator.alive) return;
  operator.runtime.resource = {
    ...operator.runtime.resource,
    metadata: { ...operator.runtime.resource.metadata, annotations: operator.cluster.annotations },
  };
  reconcile(operator.runtime, operator.acceptance);
  witness(operator);
  note(operator);
  await settle();
}

/** What a pass concluded, where it is news: for people who read a counterexample. */
function note({ cluster, runtime }: Operator): void {
  const { diagnosis, decisions } = runtime.picture ?? {};
  const verdicts = decisions?.map(({ pod, verdict, reason, message }) => `${pod} ${verdict}/${reason} (${message})`);
  const text = `${diagnosis?.situation}: ${verdicts?.join('; ')}`;
  if (cluster.said === text) return;
  cluster.said = text;
  cluster.trace.push(`${cluster.world.now} ${text}`);
}

/** What was seen of a server whose restart is not proven yet is not remembered of it. */
function witness({ cluster, runtime, watcher }: Operator): void {
  for (const { name, inQuestion } of runtime.memory.members.values()) {
    if (inQuestion) continue;
    for (const token of watcher.looked.get(name) ?? []) cluster.world.witnessed.add(token);
  }
}

/** Looks at everything in a given order, and passes. */
export async function round(operator: Operator, order: readonly string[] = everything(operator)): Promise<void> {
  for (const name of order) {
    if (name === 'vip') operator.watcher.probeVip();
    else operator.watcher.look(name);
  }
  await pass(operator);
}

export function everything({ cluster }: Pick<Operator, 'cluster'>): string[] {
  return [...cluster.world.replicas.map((one) => one.name), 'vip', ...cluster.world.members.map((one) => one.name)];
}

/** Time goes on for the world, and for whatever sleeps in the process. */
export async function advance(world: World, ms: number): Promise<void> {
  world.now += ms;
  mock.timers.tick(ms);
  await settle();
}
