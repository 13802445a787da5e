import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Ground } from '../../support/bench.ts';
import { layGround } from '../../support/bench.ts';
import type { KubeApi } from '../../support/kube/api.ts';
import { startKubeApi } from '../../support/kube/api.ts';
import { controlPlane, helm } from '../../support/kube/build.ts';
import { installChart } from '../../support/kube/chart.ts';
import type { Resource } from '../../support/kube/rest.ts';
import type { Host, Network } from '../../support/net.ts';

/** Where the operator and everything that it works on live. */
export const NAMESPACE = 'mxr';
const RESOURCES: Resource = { api: 'mxr.dev/v1alpha1', plural: 'mariadbexternalreplicas', namespace: NAMESPACE };
const PODS: Resource = { api: 'v1', plural: 'pods', namespace: NAMESPACE };
const LEASES: Resource = { api: 'coordination.k8s.io/v1', plural: 'leases', namespace: NAMESPACE };

/** The switch, the operator's host and a real API server with the chart, for several plays one after another. */
export class StandingGround implements Ground {
  readonly network: Network;
  readonly op: Host;
  readonly api: KubeApi;

  private constructor({ network, op }: Ground, api: KubeApi) {
    this.network = network;
    this.op = op;
    this.api = api;
  }

  static async lay(log: (line: string) => void = () => undefined): Promise<StandingGround> {
    const ground = await layGround(log);
    return new StandingGround(ground, await apiWithChart(ground.op, log));
  }

  /** After a play whose operator has ended: everything of it is taken away. */
  async clear(): Promise<void> {
    await Promise.all([this.network.clear([this.op]), this.#removeObjects()]);
  }

  async #removeObjects(): Promise<void> {
    for (const { metadata } of await this.api.list(RESOURCES)) {
      const resource = { ...RESOURCES, name: metadata?.name ?? '' };
      // Whoever would take the finalizer away has ended.
      await this.api.patch(resource, { metadata: { finalizers: null } });
      await this.api.remove(resource);
    }
    for (const { metadata } of await this.api.list(PODS)) await this.api.deletePod(NAMESPACE, metadata?.name ?? '');
    for (const { metadata } of await this.api.list(LEASES)) {
      await this.api.remove({ ...LEASES, name: metadata?.name ?? '' });
    }
  }
}

/** A real API server with the chart on the operator's host, which the operator will use with its own rights. */
export async function apiWithChart(op: Host, log: (line: string) => void): Promise<KubeApi> {
  const binaries = await controlPlane(log);
  const helmProgram = await helm(log);
  const dir = join(op.directory, 'kube');
  mkdirSync(dir, { recursive: true });
  const api = await startKubeApi({ binaries, dir, netns: op.name, address: op.address });
  await installChart(api, { helm: helmProgram });
  return api;
}
