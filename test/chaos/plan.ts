import { Dice } from './dice.ts';

/** How a pair and its replicas are set up in one run. */
export interface Configuration {
  readonly pair: 'standby' | 'dual';
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
  /** MASTER_DELAY of the last replica; 0: none. */
  readonly delaySeconds: number;
  readonly onSplitBrain: 'Confirm' | 'Resume';
  readonly probeIntervalMs: number;
  /** How far the clock of the first process of mxr is off, and that of each later one. */
  readonly clockHours: readonly [number, number];
  readonly ratePerSecond: number;
}

/**
 * Everything that can be done to the bench, and how often it is drawn. `publisher-down` comes with the publisher: one entry
 * here and one in strikes.ts.
 */
export const KINDS = {
  'planned-move': 8,
  'drained-kill-holder': 6,
  'kill-holder': 5,
  'power-off-holder': 4,
  'lost-tail-holder': 4,
  'freeze-holder': 4,
  'restart-holder': 3,
  'isolate-holder': 3,
  'kill-standby': 3,
  'freeze-standby': 2,
  'cut-vrrp': 3,
  'silent-vip': 3,
  flap: 3,
  'purge-holder': 2,
  'kill-replica': 5,
  'restart-replica': 4,
  'freeze-replica': 4,
  'lock-replica': 3,
  'half-open': 4,
  'packet-loss': 4,
  'api-down': 4,
  'api-frozen': 3,
  'kill-operator': 6,
  'freeze-operator': 4,
} as const satisfies Record<string, number>;
export type Kind = keyof typeof KINDS;

/** What a person does with a member that had died or lost the VIP. */
export const COMEBACKS = ['keep', 'clone', 'bare'] as const;
export type Comeback = (typeof COMEBACKS)[number];

export interface Fault {
  readonly kind: Kind;
  /** Time since the fault before it began. */
  readonly gapMs: number;
  /** Time until it is healed, as far as somebody has to heal it. */
  readonly forMs: number;
  /** Which replica, where one is concerned. */
  readonly replica: number;
  readonly comeback: Comeback;
  /** 0 to 99: whatever else the kind has to choose. */
  readonly level: number;
}

export interface Plan {
  readonly seed: number;
  readonly configuration: Configuration;
  readonly faults: readonly Fault[];
  /** Whether a person approves what mxr asks for after a split. */
  readonly approves: boolean;
}

/** What a pair goes through without losing anything, if its administrators do nothing wrong. */
export const HARMLESS: readonly Kind[] = [
  'planned-move',
  'drained-kill-holder',
  'flap',
  'silent-vip',
  'kill-standby',
  'freeze-standby',
  'kill-replica',
  'restart-replica',
  'freeze-replica',
  'lock-replica',
  'half-open',
  'packet-loss',
  'api-down',
  'api-frozen',
  'kill-operator',
  'freeze-operator',
];
/** What a harmless history does to the pair: one at a time. */
const OF_THE_PAIR: readonly Kind[] = HARMLESS.slice(0, 6);

const LEAST_FAULTS = 3;
const MOST_FAULTS = 6;
const LEGAL_SHARE = 0.3;
const PAIR_MS = [500, 2_500] as const;
const PAIR_SETTLES_MS = 3_500;

/** Of some runs everything is drawn such that every replica has to end Following; of the others, whatever comes. */
export function drawPlan(seed: number): Plan {
  const dice = new Dice(seed);
  const isLegal = dice.chance(LEGAL_SHARE);
  const drawn = drawConfiguration(dice);
  const configuration: Configuration = isLegal ? { ...drawn, ...LEGAL } : drawn;
  const count = dice.between(LEAST_FAULTS, MOST_FAULTS);
  const faults = Array.from({ length: count }, () => drawFault(dice, configuration, isLegal));
  return { seed, configuration, faults: isLegal ? inTurn(faults) : faults, approves: dice.chance(0.6) };
}

const LEGAL = {
  logSlaveUpdates: [true, true],
  replicaLogSlaveUpdates: true,
  positioning: 'Auto',
  through: 'Auto',
  preempt: false,
  readOnly: true,
  fall: 2,
} as const satisfies Partial<Configuration>;

/** What is done to the pair is over before the next thing is. */
function inTurn(faults: readonly Fault[]): Fault[] {
  let freeAfterMs = 0;
  return faults.map((fault) => {
    const isOfPair = OF_THE_PAIR.includes(fault.kind);
    const gapMs = isOfPair ? Math.max(fault.gapMs, freeAfterMs) : fault.gapMs;
    freeAfterMs = isOfPair ? fault.forMs + PAIR_SETTLES_MS : Math.max(0, freeAfterMs - gapMs);
    return { ...fault, gapMs };
  });
}

