import type { UnprovenReason, Verdict } from '../../src/api/reasons.ts';
import type { Evidence } from './evidence.ts';
import type { Past } from './field.ts';
import type { Kind } from './plan.ts';

/** What mxr says of a replica. */
export interface Told {
  readonly pod: string;
  readonly verdict: Verdict;
  readonly reason: string;
  readonly message: string;
  readonly ready: boolean;
  readonly attachedTo?: string | undefined;
  /** Whether the pod really has the label of the read Service. */
  readonly labelled: boolean;
}

const OUT_OF_SERVICE: readonly Verdict[] = ['Diverged', 'Ahead', 'LocalConflict', 'Unproven', 'Unseeded', 'Reseeding'];

/** What is untrue about a verdict that keeps a replica from following, once everything is healed; null: nothing. */
export function untruthOf(told: Told, evidence: Evidence, past: Past): string | null {
  if (OUT_OF_SERVICE.includes(told.verdict) && told.labelled) return 'its pod is still in the read Service';
  switch (told.verdict) {
    case 'Following':
    case 'CatchingUp':
      return 'it is ready: rows decide, not this';
    case 'Ahead':
      return isAhead(evidence) ? null : 'it has nothing that the holder lacks';
    case 'Diverged':
      return evidence.differing.length > 0 || isAhead(evidence)
        ? null
        : 'it logged nothing otherwise than the holder, and has nothing that the holder lacks';
    case 'Behind':
    case 'Purged':
      if (!lacksForEver(evidence)) return "nothing that it needs is missing in the holder's binlog";
      return told.verdict === 'Behind' ? unfilled(evidence, past) : null;
    case 'ApplierFailed':
      return evidence.sql === 'No' && evidence.sqlErrno !== '0'
        ? null
        : `its SQL thread is ${evidence.sql}, errno ${evidence.sqlErrno}`;
    case 'Unproven':
      return implausible(told, evidence, past);
    case 'Frozen':
      return wasSplit(evidence, past) ? frozen(told, past) : 'no two members held the VIP, nor wrote apart';
    case 'LocalConflict':
      return 'nobody wrote on the replica itself';
    case 'StoppedByHand':
    case 'Suspended':
    case 'AwaitingApproval':
    case 'Unseeded':
    case 'Reseeding':
      return 'nobody did or asked for that';
    case 'LinkBroken':
    case 'Unreachable':
    case 'Waiting':
    case 'Filling':
    case 'HandingOver':
      return 'everything is healed and it still says so';
    default:
      return told.verdict satisfies never;
  }
}

export function isAhead({ more, gtidsAhead, hotAhead }: Evidence): boolean {
  return more.length > 0 || gtidsAhead.length > 0 || hotAhead > 0;
}

/** Where no inserted row is missing, only what was updated can be, or what its peer wrote. */
export function lacksForEver(evidence: Evidence): boolean {
  const { lacks, lacksForEver, hotBehind, peerWrites, holderLogsUpdates } = evidence;
  if (lacksForEver.length > 0) return true;
  return !holderLogsUpdates && (peerWrites.length > 0 || (lacks.length === 0 && hotBehind > 0));
}

/** Two held the VIP at one time, or one has something of its own that the other lacks. */
function wasSplit({ elsewhere }: Evidence, { twoHolders }: Past): boolean {
  return twoHolders || elsewhere.length > 0;
}

/** In what a replica that is stopped under it has by its own verdict, nothing may be doubled. */
const MAY_BE_DOUBLED: readonly string[] = ['CrashUnsafePosition', 'ReplicaRestarted', 'Diverged'];
/** They are about what comes after all that the replica has: as if that were a whole beginning of what the holder logged. */
const IS_WHOLE: readonly Verdict[] = ['Behind', 'Purged'];

export interface Damage {
  readonly lost: readonly string[];
  readonly doubled: readonly string[];
}

/** What is wrong with the rows of a replica that its refusal does not tell. */
export function untold({ verdict, reason, labelled }: Told, { doubled, holes }: Evidence): Damage {
  // A failed applier alone proves nothing about the data, so its replica may be read: then nothing may be missing in it.
  const isWhole = IS_WHOLE.includes(verdict) || (verdict === 'ApplierFailed' && labelled);
  return {
    lost: isWhole ? holes : [],
    doubled: MAY_BE_DOUBLED.includes(reason) ? [] : doubled,
  };
}

