import type { Known } from './fact.ts';
import type { GtidPosition, GtidState } from './gtid.ts';
import type { Anchor, StandbyFacts } from './memory.ts';
import type { Coordinates, Identity } from './observation.ts';

/** A server as the publisher beside it knows it. `datadir` is empty where the publisher does not say. */
export interface PublishedIdentity extends Identity {
  /** Names the machine; null: not known. */
  readonly machineId: string | null;
  /** Names the data directory, also when another host mounts it; null: not known. */
  readonly datadirId: string | null;
}

/** The last look at its database before the first transaction of its own as the holder. `at`: by the clock of that host. */
export interface PublishedTakeover extends Omit<Anchor, 'since'> {
  /** `applied` without a file: its link was gone by then, and only its GTID position says what it had applied. */
  readonly standby: StandbyFacts;
}

/** What it saw of the other server last. `at`: wall clock ms by the clock of its own host. */
export interface PublishedPeer {
  /** The member that it says this was. */
  readonly member: string;
  readonly end: Coordinates;
  readonly binlogPos: GtidPosition;
  readonly at: number;
}

/** Out of an old `.pos` file; `at`: when that was written, by the clock of its host. */
export interface ImportedPosition extends Coordinates {
  readonly at: number;
}

/** What the publisher beside a member says of it. A witness only: never believed over a direct look, or over a lock. */
export interface PublisherLook {
  /** The member that it says it runs beside. */
  readonly member: string;
  /** Whether its database answered it; where not, what follows but for `vipHeld` is what it said last. */
  readonly databaseAnswers: boolean;
  /** Null: its database has never answered it. */
  readonly identity: PublishedIdentity | null;
  /** Whether an interface of its host has the VIP; null: it was not told the VIP. */
  readonly vipHeld: boolean | null;
  /** Monotonic ms of the first of the answers in a row that say the same of `vipHeld`. */
  readonly vipHeldSince: number;
  readonly readOnly: boolean | null;
  readonly logSlaveUpdates: boolean | null;
  /** End of its binlog; null: not known, or it has none. */
  readonly end: Coordinates | null;
  readonly binlogPos: GtidPosition;
  readonly binlogState: GtidState;
  readonly slavePos: GtidPosition;
  readonly takeover: PublishedTakeover | null;
  /** Null: it was told of no peer, or has not seen it yet. */
  readonly peer: PublishedPeer | null;
  /** Of old scripts; null: there is no such file. */
  readonly imported: { readonly masterEnd: ImportedPosition | null; readonly slaveEnd: ImportedPosition | null };
  /** When its database was looked at, wall clock ms by the clock of that host; null: never. */
  readonly observedAt: number | null;
  /** How long before the answer that was, in ms by a clock that nobody sets; null: never. */
  readonly ageMs: number | null;
}

/** Monotonic ms before which its database was not looked at for this answer; -Infinity: its database does not answer it. */
export function databaseSeenAt({ at, value }: Known<PublisherLook>): number {
  return value.databaseAnswers && value.ageMs !== null ? at - value.ageMs : Number.NEGATIVE_INFINITY;
}

/** What it says of its server, as far as it goes: a data directory that it does not name contradicts nothing. */
export function comparable(published: PublishedIdentity, other: Identity): Identity {
  return published.datadir === '' ? { ...published, datadir: other.datadir } : published;
}
