import type { Fact } from './fact.ts';
import type { GtidPosition, GtidState } from './gtid.ts';
import type { PublisherLook } from './published.ts';

/** Coordinates in one server's binlog. Meaningless without the lineage they were read from. */
export interface Coordinates {
  readonly file: string;
  /** Byte offset of the next event. */
  readonly position: number;
}

/** Who a server says it is. No single field proves anything: they collide in containers and clones. */
export interface Identity {
  readonly hostname: string;
  readonly serverId: number;
  /** `@@server_uid`; empty where the version has none (10.5). */
  readonly serverUid: string;
  readonly port: number;
  readonly datadir: string;
  /** Wall clock ms when the server started: `now - Uptime`, so within a second or two. */
  readonly startedAt: number;
}

export type ThreadState = 'Yes' | 'No' | 'Connecting' | 'Preparing';

/** One replication channel: a row of SHOW ALL SLAVES STATUS. */
export interface Link {
  readonly channel: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly io: ThreadState;
  readonly sql: 'Yes' | 'No';
  readonly ioState: string;
  readonly sqlState: string;
  /** Server id of the server that the IO thread is or was attached to; 0 before the first. */
  readonly sourceServerId: number;
  /** What has been received: Master_Log_File:Read_Master_Log_Pos. */
  readonly read: Coordinates;
  /** What has been applied: Relay_Master_Log_File:Exec_Master_Log_Pos, always at a group boundary. */
  readonly exec: Coordinates;
  readonly usingGtid: 'No' | 'Slave_Pos' | 'Current_Pos';
  /** Complete groups received, GTID mode only. */
  readonly gtidIoPos: GtidPosition;
  readonly ioErrno: number;
  readonly ioError: string;
  readonly sqlErrno: number;
  readonly sqlError: string;
  /** Seconds; null when unknown. */
  readonly secondsBehind: number | null;
  /** MASTER_DELAY in seconds. */
  readonly delay: number;
  readonly ssl: boolean;
  readonly connectRetry: number;
  /** What ends it, as the server names it (`Gtid`: START SLAVE UNTIL master_gtid_pos); absent: nothing does. */
  readonly until?: string;
  /** Replication filters of the channel, as the server prints them: `{Replicate_Do_DB: 'orders'}`; empty ones left out. */
  readonly filters: Readonly<Record<string, string>>;
}

/** A `Binlog Dump` session as the source sees it. */
export interface DumpThread {
  readonly connectionId: number;
  /** Peer address without the port. */
  readonly address: string;
  readonly user: string;
  /** Whole seconds since it began; null when the server does not say. */
  readonly ageSeconds: number | null;
}

export interface BinlogFile {
  readonly name: string;
  readonly size: number;
}

/** One look at one MariaDB: everything a decision may need of it, read in one go on one session. */
export interface ServerLook {
  readonly identity: Identity;
  /** Connection id of the session that looked: ids only grow within one incarnation. */
  readonly connectionId: number;
  /** `10.11.19-MariaDB`. */
  readonly version: string;
  readonly readOnly: boolean;
  readonly logBin: boolean;
  readonly logSlaveUpdates: boolean;
  readonly logBinBasename: string;
  readonly gtidDomainId: number;
  readonly gtidBinlogPos: GtidPosition;
  /** Null when the account may not read it. */
  readonly gtidBinlogState: GtidState | null;
  readonly gtidSlavePos: GtidPosition;
  /** End of the binlog (SHOW MASTER STATUS); null when the binlog is off. */
  readonly end: Coordinates | null;
  /** Oldest first; empty when the binlog is off. */
  readonly files: readonly BinlogFile[];
  readonly links: readonly Link[];
  /** `@@slave_parallel_threads`; absent: not asked. */
  readonly parallelThreads?: number;
  /** Null when the account lacks PROCESS. */
  readonly dumps: readonly DumpThread[] | null;
  readonly settings: ServerSettings;
}

/** The part of a replica that changes under the executor's hands: read between statements, so it is kept small. */
export type LinkLook = Pick<ServerLook, 'gtidSlavePos' | 'readOnly' | 'links' | 'parallelThreads'> & {
  /** Seconds; absent: not known. */
  readonly slaveNetTimeout?: number;
};

export interface ServerSettings {
  readonly syncBinlog: number;
  /** Seconds. */
  readonly slaveNetTimeout: number;
  /** Whether that was set at run time, so that a restart forgets it; absent: not asked. */
  readonly slaveNetTimeoutSet?: boolean;
  /** After so many seconds without a change a binlog file is purged; 0: never; absent: not known. */
  readonly binlogExpireSeconds?: number;
  readonly gtidStrictMode: boolean;
  readonly binlogFormat: string;
  readonly binlogRowImage: string;
  /** `OFF`, `ALL`, or error numbers. */
  readonly slaveSkipErrors: string;
  readonly skipSlaveStart: boolean | null;
  /** Server-wide binlog filters (Binlog_Do_DB, Binlog_Ignore_DB of SHOW MASTER STATUS). */
  readonly binlogDoDb: string;
  readonly binlogIgnoreDb: string;
}

/** One fresh connection to the VIP: who answers, and whether it may be written to. */
export interface VipLook {
  readonly identity: Identity;
  readonly readOnly: boolean;
  /** Connection id (on the answering server) of the holder of each member's nonce lock; null: nobody there holds it. */
  readonly lockOwners: Readonly<Record<string, number | null>>;
  /** Set only where no member can be asked directly: then the VIP session is the only witness. */
  readonly look: ServerLook | null;
}

