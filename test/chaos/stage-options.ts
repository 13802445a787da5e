import type { StageOptions } from '../e2e/support/stage.ts';
import type { BenchOptions, MemberSettings } from '../support/bench.ts';
import { clockOffBy } from '../support/faketime.ts';
import type { ServerOptions } from '../support/mariadb.ts';
import type { VersionPair } from '../support/versions.ts';
import { versionPairOf } from '../support/versions.ts';
import type { Configuration } from './configuration.ts';
import { SIDE } from './side.ts';

/** The bench and the resource of a drawn configuration. `library`: what gives a database another clock, where it can be had. */
export function stageOptions(configuration: Configuration, library?: string): StageOptions {
  const { positioning, through, channel, onSplitBrain, onGap, probeIntervalMs, topology } = configuration;
  return {
    bench: benchOptions(configuration, library),
    spec: {
      source: { topology },
      link: { positioning, through, channel },
      policy: { onSplitBrain, onGap },
      detection: { probeIntervalMs, probeTimeoutMs: 1000 },
    },
  };
}

export function benchOptions(configuration: Configuration, library?: string): BenchOptions {
  const { pair, standbyLink, syncBinlog, readOnly, preempt, fall, resetSlaveAll, channel } = configuration;
  const { equalIds, filter } = configuration;
  const server: ServerOptions = {
    'log-slave-updates': configuration.replicaLogSlaveUpdates ? 1 : 0,
    'read-only': 1,
    ...(configuration.skipSlaveStart ? { 'skip-slave-start': 1 } : {}),
  };
  const versions = versionPairOf(configuration.versions);
  // MariaDB of another release has a C library of its own, for which this one is not made.
  const clock = (who: keyof VersionPair, hours: number): { readonly env: Readonly<Record<string, string>> } => ({
    env: library === undefined || versions[who] !== 'own' ? {} : clockOffBy(hours, library),
  });
  return {
    pair: pair === 'dual' ? 'dual' : 'standby',
    shared: pair === 'shared',
    versions,
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
    a: { ...memberSettings(configuration, 0), ...clock('source', configuration.hostHours[0]) },
    b: { ...memberSettings(configuration, 1), ...clock('source', configuration.hostHours[1]) },
    replicas: {
      count: configuration.replicas,
      link: configuration.replicaLink,
      server,
      channel,
      envs: [clock('replicas', configuration.replicaHours).env],
    },
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
