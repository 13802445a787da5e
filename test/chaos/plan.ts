import type { Configuration } from './configuration.ts';
import { drawConfiguration } from './configuration.ts';
import { Dice } from './dice.ts';

/** Everything that can be done to the bench, and how often it is drawn. */
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
  'purge-holder': 4,
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
  'publisher-down': 4,
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
const HARMLESS: readonly Kind[] = [
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
  'publisher-down',
];
/** Of a storage that both share nothing is lost where a server dies. */
const HARMLESS_SHARED: readonly Kind[] = [
  ...HARMLESS.filter(
    (kind) => !(['drained-kill-holder', 'flap', 'kill-standby', 'freeze-standby'] as Kind[]).includes(kind),
  ),
  'kill-holder',
  'power-off-holder',
  'restart-holder',
  'freeze-holder',
];
/** What a harmless history does to the pair: one at a time. */
const OF_THE_PAIR: readonly Kind[] = [...HARMLESS.slice(0, 6), ...HARMLESS_SHARED.slice(-4)];

/** Kinds of fault after which nothing is missing anywhere. */
export function harmless({ pair }: Configuration): readonly Kind[] {
  return pair === 'shared' ? HARMLESS_SHARED : HARMLESS;
}

const LEAST_FAULTS = 3;
const MOST_FAULTS = 6;
const LEGAL_SHARE = 0.3;
const PAIR_MS = [500, 2_500] as const;
const PAIR_SETTLES_MS = 3_500;

/** Of some runs everything is drawn such that every replica has to end Following; of the others, whatever comes. */
export function drawPlan(seed: number): Plan {
  const dice = new Dice(seed);
  const isLegal = dice.chance(LEGAL_SHARE);
  const drawn = drawConfiguration(dice, isLegal);
  // What its filter keeps from the standby is a gap.
  const configuration: Configuration =
    isLegal && drawn.filter === 'replicate-do-db' ? { ...drawn, filter: 'none' } : drawn;
  const count = dice.between(LEAST_FAULTS, MOST_FAULTS);
  const faults = Array.from({ length: count }, () => drawFault(dice, configuration, isLegal));
  return { seed, configuration, faults: isLegal ? inTurn(faults) : faults, approves: dice.chance(0.6) };
}

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

function drawFault(dice: Dice, configuration: Configuration, isLegal: boolean): Fault {
  const kind = dice.weighted(isLegal ? weightsOf(harmless(configuration)) : KINDS);
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
  return {
    ...drawn,
    comeback: 'keep',
    ...(OF_THE_PAIR.includes(drawn.kind) ? { forMs: dice.between(least, most) } : {}),
  };
}

function weightsOf(kinds: readonly Kind[]): Readonly<Record<Kind, number>> {
  return Object.fromEntries(kinds.map((kind) => [kind, KINDS[kind]])) as Readonly<Record<Kind, number>>;
}

/** What the set-up cannot lose, does not have or would break by itself, is something near it instead. */
function possible(kind: Kind, { pair, syncBinlog, standbyLink, publishers }: Configuration): Kind {
  if (kind === 'lost-tail-holder' && syncBinlog === 1) return 'power-off-holder';
  if (kind === 'publisher-down' && !publishers) return 'kill-operator';
  if (pair === 'shared') return ON_SHARED[kind] ?? kind;
  // By file a standby that is killed while it applies doubles rows by itself, and nobody could call its replicas wrong.
  if (kind === 'kill-standby' && standbyLink === 'file') return 'freeze-standby';
  return kind;
}

/** The other host of a shared storage runs nothing that could die, and takes over where a person or a manager says so. */
const ON_SHARED: Readonly<Partial<Record<Kind, Kind>>> = {
  'drained-kill-holder': 'planned-move',
  flap: 'planned-move',
  'isolate-holder': 'power-off-holder',
  'cut-vrrp': 'kill-holder',
  'kill-standby': 'restart-holder',
  'freeze-standby': 'freeze-holder',
};

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