/** A member: its spec name, and what the direct look said. */
export interface MemberObservation {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly match: { readonly hostname: string; readonly serverId: number } | null;
  readonly look: Fact<ServerLook>;
  /** Connection id of the direct session that holds this member's nonce lock, while it is alive. */
  readonly lockHeldBy: number | null;
  /**
   * Numbers the incarnations of this member's server that this process has seen: a lower connection id, a later start
   * time or a different identity tuple than the look before makes a new one. A number is never used again, not for
   * another server either; 0: not seen yet.
   */
  readonly incarnation: number;
  /** Monotonic ms at which the current incarnation was first seen. */
  readonly incarnationSince: number;
  /**
   * What its publisher says; absent: none is configured. Its `at` is when this process asked: the part about the
   * database is older by `ageMs`.
   */
  readonly publisher?: Fact<PublisherLook>;
}

export interface ReplicaObservation {
  readonly pod: string;
  readonly podUid: string;
  readonly ip: string | null;
  /** Kubernetes' own Ready condition. */
  readonly podReady: boolean;
  /** Whether the pod carries `mxr.dev/serving: "true"` now. */
  readonly labelledServing: boolean;
  /** Numbers the incarnations of this replica's server that this process has seen, as for members. */
  readonly incarnation: number;
  readonly look: Fact<ServerLook>;
}

/** How the VIP has been answering: what makes silence a fact and not one lost packet. */
export interface VipObservation {
  readonly look: Fact<VipLook>;
  /** Failed probes on fresh connections since the last answer. */
  readonly failures: number;
  /** Monotonic ms of the first failure since the last answer; null while it answers. */
  readonly silentSince: number | null;
  /** Monotonic ms of the first answer since the last silence or change of the answering server. */
  readonly answersSince: number | null;
}

export interface Observation {
  /** Monotonic ms at which this picture was taken. */
  readonly now: number;
  /** Wall clock ms of the same moment. */
  readonly wallNow: number;
  readonly vip: VipObservation;
  readonly members: readonly MemberObservation[];
  readonly replicas: readonly ReplicaObservation[];
}

export function linkOf(look: Pick<ServerLook, 'links'>, channel: string): Link | undefined {
  return look.links.find((link) => link.channel.toLowerCase() === channel.toLowerCase());
}

export function sameCoordinates(a: Coordinates, b: Coordinates): boolean {
  return a.file === b.file && a.position === b.position;
}

/** The number behind the last dot of a binlog file name; files of one base name are ordered by it. */
export function fileNumber(file: string): number {
  const digits = /\.(\d+)$/.exec(file)?.[1];
  return digits === undefined ? Number.NaN : Number(digits);
}

/** Negative: a before b. NaN when the base names differ, so every comparison with it is false. */
export function compareCoordinates(a: Coordinates, b: Coordinates): number {
  if (a.file.replace(/\.\d+$/, '') !== b.file.replace(/\.\d+$/, '')) return Number.NaN;
  return fileNumber(a.file) - fileNumber(b.file) || a.position - b.position;
}

/** The IO thread stops: its source has the server_id of its own server. Also in other words for what else must not differ. */
export const ER_EQUAL_IDS = 1593;

const READ_ALL = 'Slave has read all relay log; waiting for more updates';
const READ_ALL_NEW = 'Slave has read all relay log; waiting for the slave I/O thread to update it';

function isEverythingApplied({ read, exec }: Link): boolean {
  return exec.file !== '' && sameCoordinates(read, exec);
}

/** With parallel replication it has only handed everything to its workers: they may still apply it. */
function hasWorkersBusy({ gtidSlavePos, parallelThreads = 0 }: DrainLook, link: Link): boolean {
  if (link.usingGtid === 'No') return parallelThreads > 0 && !isEverythingApplied(link);
  return [...link.gtidIoPos].some(([domain, { seq }]) => (gtidSlavePos.get(domain)?.seq ?? -1n) < seq);
}

function hasReadAll({ sqlState }: Link): boolean {
  return sqlState === READ_ALL || sqlState === READ_ALL_NEW;
}

/**
 * All that it received is with its workers, and it receives no more: either they still apply it, or what they wait for is
 * the rest of a transaction that was cut in half. Its relay log tells which.
 */
export function mayHaveHalf(look: DrainLook, link: Link): boolean {
  if (link.usingGtid !== 'No' || link.io !== 'No' || link.sql !== 'Yes') return false;
  return hasReadAll(link) && !isDrained(look, link);
}

type DrainLook = Pick<ServerLook, 'gtidSlavePos' | 'parallelThreads'>;

/**
 * Whether everything received has been applied. By the SQL thread's own word, or, in GTID mode, by received = applied.
 * Never by Exec == Read alone: with half a transaction in the relay log that never becomes true (facts/mariadb.md §3).
 */
export function isDrained(look: DrainLook, link: Link): boolean {
  if (link.sql === 'Yes' && hasReadAll(link) && !hasWorkersBusy(look, link)) return true;
  // With both threads stopped the state text is gone; equal coordinates then say that not even half a transaction waits.
  if (link.usingGtid === 'No') return link.io === 'No' && link.sql === 'No' && isEverythingApplied(link);
  return [...link.gtidIoPos].every(([domain, gtid]) => {
    const applied = look.gtidSlavePos.get(domain);
    return applied !== undefined && applied.seq === gtid.seq && applied.serverId === gtid.serverId;
  });
}

/**
 * A standby applied all that it had received, as one look shows it. Equal coordinates say so too, whatever its threads do at
 * that moment: while STOP SLAVE runs, and right after it, their states say nothing.
 */
export function hasAppliedAll(look: DrainLook, link: Link): boolean {
  return isDrained(look, link) || isEverythingApplied(link);
}

/** The list of files is not read at every look, so a file begun since then is known by the end of the binlog only. */
export function hasFile({ files, end }: Pick<ServerLook, 'files' | 'end'>, name: string): boolean {
  return end?.file === name || files.some((file) => file.name === name);
}
