import { OWN } from '../support/versions.ts';
import type { Dice } from './dice.ts';

/** MariaDB of the pair and of the replicas, which are never older: mostly the one of all other tests. */
const VERSION_PAIRS = {
  [OWN]: 80,
  '10.5/10.5': 4,
  '10.5/own': 4,
  '10.5/11.8': 4,
  'own/11.8': 4,
  '11.8/11.8': 4,
} as const;

/** How a pair and its replicas are set up in one run. */
export interface Configuration {
  /** `shared`: one data directory, which whoever is active runs. */
  readonly pair: 'standby' | 'dual' | 'shared';
  /** What the resource says of it. */
  readonly topology: 'Auto' | 'PrimaryStandby' | 'DualPrimary' | 'SharedStorage';
  /** Both members have the same server_id, as copies of one machine have. */
  readonly equalIds: boolean;
  /** What is not replicated of a second database that the application writes to; `none`: it has one only. */
  readonly filter: 'none' | 'binlog-ignore-db' | 'replicate-do-db';
  readonly publishers: boolean;
  readonly versions: keyof typeof VERSION_PAIRS;
  readonly standbyLink: 'gtid' | 'file';
  /** Of hci-a and hci-b. */
  readonly logSlaveUpdates: readonly [boolean, boolean];
  readonly syncBinlog: 0 | 1;
  /** Each member writes in a GTID domain of its own. */
  readonly ownDomains: boolean;
  readonly readOnly: boolean;
  readonly preempt: boolean;
  /** Failed checks before keepalived gives the address up. */
  readonly fall: number;
  readonly resetSlaveAll: boolean;
  readonly replicas: number;
  readonly replicaLogSlaveUpdates: boolean;
  readonly skipSlaveStart: boolean;
  readonly replicaLink: 'gtid' | 'file';
  readonly positioning: 'Auto' | 'FilePosition';
  readonly through: 'Auto' | 'Member' | 'VIP';
  readonly channel: string;
  /** MASTER_DELAY of each replica. */
  readonly delaySeconds: readonly number[];
  readonly onSplitBrain: 'Confirm' | 'Resume';
  readonly onGap: 'Halt' | 'Fill';
  readonly probeIntervalMs: number;
  /** How far the clock of the first process of mxr is off, and that of each later one. */
  readonly clockHours: readonly [number, number];
  /** The same of the hosts of hci-a and hci-b: their databases and publishers; and of the first replica's database. */
  readonly hostHours: readonly [number, number];
  readonly replicaHours: number;
  readonly ratePerSecond: number;
}

const TOPOLOGIES = { standby: 'PrimaryStandby', dual: 'DualPrimary', shared: 'SharedStorage' } as const;
const PAIRS = { standby: 55, dual: 33, shared: 12 } as const;
const LAST_DELAYED = [2, 4] as const;

export function drawConfiguration(dice: Dice, isLegal: boolean): Configuration {
  const drawn = drawFree(dice);
  const legal = isLegal ? { ...drawn, ...LEGAL } : drawn;
  return legal.pair === 'shared' ? { ...legal, ...SHARED } : legal;
}

/** With it and with harmless faults every replica has to end Following. */
const LEGAL = {
  logSlaveUpdates: [true, true],
  replicaLogSlaveUpdates: true,
  positioning: 'Auto',
  through: 'Auto',
  preempt: false,
  readOnly: true,
  fall: 2,
  equalIds: false,
} as const satisfies Partial<Configuration>;

/** A cluster manager moves the storage and the address; keepalived carries the address only. */
const SHARED = {
  logSlaveUpdates: [true, true],
  readOnly: false,
  preempt: false,
  fall: 10_000,
  resetSlaveAll: false,
  ownDomains: false,
  equalIds: false,
  publishers: false,
} as const satisfies Partial<Configuration>;