function frozen({ message }: Told, past: Past): string | null {
  if (past.approved) return 'a person approved, and nothing followed';
  return message.includes('mxr.dev/approve=') ? null : 'the pair has one holder again, and it asks nobody';
}

/** A member that was never disturbed has all of the gap: where gaps are filled, it is filled from there. */
function unfilled({ donors, usingGtid }: Evidence, past: Past): string | null {
  if (!past.fills || past.split || past.unplanned.length > 0 || usingGtid === 'No') return null;
  const sound = donors.find((name) => ![past.restarted, past.cloned, past.lostTail].some((names) => names.has(name)));
  return sound === undefined ? null : `${sound} has all that it lacks, and gaps are filled`;
}

type Check = (evidence: Evidence, past: Past, pod: string) => boolean;

/** With them mxr may not know what it has begun. */
const FORGETS: readonly Kind[] = ['kill-operator', 'freeze-operator', 'api-down', 'api-frozen'];

/** Of members and replicas whether a member is among them. */
function members(names: ReadonlySet<string>): boolean {
  return [...names].some((name) => name.startsWith('hci-'));
}

/** Another member than the first had the VIP, and what it had applied before is not in its binlog, or not asked for by it. */
function isTakenOver({ holderLogsUpdates, usingGtid }: Evidence, { holders }: Past): boolean {
  return holders.size > 1 && (!holderLogsUpdates || usingGtid === 'No');
}

/** What must at least have been for each of these to be true. */
const PLAUSIBLE: Readonly<Record<UnprovenReason, Check>> = {
  // Adopted in calm, and never forgotten since.
  NotAdopted: () => false,
  UnknownDomain: ({ unknownOrigins }) => unknownOrigins.length > 0,
  HolderHidesPeerWrites: ({ holderLogsUpdates }) => !holderLogsUpdates,
  CrashUnsafePosition: ({ usingGtid }, past, pod) => usingGtid === 'No' && past.restarted.has(pod),
  LostTail: (_, past) => past.lostTail.size > 0 || past.cloned.size > 0,
  StandbyNeverSeen: (evidence, past) => isTakenOver(evidence, past),
  NotComparable: ({ replicaLogsUpdates, holderLogsUpdates }, past) =>
    !replicaLogsUpdates || !holderLogsUpdates || past.cloned.size > 0 || past.made.includes('purge-holder'),
  // Data that went back, numbers that were given twice, or coordinates of one server that went to another.
  WitnessesDisagree: ({ twins, usingGtid }, past, pod) =>
    past.lostTail.size > 0 ||
    past.cloned.size > 0 ||
    twins.length > 0 ||
    (usingGtid === 'No' && (past.holders.size > 1 || past.restarted.has(pod))),
  Contested: () => false,
  LineageChanged: ({ usingGtid }, past) =>
    members(past.restarted) || past.cloned.size > 0 || (usingGtid === 'No' && past.holders.size > 1),
  TakeoverUnknown: (evidence, past) => isTakenOver(evidence, past) || members(past.restarted),
  FiltersDiffer: () => false,
  SharedStorageTwice: () => false,
  NotPrefix: ({ holes, passedOver, twins, unknownOrigins, equalIds }) =>
    equalIds || [holes, passedOver, twins, unknownOrigins].some((found) => found.length > 0),
  OrderDiffers: ({ holes, reordered, twins }) => [holes, reordered, twins].some((found) => found.length > 0),
  RehearsalRefused: (evidence, past) => isAhead(evidence) || lacksForEver(evidence) || past.lostTail.size > 0,
  // By GTID the link's own place is proven again; by file only whoever pointed it knew it.
  IntentMismatch: ({ usingGtid }, past) => usingGtid === 'No' && past.made.some((kind) => FORGETS.includes(kind)),
  ReplicaRestarted: (_, past, pod) => past.restarted.has(pod),
};

function implausible(told: Told, evidence: Evidence, past: Past): string | null {
  const check = Object.hasOwn(PLAUSIBLE, told.reason) ? PLAUSIBLE[told.reason as UnprovenReason] : undefined;
  if (check === undefined) return `${told.reason} is no reason of Unproven`;
  return check(evidence, past, told.pod) ? null : `nothing happened that ${told.reason} could come from`;
}
