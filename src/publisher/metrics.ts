import { Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import type { Coordinates } from '../api/publisher.ts';
import type { Clock } from '../clock.ts';
import type { MetricInfo } from '../ops/metrics-table.ts';
import { PUBLISHER_METRIC as METRIC } from './metrics-table.ts';

export interface PublisherMetricsOptions {
  readonly coordinates: () => Coordinates;
  /** How much of the journal is missing or not trusted. */
  readonly damages: () => number;
  readonly clock: Clock;
  /** Also the default ones of Node.js, which keep an observer alive; left out in tests. */
  readonly processMetrics: boolean;
}

/** Everything is read when it is asked for: there is nothing here that could be stale. */
export function publisherMetrics(options: PublisherMetricsOptions): Pick<Registry, 'contentType'> & {
  text(): Promise<string>;
} {
  const { coordinates, damages, clock } = options;
  const registry = new Registry();
  if (options.processMetrics) collectDefaultMetrics({ register: registry });
  show(METRIC.databaseUp, ({ databaseAnswers }) => Number(databaseAnswers));
  show(METRIC.vipHeld, ({ vipHeld }) => (vipHeld === null ? null : Number(vipHeld)));
  show(METRIC.lookAge, ({ monotonicAgeMs }) => (monotonicAgeMs === null ? null : monotonicAgeMs / 1000));
  show(METRIC.takeover, ({ takeover }) => Number(takeover !== null));
  show(METRIC.peerAge, ({ peer }) => (peer === null ? null : (clock.wallMs() - Date.parse(peer.observedAt)) / 1000));
  show(METRIC.damage, damages);
  return { contentType: registry.contentType, text: () => registry.metrics() };

  /** Null: no series. */
  function show({ name, help }: MetricInfo, value: (now: Coordinates) => number | null): void {
    const gauge: Gauge = new Gauge({ name, help, registers: [registry], collect });
    function collect(): void {
      const now = value(coordinates());
      // A gauge without labels shows 0 until it is told otherwise.
      if (now === null) gauge.remove();
      else gauge.set(now);
    }
  }
}
