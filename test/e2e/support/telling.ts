import { setTimeout as delay } from 'node:timers/promises';
import type { Status } from '../../../src/api/v1alpha1.ts';
import { condition } from './moves.ts';
import { NAME, NAMESPACE } from './stage.ts';
import type { Stage } from './stage.ts';

const INTERVAL_MS = 40;

export interface Told {
  /** `performance.now()` when it was read. */
  readonly at: number;
  readonly resourceVersion: string;
  readonly status: Status;
}

/** Everything that the resource's status said, one entry per write, while this was running. */
export class Telling {
  readonly told: Told[] = [];
  readonly #end = new AbortController();
  readonly #done: Promise<void>;

  constructor(stage: Stage) {
    this.#done = this.#read(stage);
  }

  /** When a condition was first seen in a state, like `False/`, at or after a time. */
  seen(type: string, state: string, sinceMs: number): number | undefined {
    return this.told.find(({ at, status }) => at >= sinceMs && condition(status, type).startsWith(state))?.at;
  }

  /** Every state of a condition, in order, without repetitions. */
  states(type: string, sinceMs: number): string[] {
    const states = this.told.filter(({ at }) => at >= sinceMs).map(({ status }) => condition(status, type));
    return states.filter((state, index) => state !== states[index - 1]);
  }

  async stop(): Promise<void> {
    this.#end.abort();
    await this.#done;
  }

  async #read(stage: Stage): Promise<void> {
    const resource = {
      api: 'mxr.dev/v1alpha1',
      plural: 'mariadbexternalreplicas',
      namespace: NAMESPACE,
      name: NAME,
    };
    while (!this.#end.signal.aborted) {
      const { metadata, status } = await stage.api.get<{ metadata: { resourceVersion: string }; status?: Status }>(
        resource,
      );
      const { resourceVersion } = metadata;
      if (status !== undefined && this.told.at(-1)?.resourceVersion !== resourceVersion) {
        this.told.push({ at: performance.now(), resourceVersion, status });
      }
      await delay(INTERVAL_MS);
    }
  }
}

/** The operator's metrics: `name{labels}` with the labels in order of their names, to the value. */
export async function metricsOf(stage: Stage): Promise<Map<string, number>> {
  const response = await fetch(`http://${stage.bench.op.address}:8080/metrics`, {
    signal: AbortSignal.timeout(10_000),
  });
  const lines = (await response.text()).split('\n').filter((line) => line.startsWith('mxr_'));
  return new Map(
    lines.map((line) => {
      const [series = '', value = ''] = line.split(/ (?=[^ ]+$)/);
      return [inOrder(series), Number(value)];
    }),
  );
}

function inOrder(series: string): string {
  const [name = '', labels = ''] = series.split(/[{}]/);
  if (labels === '') return name;
  const parts = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(([text]) => text).toSorted();
  return `${name}{${parts.join(',')}}`;
}