function drawConfiguration(dice: Dice): Configuration {
  const pair = dice.weighted({ standby: 6, dual: 4 });
  const lsu = dice.weighted({ both: 65, none: 25, one: 10 });
  const positioning = dice.weighted({ Auto: 8, FilePosition: 2 });
  const byFile = positioning === 'FilePosition';
  const readOnly = dice.chance(0.8);
  const replicas = dice.between(2, 3);
  return {
    pair,
    standbyLink: dice.chance(lsu === 'both' ? 0.15 : 0.6) ? 'file' : 'gtid',
    logSlaveUpdates: lsu === 'one' ? [true, false] : [lsu === 'both', lsu === 'both'],
    syncBinlog: dice.chance(0.75) ? 1 : 0,
    ownDomains: pair === 'dual' && dice.chance(0.5),
    readOnly,
    preempt: dice.chance(0.12),
    // Where the servers start read-only, nobody opens one that restarted in place.
    fall: !readOnly && dice.chance(0.5) ? 10 : 2,
    resetSlaveAll: pair === 'standby' && dice.chance(0.25),
    replicas,
    replicaLogSlaveUpdates: dice.chance(0.8),
    skipSlaveStart: byFile || dice.chance(0.15),
    replicaLink: byFile || dice.chance(0.2) ? 'file' : 'gtid',
    positioning,
    // Coordinates through the VIP are not implemented.
    through: byFile ? dice.weighted({ Auto: 3, Member: 1 }) : dice.weighted({ Auto: 7, Member: 2, VIP: 2 }),
    channel: dice.chance(0.15) ? 'orders' : '',
    delaySeconds: dice.chance(0.15) ? dice.between(2, 4) : 0,
    onSplitBrain: dice.weighted({ Confirm: 7, Resume: 3 }),
    probeIntervalMs: dice.pick([250, 250, 500, 1000]),
    clockHours: dice.pick([[0, 0] as const, [0, 0], [0, 0], [1, 1], [-1, -1], [0, 1], [1, 0]]),
    ratePerSecond: dice.pick([40, 80]),
  };
}

function drawFault(dice: Dice, configuration: Configuration, isLegal: boolean): Fault {
  const kind = dice.weighted(isLegal ? HARMLESS_KINDS : KINDS);
  const fault: Fault = {
    kind,
    // Now and then one comes in the middle of what the one before it began.
    gapMs: dice.chance(0.3) ? dice.between(20, 400) : dice.between(400, 4_000),
    forMs: dice.between(500, 6_000),
    replica: dice.between(0, configuration.replicas - 1),
    comeback: dice.weighted({ keep: 6, clone: 3, bare: 1 }),
    level: dice.between(0, 99),
  };
  const drawn = { ...fault, kind: possible(kind, configuration) };
  if (!isLegal) return drawn;
  const [least, most] = PAIR_MS;
  return { ...drawn, comeback: 'keep', ...(OF_THE_PAIR.includes(kind) ? { forMs: dice.between(least, most) } : {}) };
}

const HARMLESS_KINDS = Object.fromEntries(HARMLESS.map((kind) => [kind, KINDS[kind]])) as Readonly<
  Record<Kind, number>
>;

/** What the set-up cannot lose, or would break by itself, is something near it instead. */
function possible(kind: Kind, { syncBinlog, standbyLink }: Configuration): Kind {
  if (kind === 'lost-tail-holder' && syncBinlog === 1) return 'power-off-holder';
  // By file a standby that is killed while it applies doubles rows by itself, and nobody could call its replicas wrong.
  if (kind === 'kill-standby' && standbyLink === 'file') return 'freeze-standby';
  return kind;
}

export function configurationText(configuration: Configuration): string {
  const { logSlaveUpdates, clockHours } = configuration;
  const lsu = logSlaveUpdates.map((on) => (on ? '1' : '0')).join('/');
  const parts: readonly (string | false)[] = [
    `${configuration.pair} by ${configuration.standbyLink}`,
    `lsu ${lsu}`,
    `sync_binlog ${configuration.syncBinlog}`,
    configuration.ownDomains && 'own domains',
    !configuration.readOnly && 'never read_only',
    configuration.preempt && 'preempt',
    configuration.fall !== 2 && `fall ${configuration.fall}`,
    configuration.resetSlaveAll && 'reset slave all',
    `${configuration.replicas} replicas${configuration.replicaLink === 'file' ? ' by file' : ''}`,
    !configuration.replicaLogSlaveUpdates && 'without lsu',
    configuration.skipSlaveStart && 'skip-slave-start',
    `${configuration.positioning} through ${configuration.through}`,
    configuration.channel !== '' && `channel ${configuration.channel}`,
    configuration.delaySeconds > 0 && `delay ${configuration.delaySeconds} s`,
    configuration.onSplitBrain === 'Resume' && 'onSplitBrain Resume',
    `probe ${configuration.probeIntervalMs}`,
    clockHours.some((hours) => hours !== 0) && `clock ${clockHours.map(signed).join(' then ')} h`,
  ];
  return parts.filter((part) => part !== false).join(', ');
}

function signed(hours: number): string {
  return hours > 0 ? `+${hours}` : `${hours}`;
}

export function faultText({ kind, gapMs, forMs, comeback, replica }: Fault): string {
  const where = kind.endsWith('-replica') ? ` r${replica + 1}` : '';
  const back = COMES_BACK.includes(kind) ? ` ${comeback}` : '';
  return `${kind}${where}${back} (+${seconds(gapMs)}, ${seconds(forMs)} s)`;
}

const COMES_BACK: readonly Kind[] = [
  'planned-move',
  'drained-kill-holder',
  'kill-holder',
  'power-off-holder',
  'lost-tail-holder',
  'freeze-holder',
  'restart-holder',
  'isolate-holder',
  'cut-vrrp',
];

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
