import type { StageOptions } from '../e2e/support/stage.ts';
import type { BenchOptions, MemberSettings } from '../support/bench.ts';
import type { ServerOptions } from '../support/mariadb.ts';
import { versionPairOf } from '../support/versions.ts';
import type { Configuration } from './configuration.ts';
import { SIDE } from './side.ts';

/** The bench and the resource of a drawn configuration. */
export function stageOptions(configuration: Configuration): StageOptions {
  const { positioning, through, channel, onSplitBrain, onGap, probeIntervalMs, topology } = configuration;
  return {
    bench: benchOptions(configuration),
    spec: {
      source: { topology },
      link: { positioning, through, channel },
      policy: { onSplitBrain, onGap },
      detection: { probeIntervalMs, probeTimeoutMs: 1000 },
    },
  };
}

export function benchOptions(configuration: Configuration): BenchOptions {
  const { pair, standbyLink, syncBinlog, readOnly, preempt, fall, resetSlaveAll, channel } = configuration;
  const { equalIds, filter } = configuration;
  const server: ServerOptions = {
    'log-slave-updates': configuration.replicaLogSlaveUpdates ? 1 : 0,
    'read-only': 1,
    ...(configuration.skipSlaveStart ? { 'skip-slave-start': 1 } : {}),
  };
  return {
    pair: pair === 'dual' ? 'dual' : 'standby',
    shared: pair === 'shared',
    versions: versionPairOf(configuration.versions),
    standbyLink,
    readOnly,
    preempt,
    fall,
    resetSlaveAll,
    server: {
      'sync-binlog': syncBinlog,
      ...(equalIds ? { 'replicate-same-server-id': 1, 'skip-slave-start': 1 } : {}),
      ...(filter === 'binlog-ignore-db' ? { 'binlog-ignore-db': SIDE } : {}),
      ...(filter === 'replicate-do-db' ? { 'replicate-do-db': 'app' } : {}),
    },
    a: memberSettings(configuration, 0),
    b: memberSettings(configuration, 1),
    replicas: { count: configuration.replicas, link: configuration.replicaLink, server, channel },
  };
}

function memberSettings(configuration: Configuration, index: 0 | 1): MemberSettings {
  const dual: ServerOptions = { 'auto-increment-increment': 2, 'auto-increment-offset': index + 1 };
  return {
    ...(configuration.equalIds ? { serverId: 1 } : {}),
    server: {
      'log-slave-updates': configuration.logSlaveUpdates[index] ? 1 : 0,
      ...(configuration.pair === 'dual' ? dual : {}),
      ...(configuration.ownDomains ? { 'gtid-domain-id': index + 1 } : {}),
    },
  };
}
