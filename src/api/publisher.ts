import { z } from 'zod';

/** What `mxr publisher` says over HTTP, and the operator reads: one schema for both. Bounds, for the operator trusts nobody. */

const text = z.string().max(1_024);
const file = z.string().max(512);
const position = z.int().min(0);
/** A GTID position or state as MariaDB prints it. */
const gtid = z.string().max(65_536);
const time = z.iso.datetime();

export const PublishedIdentity = z.object({
  hostname: text,
  serverId: z.int().min(0).max(4_294_967_295),
  /** `@@server_uid`; empty where the version has none. */
  serverUid: text,
  port: z.int().min(0).max(65_535),
  datadir: text,
  startedAt: time,
  /** Names the machine; empty: not known. */
  machineId: text,
  /** Names the data directory, also when another host mounts it; empty: it cannot be seen from where the publisher runs. */
  datadirId: text,
});
export type PublishedIdentity = z.infer<typeof PublishedIdentity>;

export const PublishedSlave = z.object({
  masterHost: text,
  masterServerId: z.int().min(0).max(4_294_967_295),
  /** Relay_Master_Log_File:Exec_Master_Log_Pos: what has been applied of its source. */
  file,
  position,
  usingGtid: z.boolean(),
  ioRunning: z.boolean(),
  sqlRunning: z.boolean(),
  /** Something that was received is not applied yet. */
  applying: z.boolean(),
});
export type PublishedSlave = z.infer<typeof PublishedSlave>;

/** The takeover point: where its own binlog ended, and what it had applied, before its first own transaction as the holder. */
export const PublishedTakeover = z.object({
  /** When it was seen so last. */
  at: time,
  ownFile: file,
  ownPosition: position,
  /** Empty and 0: it followed nobody any more. */
  peerFile: file,
  peerPosition: position,
  /** `@@gtid_slave_pos` then. */
  gtid,
  binlogPos: gtid,
  binlogState: gtid,
  peerHost: text,
  peerServerId: z.int().min(0).max(4_294_967_295),
  usingGtid: z.boolean(),
  /** It had applied everything that it had received. */
  drained: z.boolean(),
});
export type PublishedTakeover = z.infer<typeof PublishedTakeover>;

/** What this publisher saw of its peer last: how much a standby missed, also when the primary is gone. */
export const PublishedPeer = z.object({
  member: text,
  serverId: z.int().min(0).max(4_294_967_295),
  serverUid: text,
  startedAt: time,
  file,
  position,
  gtidBinlogPos: gtid,
  vipHeld: z.boolean().nullable(),
  observedAt: time,
});
export type PublishedPeer = z.infer<typeof PublishedPeer>;

/** Coordinates out of an old `.pos` file: one more witness, never a proof on its own. */
export const ImportedPosition = z.object({ file, position, writtenAt: time });
export type ImportedPosition = z.infer<typeof ImportedPosition>;

export const Coordinates = z.object({
  member: z.string().max(63),
  /** Whether the database answered the last look; what follows is older than that where it did not. */
  databaseAnswers: z.boolean(),
  /** Null: the database has not answered since the publisher started, and its journal knows nothing. */
  identity: PublishedIdentity.nullable(),
  /** Whether an interface of this host has the VIP; null: the publisher was not told the VIP. */
  vipHeld: z.boolean().nullable(),
  readOnly: z.boolean().nullable(),
  file,
  position,
  gtidBinlogPos: gtid,
  gtidBinlogState: gtid,
  gtidSlavePos: gtid,
  logSlaveUpdates: z.boolean().nullable(),
  slave: PublishedSlave.nullable(),
  takeover: PublishedTakeover.nullable(),
  peer: PublishedPeer.nullable(),
  imported: z.object({ masterEnd: ImportedPosition.nullable(), slaveEnd: ImportedPosition.nullable() }),
  /** When the database was looked at, by the clock of this host. */
  observedAt: time.nullable(),
  /** How long ago that was when this was sent, by a clock that nobody sets. */
  monotonicAgeMs: z.int().min(0).nullable(),
});
export type Coordinates = z.infer<typeof Coordinates>;

export const JournalEntry = Coordinates.omit({ monotonicAgeMs: true }).extend({
  /** Counts up by one; over restarts too. */
  seq: z.int().min(1),
  /** When it was written, by the clock of this host. */
  at: time,
});
export type JournalEntry = z.infer<typeof JournalEntry>;

export const Journal = z.object({
  entries: z.array(JournalEntry).max(1_000),
  /** `?from=` of the next page; null: this is the newest. */
  next: z.int().min(1).nullable(),
  /** What is missing or not trusted, in words; empty: the history is whole. */
  damage: z.array(text).max(16),
});
export type Journal = z.infer<typeof Journal>;

/** Of a binlog file: what may be asked for by it, and nothing else. */
const BINLOG_FILE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,200}\.\d{6,10}$/u;

export const PublishedBinlogFile = z.object({
  name: z.string().regex(BINLOG_FILE_NAME),
  /** Bytes; the newest one of a running server grows. */
  size: z.int().min(4),
  /** It was written with `encrypt_binlog`: nobody but that server can read it. */
  encrypted: z.boolean(),
});
export type PublishedBinlogFile = z.infer<typeof PublishedBinlogFile>;

/** The binlog files on the disk of the host, oldest first; the newest ones where there are more. */
export const PublishedBinlog = z.object({ files: z.array(PublishedBinlogFile).max(5_000) });
export type PublishedBinlog = z.infer<typeof PublishedBinlog>;
