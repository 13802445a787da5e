import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import type { Outcome, Step, StepOutcome, Verdict } from '../api/reasons.ts';
import type { ErrorCode } from '../errors.ts';
import { METRIC, METRICS } from './metrics-table.ts';
import type { MetricInfo } from './metrics-table.ts';
import { NO_HANDOVERS, PICTURE_METRICS, handoverSamples, linesOf, pictureOf } from './picture.ts';
import type { HandoverCounts, ReplicaPicture, ResourcePicture } from './picture.ts';

export { METRICS, pictureOf };
export type { MetricInfo, ReplicaPicture, ResourcePicture };

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
  resource(key: ResourceKey): ResourceMetrics;
  countStatement(statement: Step, outcome: StepOutcome): void;
  observePass(seconds: number): void;
  countPassError(reason: ErrorCode): void;
  setLeader(leader: boolean): void;
  readonly contentType: string;
  /** The exposition; calls that overlap share one. */
  text(): Promise<string>;
}

export interface ResourceKey {
  readonly namespace: string;
  readonly name: string;
}

/** `processMetrics`: also the default ones of Node.js, which keep an observer alive; left out in tests. */
export function createMetrics(options: { readonly processMetrics: boolean }): Metrics {
  return new PromMetrics(options.processMetrics);
}

/**
 * The series of one resource, as text per metric. prom-client's own gauges took 250-500 ms of the event loop per
 * scrape of 1,000 resources, which would have been added to a handover; joining these texts takes a few.
 */
class Shown {
  readonly #labels: Readonly<Record<string, string>>;
  #picture: ResourcePicture | undefined;
  #verdicts: ReadonlyMap<string, ReadonlySet<Verdict>> = new Map();
  #counts: HandoverCounts = NO_HANDOVERS;
  #lines: readonly string[] | undefined;

  constructor({ namespace, name }: ResourceKey) {
    this.#labels = { namespace, name };
  }

  show(picture: ResourcePicture): void {
    this.#verdicts = new Map(
      picture.replicas.map(({ pod, verdict }) => [pod, new Set([...(this.#verdicts.get(pod) ?? []), verdict])]),
    );
    this.#picture = { ...picture, replicas: picture.replicas.map((replica) => this.#withPast(replica)) };
    this.#lines = undefined;
  }

  /** A series for every verdict of every pod would be twenty times as many, nearly all of them always 0. */
  #withPast(replica: ReplicaPicture): ReplicaPicture {
    return { ...replica, past: [...(this.#verdicts.get(replica.pod) ?? [])].filter((one) => one !== replica.verdict) };
  }

  count(outcome: Outcome): void {
    this.#counts = { ...this.#counts, [outcome]: this.#counts[outcome] + 1 };
    this.#lines = undefined;
  }

  /** In the order of SHOWN_METRICS. */
  lines(): readonly string[] {
    this.#lines ??= [
      ...PICTURE_METRICS.map(({ info, samples }) =>
        this.#picture === undefined ? '' : linesOf(info, this.#labels, samples(this.#picture)),
      ),
      linesOf(METRIC.handovers, this.#labels, handoverSamples(this.#counts)),
    ];
    return this.#lines;
  }
}

const SHOWN_METRICS: readonly MetricInfo[] = [...PICTURE_METRICS.map(({ info }) => info), METRIC.handovers];

class PromMetrics implements Metrics {
  readonly #registry = new Registry();
  readonly #shown = new Map<string, Shown>();
  readonly #handles = new Map<string, ResourceMetrics>();
  readonly #handoverSeconds: Histogram;
  readonly #statements: Counter;
  readonly #passSeconds: Histogram;
  readonly #passErrors: Counter;
  readonly #leader: Gauge;
  #running: Promise<string> | undefined;

  constructor(processMetrics: boolean) {
    const registers = [this.#registry];
    if (processMetrics) collectDefaultMetrics({ register: this.#registry });
    this.#handoverSeconds = new Histogram({ ...definition(METRIC.handoverSeconds), registers });
    this.#statements = new Counter({ ...definition(METRIC.statements), registers });
    this.#passSeconds = new Histogram({ ...definition(METRIC.passSeconds), registers });
    this.#passErrors = new Counter({ ...definition(METRIC.passErrors), registers });
    this.#leader = new Gauge({ ...definition(METRIC.leader), registers });
    this.#leader.set(0);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  resource(resource: ResourceKey): ResourceMetrics {
    const key = `${resource.namespace}/${resource.name}`;
    const known = this.#handles.get(key);
    if (known !== undefined) return known;
    const handle = this.#handle(key, resource);
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
    this.#running ??= this.#collect().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  async #collect(): Promise<string> {
    const rows = [...this.#shown.values()].map((shown) => shown.lines());
    const shown = SHOWN_METRICS.map(({ name, help, type }, index) => {
      const lines = rows.map((row) => row[index] ?? '').join('');
      return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines}\n`;
    });
    return shown.join('') + (await this.#registry.metrics());
  }

  /** After `remove` it does nothing: a pass that still ran when the resource went must not bring it back. */
  #handle(key: string, { namespace, name }: ResourceKey): ResourceMetrics {
    const shown = new Shown({ namespace, name });
    this.#shown.set(key, shown);
    const isLive = (): boolean => this.#shown.get(key) === shown;
    return {
      show: (picture) => shown.show(picture),
      countHandover: (outcome) => shown.count(outcome),
      observeHandover: (seconds) => {
        if (isLive()) this.#handoverSeconds.observe({ namespace, name }, seconds);
      },
      remove: () => {
        if (!isLive()) return;
        this.#handles.delete(key);
        this.#shown.delete(key);
        this.#handoverSeconds.remove({ namespace, name });
      },
    };
  }
}

function definition(info: MetricInfo): { name: string; help: string; labelNames: string[]; buckets?: number[] } {
  const { name, help, labels, buckets } = info;
  return { name, help, labelNames: [...labels], ...(buckets === undefined ? {} : { buckets: [...buckets] }) };
}
