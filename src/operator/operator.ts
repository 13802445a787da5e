import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../clock.ts';
import type { OperatorConfig } from '../config.ts';
import { MxrError } from '../errors.ts';
import { createKube } from '../kube/client.ts';
import type { Kube } from '../kube/client.ts';
import { createElector } from '../kube/leader.ts';
import type { Leadership } from '../kube/leader.ts';
import { systemTimers } from '../kube/timers.ts';
import type { Logger } from '../ops/log.ts';
import { createMetrics } from '../ops/metrics.ts';
import { createProgress } from '../ops/progress.ts';
import type { ResourceView } from '../ops/view.ts';
import { startWeb } from '../ops/web.ts';
import type { SqlConnect } from '../sql/port.ts';
import { lead } from './lead.ts';
import type { LeadOptions } from './lead.ts';

/** The process makes progress when its timer does: a blocked event loop is what the kubelet is to notice. */
const BEAT_MS = 1_000;
const STUCK_AFTER_MS = 30_000;

/**
 * `mxr operator`: serve probes and metrics, wait for the Lease, lead until it is lost or the process ends. A process that
 * lost its Lease ends: its successor begins from the status alone, as after a crash.
 */
export async function runOperator(
  config: OperatorConfig,
  { log, connect, signal }: { readonly log: Logger; readonly connect: SqlConnect; readonly signal: AbortSignal },
): Promise<void> {
  const kube = createKube(loadKubeConfig(config), { requestTimeoutMs: config.kubeTimeoutMs });
  const metrics = createMetrics({ processMetrics: true });
  const progress = createProgress(systemClock, STUCK_AFTER_MS);
  const beat = setInterval(() => progress.beat(), BEAT_MS);
  const state: { leadership: Leadership | null; views: () => readonly ResourceView[]; ready: boolean } = {
    leadership: null,
    views: () => [],
    ready: false,
  };
  const web = await startWeb({
    port: config.httpPort,
    metrics,
    resources: () => state.views(),
    live: () => progress.health(),
    ready: () => ({ ok: state.ready, detail: state.ready ? 'ready' : 'not synchronised with the Kubernetes API yet' }),
    leader: () => state.leadership?.isLeader() === true,
    clock: systemClock,
    log,
  });
  log.info('serving', { port: web.port });
  try {
    // A standby process that can read the Lease is ready to take over; a leader only once it has read everything.
    const onRead = (read: boolean): void => {
      if (state.leadership === null) state.ready = read;
    };
    const leadership = await electorOf(config, kube, log, onRead).acquire(signal);
    if (leadership === undefined) return;
    state.leadership = leadership;
    state.ready = false;
    metrics.setLeader(true);
    log.info('leading', { epoch: leadership.epoch });
    await leadUntilLost({
      config,
      kube,
      connect,
      log,
      metrics,
      leadership,
      signal,
      onSynced: () => (state.ready = true),
      onViews: (views) => (state.views = views),
    });
  } finally {
    metrics.setLeader(false);
    clearInterval(beat);
    await web.close();
    await kube.close();
  }
}

async function leadUntilLost(leading: LeadOptions): Promise<void> {
  const { leadership, signal, config } = leading;
  const { idle } = await lead(leading);
  const lost = leadership.signal.aborted && !signal.aborted;
  if (idle) await leadership.release();
  if (!lost) return;
  const target = `Lease ${config.lease.namespace}/${config.lease.name}`;
  throw new MxrError({
    code: 'FenceLost',
    operation: 'keep',
    target,
    detail: 'it was lost; this process ends',
    retryable: true,
  });
}

function electorOf(config: OperatorConfig, kube: Kube, log: Logger, onRead: (read: boolean) => void) {
  const { lease, pod } = config;
  return createElector({
    leases: kube,
    ref: { namespace: lease.namespace, name: lease.name },
    identity: pod.uid === '' ? pod.name : `${pod.name}_${pod.uid}`,
    leaseDurationMs: lease.durationMs,
    renewDeadlineMs: lease.renewDeadlineMs,
    retryPeriodMs: lease.retryMs,
    clock: systemClock,
    timers: systemTimers,
    random: Math.random,
    onError: (error) => {
      log.warn('the Lease could not be read or renewed', { error });
      onRead(false);
    },
    onRead: () => onRead(true),
  });
}

function loadKubeConfig(config: OperatorConfig): KubeConfig {
  const kubeConfig = new KubeConfig();
  try {
    if (config.kubeconfig === undefined) kubeConfig.loadFromCluster();
    else kubeConfig.loadFromFile(config.kubeconfig);
  } catch (cause) {
    const target = config.kubeconfig ?? 'the service account of this pod';
    const detail = 'it could not be read; set KUBECONFIG, or run in a pod with a service account';
    throw new MxrError({
      code: 'ConfigInvalid',
      operation: 'load the Kubernetes configuration',
      target,
      detail,
      retryable: false,
      cause,
    });
  }
  return kubeConfig;
}