function drawFree(dice: Dice): Configuration {
  const pair = dice.weighted(PAIRS);
  const isStandby = pair === 'standby';
  const equalIds = isStandby && dice.chance(0.1);
  const drawnLsu = dice.weighted({ both: 65, none: 25, one: 10 });
  // A server that takes its own server_id for another's cannot log what it applies: MariaDB does not start then.
  const lsu = equalIds ? 'none' : drawnLsu;
  const positioning = dice.weighted({ Auto: 8, FilePosition: 2 });
  const byFile = positioning === 'FilePosition';
  const readOnly = dice.chance(0.8);
  const replicas = dice.between(2, 3);
  return {
    pair,
    topology: dice.chance(pair === 'shared' ? 0.7 : 0.2) ? TOPOLOGIES[pair] : 'Auto',
    equalIds,
    filter: dice.weighted({ none: 85, 'binlog-ignore-db': 8, 'replicate-do-db': isStandby ? 7 : 0 }),
    publishers: dice.chance(0.25),
    versions: dice.weighted(VERSION_PAIRS),
    standbyLink: dice.chance(lsu === 'both' ? 0.15 : 0.6) ? 'file' : 'gtid',
    logSlaveUpdates: lsu === 'one' ? [true, false] : [lsu === 'both', lsu === 'both'],
    syncBinlog: dice.chance(0.75) ? 1 : 0,
    ownDomains: pair === 'dual' && dice.chance(0.5),
    readOnly,
    preempt: dice.chance(0.12),
    // Where the servers start read-only, nobody opens one that restarted in place.
    fall: !readOnly && dice.chance(0.5) ? 10 : 2,
    resetSlaveAll: isStandby && dice.chance(0.25),
    replicas,
    replicaLogSlaveUpdates: dice.chance(0.8),
    skipSlaveStart: byFile || dice.chance(0.15),
    replicaLink: byFile || dice.chance(0.2) ? 'file' : 'gtid',
    positioning,
    // Coordinates through the VIP are not implemented.
    through: byFile ? dice.weighted({ Auto: 3, Member: 1 }) : dice.weighted({ Auto: 7, Member: 2, VIP: 2 }),
    channel: dice.chance(0.15) ? 'orders' : '',
    delaySeconds: drawDelays(dice, replicas),
    onSplitBrain: dice.weighted({ Confirm: 7, Resume: 3 }),
    onGap: dice.chance(0.4) ? 'Fill' : 'Halt',
    probeIntervalMs: dice.pick([250, 250, 500, 1000]),
    clockHours: dice.pick([[0, 0] as const, [0, 0], [0, 0], [1, 1], [-1, -1], [0, 1], [1, 0]]),
    hostHours: dice.pick([[0, 0] as const, [0, 0], [0, 0], [1, 0], [0, -1], [0.5, -0.5], [-1, -1]]),
    replicaHours: dice.pick([0, 0, 0, 0, 1, -1]),
    ratePerSecond: dice.pick([40, 80]),
  };
}

/** Mostly none, or the last one's, or each another. */
function drawDelays(dice: Dice, replicas: number): number[] {
  const kind = dice.weighted({ none: 80, last: 10, each: 10 });
  const last = dice.between(...LAST_DELAYED);
  return Array.from({ length: replicas }, (_, index) => {
    if (kind === 'each') return index;
    return kind === 'last' && index === replicas - 1 ? last : 0;
  });
}

export function configurationText(configuration: Configuration): string {
  const { logSlaveUpdates, clockHours, hostHours, replicaHours } = configuration;
  const isShared = configuration.pair === 'shared';
  const lsu = logSlaveUpdates.map((on) => (on ? '1' : '0')).join('/');
  const parts: readonly (string | false)[] = [
    isShared ? 'shared storage' : `${configuration.pair} by ${configuration.standbyLink}`,
    !isShared && `lsu ${lsu}`,
    (isShared || configuration.topology !== 'Auto') && `topology ${configuration.topology}`,
    configuration.equalIds && 'equal server ids',
    configuration.filter !== 'none' && configuration.filter,
    configuration.publishers && 'publishers',
    configuration.versions !== OWN && `MariaDB ${configuration.versions}`,
    `sync_binlog ${configuration.syncBinlog}`,
    configuration.ownDomains && 'own domains',
    !isShared && !configuration.readOnly && 'never read_only',
    configuration.preempt && 'preempt',
    !isShared && configuration.fall !== 2 && `fall ${configuration.fall}`,
    configuration.resetSlaveAll && 'reset slave all',
    `${configuration.replicas} replicas${configuration.replicaLink === 'file' ? ' by file' : ''}`,
    !configuration.replicaLogSlaveUpdates && 'without lsu',
    configuration.skipSlaveStart && 'skip-slave-start',
    `${configuration.positioning} through ${configuration.through}`,
    configuration.channel !== '' && `channel ${configuration.channel}`,
    configuration.delaySeconds.some((seconds) => seconds > 0) && `delays ${configuration.delaySeconds.join('/')} s`,
    configuration.onSplitBrain === 'Resume' && 'onSplitBrain Resume',
    configuration.onGap === 'Fill' && 'onGap Fill',
    `probe ${configuration.probeIntervalMs}`,
    clockHours.some((hours) => hours !== 0) && `clock ${clockHours.map(signed).join(' then ')} h`,
    hostHours.some((hours) => hours !== 0) && `clocks of the pair ${hostHours.map(signed).join('/')} h`,
    replicaHours !== 0 && `clock of r1 ${signed(replicaHours)} h`,
  ];
  return parts.filter((part) => part !== false).join(', ');
}

function signed(hours: number): string {
  return hours > 0 ? `+${hours}` : `${hours}`;
}
