import { openActing, netTimeoutSql } from '../act/replication.ts';
import type { ReplicaObservation } from '../domain/observation.ts';
import { linkOf } from '../domain/observation.ts';
import { podTarget } from './ask.ts';
import type { Runtime } from './runtime.ts';
import { MxrError } from '../errors.ts';

/** Between two tries on one replica. */
const EVERY_MS = 10_000;
const STATEMENT_DEADLINE_MS = 2_000;

/**
 * A replica that restarts by itself forgets what was set with SET GLOBAL, and connects with it before anybody looks: it is
 * set again, for the next time that it connects. In the background: no pass waits.
 */
export function keepLinkSettings(runtime: Runtime, replicas: readonly ReplicaObservation[]): void {
  const { resource, memory, jobs, shared, settingAt } = runtime;
  const now = shared.clock.monotonicMs();
  const { suspend, policy, link } = resource.spec;
  if (suspend || policy.handover === 'Observe' || resource.metadata.deletionTimestamp !== undefined) return;
  // It takes the lock of the replica, and no plan is to meet it there.
  if (jobs.size > 0 || runtime.picture?.diagnosis.situation !== 'Stable') return;
  for (const { pod, look } of replicas) {
    const adopted = memory.replicas.get(pod)?.baseline != null;
    if (!adopted || !look.known || linkOf(look.value, link.channel) === undefined) continue;
    if (look.value.settings.slaveNetTimeout === link.netTimeoutSeconds) continue;
    if (now - (settingAt.get(pod) ?? Number.NEGATIVE_INFINITY) < EVERY_MS) continue;
    settingAt.set(pod, now);
    void keep(runtime, pod, link.netTimeoutSeconds);
  }
}

async function keep(runtime: Runtime, pod: string, seconds: number): Promise<void> {
  const { shared, resource, key, jobs } = runtime;
  const { channel } = resource.spec.link;
  const fence = (): void => {
    if (shared.isLeader() && !jobs.has(pod)) return;
    const detail = 'a plan for it has begun, or another process leads';
    throw new MxrError({ code: 'FenceLost', operation: 'bound the link', target: pod, detail, retryable: true });
  };
  try {
    const { connect, leaseDurationMs, signal } = shared;
    const target = podTarget(runtime, pod);
    const limits = { leaseDurationMs, deadlineMs: STATEMENT_DEADLINE_MS, signal };
    const acting = await openActing({ connect, target, channel, ...limits, fence });
    try {
      await acting.run('bound the link', netTimeoutSql(seconds));
    } finally {
      acting.close();
    }
    shared.log.info('slave_net_timeout was set again', { resource: key, pod, seconds });
  } catch (error) {
    shared.log.warn('slave_net_timeout could not be set', { resource: key, pod, error });
  }
}
