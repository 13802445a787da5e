import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { FINDINGS, OUTCOMES, SITUATIONS } from '../api/reasons.ts';
import type { Finding, Outcome, Situation, Step, StepOutcome, Verdict } from '../api/reasons.ts';
import type { Status } from '../api/v1alpha1.ts';
import type { ErrorCode } from '../errors.ts';
import { METRIC, METRICS } from './metrics-table.ts';
import type { MetricInfo } from './metrics-table.ts';

export { METRICS };
export type { MetricInfo };

/** The whole picture of one resource: what is not in it has no series. Absent is unknown, never 0. */
export interface ResourcePicture {
  readonly members: readonly { readonly name: string; readonly holder: boolean; readonly up: boolean }[];
  readonly situation?: Situation | undefined;
  readonly replicas: readonly ReplicaPicture[];
  readonly failoverReady?: boolean | undefined;
  readonly findings: readonly Finding[];
}

export interface ReplicaPicture {
  readonly pod: string;
  readonly following: boolean;
  readonly verdict: Verdict;
  readonly lagSeconds?: number | undefined;
  readonly retention?: { readonly member: string; readonly seconds: number } | undefined;
}

export interface ResourceMetrics {
  /** Replaces everything that was shown of this resource, except what was counted. */
  show(picture: ResourcePicture): void;
  countHandover(outcome: Outcome): void;
  /** From the VIP answering to the last replica streaming, in seconds. */
  observeHandover(seconds: number): void;
  /** The resource is gone, and with it all of its series. The handle is dead afterwards. */
  remove(): void;
}

export interface Metrics {
  /** The one handle of a resource; made at the first call. */
  resource(key: { readonly namespace: string; readonly name: string }): ResourceMetrics;
  countStatement(statement: Step, outcome: StepOutcome): void;
  observePass(seconds: number): void;
  countPassError(reason: ErrorCode): void;
  setLeader(leader: boolean): void;
  readonly contentType: string;
  /** The exposition; calls that overlap share one. */
  text(): Promise<string>;
}

interface Labels extends Record<string, string> {
  readonly namespace: string;
  readonly name: string;
}

/** `processMetrics`: also the default ones of Node.js, which keep an observer alive; left out in tests. */
export function createMetrics(options: { readonly processMetrics: boolean }): Metrics {
  return new PromMetrics(options.processMetrics);
}

/** What a status shows. `failoverReady` and the rest are unknown while their condition or field is. */
export function pictureOf(status: Status): ResourcePicture {
  const { source, replicas, findings, conditions, holder } = status;
  const ready = conditions.find((condition) => condition.type === 'FailoverReady')?.status ?? 'Unknown';
  return {
    members: source.members.map(({ name, reachable }) => ({ name, holder: name === holder, up: reachable })),
    situation: source.situation,
    replicas: replicas.map((replica) => ({
      pod: replica.pod,
      following: replica.ready,
      verdict: replica.verdict,
      lagSeconds: replica.lagSeconds,
      retention: retentionOf(replica, holder),
    })),
    failoverReady: ready === 'Unknown' ? undefined : ready === 'True',
    findings: findings.map(({ finding }) => finding),
  };
}

function retentionOf(replica: Status['replicas'][number], holder: string): ReplicaPicture['retention'] {
  const seconds = replica.retentionHeadroomSeconds;
  const member = replica.attachedTo ?? holder;
  return seconds === undefined || member === '' ? undefined : { member, seconds };
}

class PromMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly #shown = new Map<string, { readonly labels: Labels; readonly picture: ResourcePicture }>();
  readonly #handles = new Map<string, ResourceMetrics>();
  readonly #handovers: Counter;
  readonly #handoverSeconds: Histogram;
  readonly #statements: Counter;
  readonly #passSeconds: Histogram;
  readonly #passErrors: Counter;
  readonly #leader: Gauge;
  #running: Promise<string> | undefined;

  constructor(processMetrics: boolean) {
    if (processMetrics) collectDefaultMetrics({ register: this.#registry });
    this.#shownGauge(METRIC.holder, (gauge, labels, { members }) => {
      for (const { name, holder } of members) gauge.set({ ...labels, member: name }, Number(holder));
    });
    this.#shownGauge(METRIC.memberUp, (gauge, labels, { members }) => {
      for (const { name, up } of members) gauge.set({ ...labels, member: name }, Number(up));
    });
    this.#shownGauge(METRIC.situation, (gauge, labels, picture) => {
      for (const situation of SITUATIONS) gauge.set({ ...labels, situation }, Number(situation === picture.situation));
    });
    this.#shownGauge(METRIC.finding, (gauge, labels, { findings }) => {
      for (const finding of FINDINGS) gauge.set({ ...labels, finding }, Number(findings.includes(finding)));
    });
    this.#shownGauge(METRIC.failoverReady, (gauge, labels, { failoverReady }) => {
      if (failoverReady !== undefined) gauge.set(labels, Number(failoverReady));
    });
    this.#showReplicas();
    this.#handovers = this.#counter(METRIC.handovers);
    this.#handoverSeconds = this.#histogram(METRIC.handoverSeconds);
    this.#statements = this.#counter(METRIC.statements);
    this.#passSeconds = this.#histogram(METRIC.passSeconds);
    this.#passErrors = this.#counter(METRIC.passErrors);
    this.#leader = new Gauge({ ...definition(METRIC.leader), registers: [this.#registry] });
    this.#leader.set(0);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  resource({ namespace, name }: { readonly namespace: string; readonly name: string }): ResourceMetrics {
    const key = `${namespace}/${name}`;
    const known = this.#handles.get(key);
    if (known !== undefined) return known;
    const handle = this.#handle(key, { namespace, name });
    this.#handles.set(key, handle);
    return handle;
  }

  countStatement(statement: Step, outcome: StepOutcome): void {
    this.#statements.inc({ statement, outcome });
  }

  observePass(seconds: number): void {
    this.#passSeconds.observe(seconds);
  }

  countPassError(reason: ErrorCode): void {
    this.#passErrors.inc({ reason });
  }

  setLeader(leader: boolean): void {
    this.#leader.set(Number(leader));
  }

  text(): Promise<string> {
    this.#running ??= this.#registry.metrics().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  #handle(key: string, labels: Labels): ResourceMetrics {
    // From 0 on: `increase()` does not see the first count of a series that begins with 1.
    for (const outcome of OUTCOMES) this.#handovers.inc({ ...labels, outcome }, 0);
    return {
      show: (picture) => {
        if (this.#handles.has(key)) this.#shown.set(key, { labels, picture });
      },
      countHandover: (outcome) => this.#handovers.inc({ ...labels, outcome }),
      observeHandover: (seconds) => this.#handoverSeconds.observe(labels, seconds),
      remove: () => {
        this.#handles.delete(key);
        this.#shown.delete(key);
        for (const outcome of OUTCOMES) this.#handovers.remove({ ...labels, outcome });
        this.#handoverSeconds.remove(labels);
      },
    };
  }

  #showReplicas(): void {
    this.#shownGauge(METRIC.following, (gauge, labels, { replicas }) => {
      for (const { pod, following } of replicas) gauge.set({ ...labels, pod }, Number(following));
    });
    this.#shownGauge(METRIC.verdict, (gauge, labels, { replicas }) => {
      for (const { pod, verdict } of replicas) gauge.set({ ...labels, pod, verdict }, 1);
    });
    this.#shownGauge(METRIC.lag, (gauge, labels, { replicas }) => {
      for (const { pod, lagSeconds } of replicas) {
        if (lagSeconds !== undefined) gauge.set({ ...labels, pod }, lagSeconds);
      }
    });
    this.#shownGauge(METRIC.retention, (gauge, labels, { replicas }) => {
      for (const { pod, retention } of replicas) {
        if (retention !== undefined) gauge.set({ ...labels, pod, member: retention.member }, retention.seconds);
      }
    });
  }

  /** A gauge that is written anew at every scrape, so that what is gone from the pictures is gone from the answer. */
  #shownGauge(info: MetricInfo, write: (gauge: Gauge, labels: Labels, picture: ResourcePicture) => void): void {
    const shown = this.#shown;
    const gauge: Gauge = new Gauge({
      ...definition(info),
      registers: [this.#registry],
      collect: () => {
        gauge.reset();
        for (const { labels, picture } of shown.values()) write(gauge, labels, picture);
      },
    });
  }

  #counter(info: MetricInfo): Counter {
    return new Counter({ ...definition(info), registers: [this.#registry] });
  }

  #histogram(info: MetricInfo): Histogram {
    const buckets = [...(info.buckets ?? [])];
    return new Histogram({ ...definition(info), buckets, registers: [this.#registry] });
  }
}

function definition(info: MetricInfo): { name: string; help: string; labelNames: string[] } {
  return { name: info.name, help: info.help, labelNames: [...info.labels] };
}
