import type { StageOptions } from '../e2e/support/stage.ts';
import type { BenchOptions, MemberSettings } from '../support/bench.ts';
import type { ServerOptions } from '../support/mariadb.ts';
import type { Configuration } from './plan.ts';

/** The bench and the resource of a drawn configuration. */
export function stageOptions(configuration: Configuration): StageOptions {
  const { positioning, through, channel, onSplitBrain, probeIntervalMs } = configuration;
  return {
    bench: benchOptions(configuration),
    spec: {
      link: { positioning, through, channel },
      policy: { onSplitBrain },
      detection: { probeIntervalMs, probeTimeoutMs: 1000 },
    },
  };
}

export function benchOptions(configuration: Configuration): BenchOptions {
  const { pair, standbyLink, syncBinlog, readOnly, preempt, fall, resetSlaveAll, channel } = configuration;
  const server: ServerOptions = {
    'log-slave-updates': configuration.replicaLogSlaveUpdates ? 1 : 0,
    'read-only': 1,
    ...(configuration.skipSlaveStart ? { 'skip-slave-start': 1 } : {}),
  };
  return {
    pair,
    standbyLink,
    readOnly,
    preempt,
    fall,
    resetSlaveAll,
    server: { 'sync-binlog': syncBinlog },
    a: memberSettings(configuration, 0),
    b: memberSettings(configuration, 1),
    replicas: { count: configuration.replicas, link: configuration.replicaLink, server, channel },
  };
}

function memberSettings(configuration: Configuration, index: 0 | 1): MemberSettings {
  const dual: ServerOptions = { 'auto-increment-increment': 2, 'auto-increment-offset': index + 1 };
  return {
    server: {
      'log-slave-updates': configuration.logSlaveUpdates[index] ? 1 : 0,
      ...(configuration.pair === 'dual' ? dual : {}),
      ...(configuration.ownDomains ? { 'gtid-domain-id': index + 1 } : {}),
    },
  };
}
