import { Counter, Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import type { Coordinates } from '../api/publisher.ts';
import type { Clock } from '../clock.ts';
import type { MetricInfo } from '../ops/metrics-table.ts';
import type { PublisherJournal } from './journal.ts';
import { PUBLISHER_METRIC as METRIC } from './metrics-table.ts';

export interface PublisherMetricsOptions {
  readonly coordinates: () => Coordinates;
  readonly journal: Pick<PublisherJournal, 'damage' | 'counts'>;
  readonly clock: Clock;
  /** Also the default ones of Node.js, which keep an observer alive; left out in tests. */
  readonly processMetrics: boolean;
}

/** Everything is read when it is asked for: there is nothing here that could be stale. */
export function publisherMetrics(options: PublisherMetricsOptions): Pick<Registry, 'contentType'> & {
  text(): Promise<string>;
} {
  const { coordinates, journal, clock } = options;
  const registry = new Registry();
  if (options.processMetrics) collectDefaultMetrics({ register: registry });
  show(METRIC.databaseUp, ({ databaseAnswers }) => Number(databaseAnswers));
  show(METRIC.vipHeld, ({ vipHeld }) => (vipHeld === null ? null : Number(vipHeld)));
  show(METRIC.lookAge, ({ monotonicAgeMs }) => (monotonicAgeMs === null ? null : monotonicAgeMs / 1000));
  show(METRIC.takeover, ({ takeover }) => Number(takeover !== null));
  show(METRIC.peerAge, ({ peer }) => (peer === null ? null : (clock.wallMs() - Date.parse(peer.observedAt)) / 1000));
  show(METRIC.damage, () => journal.damage.length);
  show(METRIC.inMemory, () => journal.counts.inMemory);
  count(METRIC.writeErrors, () => journal.counts.writeErrors);
  return { contentType: registry.contentType, text: () => registry.metrics() };

  function count({ name, help }: MetricInfo, value: () => number): void {
    const counter: Counter = new Counter({ name, help, registers: [registry], collect });
    function collect(): void {
      counter.reset();
      counter.inc(value());
    }
  }

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
