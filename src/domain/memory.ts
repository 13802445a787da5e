import type { Reason, Verdict } from '../api/reasons.ts';
import type { Run } from './evidence.ts';
import type { Gtid, GtidPosition, GtidState } from './gtid.ts';
import { isWithin, mergeStates, stateOfPosition } from './gtid.ts';
import type { BinlogFile, Coordinates, Identity, Link, ServerLook } from './observation.ts';
import { linkOf } from './observation.ts';
import type { Transactions } from './proof.ts';

/** What mxr knows from before. It lives in the resource's status, so that any process can go on (handover.md). */
export interface Memory {
  readonly members: ReadonlyMap<string, MemberMemory>;
  readonly replicas: ReadonlyMap<string, ReplicaMemory>;
  /** When each member was seen alive; in memory only. */
  readonly alive?: ReadonlyMap<string, Alive>;
}

/** One life of a member, as far as this process has seen it. Monotonic ms: it lived at least from `from` to `to`. */
export interface Alive {
  readonly incarnation: number;
  readonly from: number;
  /** When the last look that it answered began. */
  readonly to: number;
}

export interface MemberMemory {
  readonly name: string;
  /** Opaque name of this server's binlog history; coordinates are only comparable within one. */
  readonly lineage: string;
  readonly identity: Identity;
  /** The server restarted (or was replaced) and the lineage is not proven yet: nothing may rest on it. */
  readonly inQuestion: boolean;
  /** Why this lineage is not the one that mxr knew before; null for a lineage that never broke. */
  readonly broken: Broken | null;
  /** The last restart that was proven to go on with the same history; null: none since mxr watches. */
  readonly restart: ProvenRestart | null;
  readonly logBinBasename: string;
  readonly files: readonly RememberedFile[];
  /** Looks of this lineage that differ, newest last, bounded; in memory only but for the newest. */
  readonly anchors: readonly Anchor[];
  /** The last look at this member as a standby: nothing of its history as a holder had begun. */
  readonly lastStandby: Anchor | null;
  /** What it logged itself while no process of mxr looked; null: nothing. */
  readonly unwatched: Unwatched | null;
  /** Whether this process has looked at it already; in memory only. */
  readonly watched: boolean;
  /** The look that was remembered last; in memory only. */
  readonly lastLook?: ServerLook;
  /** What it logged while nobody looked and nobody has read since; in memory only. */
  readonly unread: Unread | null;
  /** Without log_slave_updates: numbers that its binlog lacks, so it applied something meanwhile; null: none. */
  readonly tookIn: TookIn | null;
  /** A part of its binlog that nobody has read yet, and may have what its peers never got; null: none. */
  readonly mixed: Mixed | null;
  /** Transactions of its own that its peers are not known to have; bounded. */
  readonly errant: readonly Errant[];
  /** How it was seen last; in memory only. */
  readonly seen?: { readonly held: boolean; readonly fed: Anchor | null };
  /** Its data directory is used by another member too, one at a time; null: as far as mxr knows it has its own. */
  readonly storage: SharedStorage | null;
  /** Wall clock ms when it was seen alive beside another member of one shared storage; null: never. */
  readonly besideAt: number | null;
}

export interface SharedStorage {
  /** Grows each time another host takes the storage over: what the highest one was seen to have is the newest. */
  readonly tenure: number;
  /** The member whose memory this is, until it is proven that the history goes on; null: it was seen here. */
  readonly from: string | null;
}

export interface Broken {
  readonly reason: 'LostTail' | 'LineageChanged';
  readonly message: string;
  /** Of a lost tail: everything that was left. It starts again, and then begins with numbers that were given anew. */
  readonly survived?: GtidState;
}

export interface Unread {
  readonly before: Anchor;
  readonly through: Coordinates;
}

export interface Errant extends Run {
  /** A member that has later ones and was seen to lack these; in memory only. */
  readonly lackedBy?: string;
}

/** Transactions of its own among those of others in a member's binlog, which nobody has read yet. */
export interface Mixed {
  readonly from: Coordinates;
  /** Everything that it had logged before. */
  readonly before: GtidState;
  readonly through: Coordinates;
  /** Up to where it is read after that; equal to `through`: no further. */
  readonly until: Coordinates;
  /** The first of its own may be missing alone: somebody may be attached behind it by file and position. */
  readonly first: boolean;
  /** Others wrote, too: all of it is read. */
  readonly order: boolean;
}

