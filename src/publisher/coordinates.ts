import { Coordinates } from '../api/publisher.ts';
import type { JournalEntry, PublishedIdentity, PublishedSlave, PublishedTakeover } from '../api/publisher.ts';
import { formatPosition, formatState, parsePosition, parseState } from '../domain/gtid.ts';
import type { Anchor, StandbyFacts } from '../domain/memory.ts';
import { binlogStateOf, standbyLinkOf } from '../domain/memory.ts';
import { isDrained } from '../domain/observation.ts';
import { MxrError } from '../errors.ts';
import type { SeenServer } from './database.ts';
import type { Takeover } from './takeover.ts';
import { NO_TAKEOVER } from './takeover.ts';

/** What is said of the database alone, as it was when it answered last. */
const Database = Coordinates.pick({
  identity: true,
  readOnly: true,
  file: true,
  position: true,
  gtidBinlogPos: true,
  gtidBinlogState: true,
  gtidSlavePos: true,
  logSlaveUpdates: true,
  slave: true,
  observedAt: true,
});
export type PublishedDatabase = Pick<Coordinates, keyof typeof Database.shape>;

export const NO_DATABASE: PublishedDatabase = {
  identity: null,
  readOnly: null,
  file: '',
  position: 0,
  gtidBinlogPos: '',
  gtidBinlogState: '',
  gtidSlavePos: '',
  logSlaveUpdates: null,
  slave: null,
  observedAt: null,
};

export const NOTHING_IMPORTED: Coordinates['imported'] = { masterEnd: null, slaveEnd: null };

export function identityOf({ look, datadirId }: SeenServer, machineId: string): PublishedIdentity {
  return { ...look.identity, startedAt: isoTime(look.identity.startedAt), machineId, datadirId };
}

/** Throws `InputInvalid` where the server says something that a reader would refuse. `wallMs`: when the look began. */
export function databaseOf(server: SeenServer, machineId: string, wallMs: number): PublishedDatabase {
  const { look } = server;
  const published: PublishedDatabase = {
    identity: identityOf(server, machineId),
    readOnly: look.readOnly,
    file: look.end?.file ?? '',
    position: look.end?.position ?? 0,
    gtidBinlogPos: formatPosition(look.gtidBinlogPos),
    gtidBinlogState: formatState(binlogStateOf(look)),
    gtidSlavePos: formatPosition(look.gtidSlavePos),
    logSlaveUpdates: look.logSlaveUpdates,
    slave: slaveOf(server),
    observedAt: isoTime(wallMs),
  };
  const parsed = Database.safeParse(published);
  if (parsed.success) return published;
  const [issue] = parsed.error.issues;
  throw new MxrError({
    operation: 'publish what was seen',
    target: 'the database',
    code: 'InputInvalid',
    detail: `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`,
    retryable: true,
  });
}

function slaveOf({ look }: SeenServer): PublishedSlave | null {
  const link = standbyLinkOf(look);
  if (link === undefined) return null;
  return {
    masterHost: link.host,
    masterServerId: link.sourceServerId,
    file: link.exec.file,
    position: link.exec.position,
    usingGtid: link.usingGtid !== 'No',
    ioRunning: link.io === 'Yes',
    sqlRunning: link.sql === 'Yes',
    applying: !isDrained(look, link),
  };
}

/** What the journal knows of the database; its age cannot be told by a clock that nobody sets. */
export function databaseIn(entry: JournalEntry | null): PublishedDatabase {
  return entry === null ? NO_DATABASE : Database.parse(entry);
}

export function publishedTakeover(record: Anchor | null): PublishedTakeover | null {
  if (record === null || record.standby === null) return null;
  const { standby } = record;
  return {
    at: isoTime(record.at),
    ownFile: record.end.file,
    ownPosition: record.end.position,
    peerFile: standby.applied.file,
    peerPosition: standby.applied.position,
    gtid: formatPosition(record.slavePos),
    binlogPos: formatPosition(record.binlogPos),
    binlogState: formatState(record.binlogState),
    peerHost: standby.sourceHost,
    peerServerId: standby.sourceServerId,
    usingGtid: standby.usingGtid,
    drained: standby.drained,
  };
}

/** How the takeover record stood when the journal ended. */
export function takeoverIn(entry: JournalEntry | null): Takeover {
  if (entry === null || entry.identity === null) return NO_TAKEOVER;
  const { identity, slave, takeover, vipHeld } = entry;
  const record = takeover === null ? null : recordOf(takeover);
  const link: StandbyFacts | null =
    slave === null
      ? null
      : {
          sourceHost: slave.masterHost,
          sourceServerId: slave.masterServerId,
          applied: { file: slave.file, position: slave.position },
          usingGtid: slave.usingGtid,
          drained: !slave.applying,
        };
  // Each look at a standby makes a record: one by file and position that had none was not to be relied upon.
  const doubted = record === null && link !== null && !link.usingGtid && link.applied.file !== '' && vipHeld === false;
  return {
    ...NO_TAKEOVER,
    record,
    missing: record === null ? 'NeverStandby' : null,
    identity,
    link,
    doubt: doubted ? 'DoubtedBefore' : null,
  };
}

function recordOf(takeover: PublishedTakeover): Anchor | null {
  const slavePos = parsePosition(takeover.gtid);
  const binlogPos = parsePosition(takeover.binlogPos);
  const binlogState = parseState(takeover.binlogState);
  if (slavePos === undefined || binlogPos === undefined || binlogState === undefined) return null;
  const at = Date.parse(takeover.at);
  return {
    at,
    since: at,
    end: { file: takeover.ownFile, position: takeover.ownPosition },
    binlogState,
    binlogPos,
    slavePos,
    standby: {
      sourceHost: takeover.peerHost,
      sourceServerId: takeover.peerServerId,
      applied: { file: takeover.peerFile, position: takeover.peerPosition },
      usingGtid: takeover.usingGtid,
      drained: takeover.drained,
    },
  };
}

function isoTime(wallMs: number): string {
  return new Date(wallMs).toISOString();
}
