import type { ExternalReplica } from '../api/v1alpha1.ts';
import type { OpenHandover } from './handover.ts';
import { memoryFromStatus } from './memory.ts';
import { createRuntime } from './runtime.ts';
import type { Runtime, Shared } from './runtime.ts';
import { createStatusWriter } from './status-writer.ts';

/** A resource that this process sees for the first time: everything it knows comes from the status. */
export function beginRuntime(key: string, resource: ExternalReplica, shared: Shared, wake: () => void): Runtime {
  const { namespace, name } = resource.metadata;
  const writer = createStatusWriter({
    kube: shared.kube,
    ref: { namespace, name },
    clock: shared.clock,
    signal: shared.signal,
    onError: (error) => shared.log.warn('the status could not be stored', { resource: key, error }),
  });
  const memory = memoryFromStatus(resource.status);
  return createRuntime({ key, shared, writer, wake, resource, memory, open: openFromStatus(resource) });
}

/** The handover that a process before this one had begun: it is finished or abandoned, its replicas are not "stopped by hand". */
function openFromStatus({ status }: ExternalReplica): OpenHandover | null {
  const { intent } = status;
  if (intent === undefined) return null;
  return {
    id: intent.id,
    from: intent.from,
    to: intent.to,
    trigger: intent.trigger ?? 'Resume',
    startedAt: Date.parse(intent.startedAt),
    vipAnsweredAt: intent.vipAnsweredAt === undefined ? null : Date.parse(intent.vipAnsweredAt),
    replicas: new Map(),
    intents: new Map(intent.replicas.map((replica) => [replica.pod, replica])),
    inherited: new Set(intent.replicas.map((replica) => replica.pod)),
  };
}