export interface TookIn {
  /** The first and last of its own transactions around the missing numbers. */
  readonly between: readonly Gtid[];
  /** Wall clock ms when that was read. */
  readonly at: number;
}

export interface Unwatched {
  /** Its own transactions, with the highest number of each domain. */
  readonly own: GtidState;
  /** Wall clock ms when they were seen first. */
  readonly at: number;
}

export interface ProvenRestart {
  /** The binlog file that the server began when it started. */
  readonly file: string;
  /** Everything that the server had logged when it started. */
  readonly survived: GtidState;
  /** What had survived at each further start that nobody watched, oldest first: each may have lost a tail of its own. */
  readonly later: readonly GtidState[];
}

export interface RememberedFile extends BinlogFile {
  /** Wall clock ms of the file's Format_description event; null until it was read. */
  readonly createdAt: number | null;
}

/** One look at a member's history: what it had logged and applied when its binlog ended here. */
export interface Anchor {
  /** Wall clock ms when it was seen so last. */
  readonly at: number;
  /** Wall clock ms when it was seen so first. */
  readonly since: number;
  readonly end: Coordinates;
  readonly binlogState: GtidState;
  /** What is known to lie before `end`: a look reads the end first and the state after it, so a second look says it. */
  readonly covered?: GtidState;
  /** Where the next look that differed ended: all of `binlogState` lies before. */
  readonly nextEnd?: Coordinates;
  readonly binlogPos: GtidPosition;
  readonly slavePos: GtidPosition;
  readonly standby: StandbyFacts | null;
}

/** What a member that replicates had received and applied from another server. */
export interface StandbyFacts {
  readonly sourceHost: string;
  readonly sourceServerId: number;
  /** Relay_Master_Log_File:Exec_Master_Log_Pos: the applied position on its source. */
  readonly applied: Coordinates;
  readonly usingGtid: boolean;
  readonly drained: boolean;
  /** How far it had received when it was seen; in memory only. */
  readonly read?: Coordinates;
}

export interface Baseline {
  readonly by: 'Adopted' | 'Handover' | 'Reseeded';
  readonly member: string;
  readonly lineage: string;
  /** Where it stood on that lineage; null where only the GTID is known. */
  readonly coordinates: Coordinates | null;
  readonly gtid: GtidPosition;
  /** Every (domain, server id) proven to be in the replica, with its highest number. */
  readonly contains: GtidState;
  /** Wall clock ms of the proof. */
  readonly at: number;
}

export interface ReplicaMemory {
  readonly pod: string;
  readonly baseline: Baseline | null;
  /** The replica's own start time at the last look (wall ms): tells a restart from a person's STOP SLAVE. */
  readonly startedAt: number | null;
  /** What was read right after mxr stopped receiving; null when receiving was not stopped by mxr. */
  readonly captured: Captured | null;
  /** Wall ms since when it may have applied rows twice (`CrashUnsafePosition`); null: it has not. */
  readonly unsafeSince: number | null;
  /** Wall ms since when a handover of ours left both threads stopped, or about to end by themselves, whatever became of it; null: they run, or a person stopped them. */
  readonly haltedSince: number | null;
  /** Why its adoption was refused at the last moment, and when (wall ms); in memory only. */
  readonly adoptionRefused: { readonly message: string; readonly at: number } | null;
  /** What the link of this replica dials where `link.through` is Auto; null: not decided yet. */
  readonly through: 'Member' | 'VIP' | null;
  /** The position seen last and the monotonic ms at which it was seen first; in memory only. */
  readonly standing: Standing | null;
  /** File of the holder's restart after which this replica was proven or compared; see `ProvenRestart`. */
  readonly clearedFor: string | null;
  /** What the link pointed at when it was seen last; null right after mxr itself changed it. In memory only. */
  readonly link: string | null;
  /** Wall clock ms of changes of the link that mxr did not make. */
  readonly foreignChanges: readonly number[];
  /** What a holder had applied and hides when this replica stood before it: it never gets that. */
  readonly lacks: readonly Gtid[];
  /** Why it was refused last; in memory only. It is told until what the holder has logged since was read. */
  readonly refusal: Refusal | null;
  /** The session of its source that fed it when it was seen last; in memory only. Null: not seen by this process. */
  readonly fed: Fed | 'Ours' | null;
  /** The incarnation of a member that was seen to feed it last, for a second or more; in memory only. */
  readonly connectedTo: number | null;
  /** What its own binlog had at the last look; null: it has none, or it cannot be read. */
  readonly ownBinlog: OwnBinlog | null;
  /** Wall clock ms when it was seen with a link first, since it was last seen without one; null: not yet. */
  readonly knownSince: number | null;
  /** The history that it was proven on before the one of its baseline, and what it had then; null: none. */
  readonly followed: Followed | null;
  /** Why a baseline that it had was given up; in memory only. */
  readonly forgotten: string | null;
}

