import { PUBLISHER_TOKEN, PublisherProcess, publishing } from '../e2e/support/publisher-process.ts';
import { NAMESPACE } from '../e2e/support/stage.ts';
import type { Stage } from '../e2e/support/stage.ts';

const ACCEPTED_MS = 20_000;

/** The publishers of the members, which run all the time, and whether mxr is told of them. */
export class Publishers {
  readonly #stage: Stage;
  readonly #running = new Map<string, PublisherProcess>();
  #used = false;

  private constructor(stage: Stage) {
    this.#stage = stage;
  }

  static async start(stage: Stage): Promise<Publishers> {
    await stage.api.createSecret(NAMESPACE, 'orders-publisher', { token: PUBLISHER_TOKEN });
    const publishers = new Publishers(stage);
    await publishers.#runAll();
    return publishers;
  }

  /** Resolves when the operator goes by it. */
  async use(wanted: boolean): Promise<void> {
    await this.#runAll();
    if (wanted === this.#used) return;
    this.#used = wanted;
    const { bench } = this.#stage;
    const without = { members: bench.members.map(({ name, address: host }) => ({ name, host })), publisherAuth: null };
    const generation = await this.#stage.patchSpec({ source: wanted ? publishing(bench) : without });
    const taken = `the operator goes by the spec ${wanted ? 'with' : 'without'} publishers`;
    await this.#stage.statusIs(taken, (status) => (status.observedGeneration ?? 0) >= generation, ACCEPTED_MS);
  }

  /** A host that lost its power has none any more. */
  async #runAll(): Promise<void> {
    const { bench } = this.#stage;
    await Promise.all(
      bench.members.map(async (member) => {
        if (this.#running.get(member.name)?.running === true) return;
        this.#running.set(member.name, await PublisherProcess.start(bench, member));
      }),
    );
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.values()].map((one) => one.kill9()));
  }
}
