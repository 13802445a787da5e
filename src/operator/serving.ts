import { SERVING_LABEL } from '../api/names.ts';
import type { ReplicaObservation } from '../domain/observation.ts';
import type { Runtime } from './runtime.ts';

/** Gives or takes the label of the read Service, where it is not as it should be. In the background: no pass waits. */
export function labelServing(
  runtime: Runtime,
  replicas: readonly ReplicaObservation[],
  serving: ReadonlySet<string>,
): void {
  for (const replica of replicas) {
    const wanted = serving.has(replica.pod);
    if (wanted === replica.labelledServing || runtime.labelling.has(replica.pod)) continue;
    runtime.labelling.add(replica.pod);
    void label(runtime, replica, wanted);
  }
}

async function label(runtime: Runtime, replica: ReplicaObservation, wanted: boolean): Promise<void> {
  const { shared, resource } = runtime;
  const { namespace } = resource.metadata;
  try {
    const pod = { namespace, name: replica.pod, uid: replica.podUid };
    await shared.kube.labelPod(pod, { [SERVING_LABEL]: wanted ? 'true' : null }, { signal: shared.signal });
  } catch (error) {
    shared.log.warn('the serving label of a pod could not be set', { resource: runtime.key, pod: replica.pod, error });
  } finally {
    runtime.labelling.delete(replica.pod);
  }
}