export interface Followed {
  readonly lineage: string;
  readonly contains: GtidState;
}

export interface OwnBinlog {
  /** `@@log_bin_basename`. */
  readonly basename: string;
  readonly state: GtidState;
}

export interface Refusal {
  /** The life of the holder and the place of the replica that it was about. */
  readonly about: string;
  readonly verdict: Verdict;
  readonly reason: Reason;
  readonly message: string;
  readonly transactions: Transactions | null;
}

/** `Ours` (in its place): mxr itself has just started the link, at a proven place. */
export interface Fed {
  readonly incarnation: number;
  readonly connectionIds: readonly number[];
  /** Monotonic ms. */
  readonly seenAt: number;
}

export interface Standing {
  /** Applied and received, as text. */
  readonly position: string;
  readonly since: number;
}

export const NEW_REPLICA: Omit<ReplicaMemory, 'pod'> = {
  baseline: null,
  startedAt: null,
  captured: null,
  unsafeSince: null,
  haltedSince: null,
  adoptionRefused: null,
  through: null,
  standing: null,
  clearedFor: null,
  link: null,
  foreignChanges: [],
  lacks: [],
  refusal: null,
  fed: null,
  connectedTo: null,
  ownBinlog: null,
  knownSince: null,
  followed: null,
  forgotten: null,
};

export interface Captured {
  readonly at: number;
  readonly exec: Coordinates;
  readonly read: Coordinates;
  readonly gtid: GtidPosition;
  readonly gtidIoPos: GtidPosition;
}

/** Start times are exact to the second (src/observe/look.ts): two looks at one incarnation differ by less than this. */
export const START_TIME_TOLERANCE_MS = 999;

export function sameIncarnation(a: Identity, b: Identity): boolean {
  return sameServer(a, b) && Math.abs(a.startedAt - b.startedAt) <= START_TIME_TOLERANCE_MS;
}

/** The same installation of a server, restarted or not. */
export function sameServer(a: Omit<Identity, 'startedAt'>, b: Omit<Identity, 'startedAt'>): boolean {
  return (
    a.hostname === b.hostname &&
    a.serverUid === b.serverUid &&
    a.serverId === b.serverId &&
    a.port === b.port &&
    a.datadir === b.datadir
  );
}

/** A state from a look whose account may not read gtid_binlog_state: the position is the part that is known. */
export function binlogStateOf(look: ServerLook): GtidState {
  return look.gtidBinlogState ?? stateOfPosition(look.gtidBinlogPos);
}

/** Everything that a server logged or applied, as far as its last look shows. */
export function stateOfServer(look: ServerLook): GtidState {
  return mergeStates(binlogStateOf(look), stateOfPosition(look.gtidSlavePos));
}

/** The channel through which a member follows its peer: the only one it has, or the one of this name. */
export function standbyLinkOf(look: ServerLook): Link | undefined {
  return linkOf(look, '') ?? look.links[0];
}

/**
 * What a replica that follows `holder` is now known to contain: every look at the holder whose position the replica has
 * reached says that the replica has everything that the holder's binlog had then.
 */
export function containedByFollowing(baseline: Baseline, position: GtidPosition, holder: MemberMemory): GtidState {
  const reached = stateOfPosition(position);
  const anchor = holder.anchors.findLast((look) => isWithin(stateOfPosition(look.binlogPos), reached));
  if (anchor === undefined) return mergeStates(baseline.contains, reached);
  return mergeStates(baseline.contains, reached, anchor.binlogState);
}

/** What is remembered of the history that a replica leaves when it is proven on another one with `contains`. */
export function followedBefore(
  { baseline, followed }: ReplicaMemory,
  lineage: string,
  contains: GtidState,
): Followed | null {
  return baseline === null || baseline.lineage === lineage ? followed : { lineage: baseline.lineage, contains };
}
