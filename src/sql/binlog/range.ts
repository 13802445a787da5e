import type { Gtid, GtidPosition } from '../../domain/gtid.ts';
import type { Coordinates } from '../../domain/observation.ts';
import type { FileHead } from './files.ts';

/** What a replica lacks, and where it is. */
export interface RangeQuestion {
  /** Where the replica stands: `gtid_slave_pos`. */
  readonly from: GtidPosition;
  /** Where it shall stand. */
  readonly until: GtidPosition;
  /** Where the replica says that this is in these files; null: it does not say. */
  readonly fromAt: Coordinates | null;
  /** Where the one who took over says that this is in these files; null: it does not say. */
  readonly untilAt: Coordinates | null;
  readonly serverId: number;
  /** What mxr saw of these files while their server lived. */
  readonly remembered: readonly RememberedFile[];
}

export interface RememberedFile {
  readonly name: string;
  /** The largest that was seen. */
  readonly size: number;
  /** Null: it was never read. */
  readonly createdAt: number | null;
}

/** What of one file: from behind its head or the replica's position to behind the last whole transaction. */
export interface RangePart {
  readonly head: FileHead;
  readonly from: number;
  readonly to: number;
}

/** Everything from one place of the files up to another, proven to be whole. */
export interface BinlogRange {
  /** Of the files that it lies in, oldest first; at least one. */
  readonly parts: readonly RangePart[];
  /** Behind the last transaction that the replica has. */
  readonly start: Coordinates;
  /** Where the first one that it lacks begins; null: it lacks none. */
  readonly next: Coordinates | null;
  /** Behind the last one that it lacks. */
  readonly end: Coordinates;
  readonly from: GtidPosition;
  readonly until: GtidPosition;
  readonly transactions: number;
  readonly bytes: number;
  /** Of all events of the transactions (sha256, hex): what is sent later has to be the same. */
  readonly digest: string;
}

export type RangeRefusal =
  /** The place is not in the files: purged, never written, or lost. */
  | 'NotThere'
  /** A file between others, or something inside of them, is missing. */
  | 'Incomplete'
  /** Checksums, sizes or the order of events are wrong. */
  | 'Damaged'
  | 'Encrypted'
  /** They are not the files that the replica was fed from. */
  | 'OtherLineage';

export type RangeAnswer =
  | { readonly kind: 'Range'; readonly range: BinlogRange }
  | { readonly kind: 'Refused'; readonly reason: RangeRefusal; readonly message: string };

/** The newest per domain. */
export function newestOf(list: readonly Gtid[]): Map<number, Gtid> {
  return new Map(list.map((gtid) => [gtid.domain, gtid]));
}
