import type {
  Coordinates,
  ImportedPosition as ImportedText,
  PublishedIdentity as IdentityText,
  PublishedPeer as PeerText,
  PublishedTakeover as TakeoverText,
} from '../api/publisher.ts';
import { parsePosition, parseState } from '../domain/gtid.ts';
import type {
  ImportedPosition,
  PublishedIdentity,
  PublishedPeer,
  PublishedTakeover,
  PublisherLook,
} from '../domain/published.ts';
import { MxrError } from '../errors.ts';

/** What a publisher said, in the terms of the domain; `ProtocolError` when a part of it is no GTID. */
export function publishedLook(seen: Coordinates, target: string): Omit<PublisherLook, 'vipHeldSince'> {
  const { member, databaseAnswers, vipHeld, readOnly, logSlaveUpdates } = seen;
  const read = readerFor(target);
  return {
    member,
    databaseAnswers,
    vipHeld,
    readOnly,
    logSlaveUpdates,
    identity: seen.identity === null ? null : identityOf(seen.identity),
    end: seen.file === '' ? null : { file: seen.file, position: seen.position },
    binlogPos: read.position('gtidBinlogPos', seen.gtidBinlogPos),
    binlogState: read.state('gtidBinlogState', seen.gtidBinlogState),
    slavePos: read.position('gtidSlavePos', seen.gtidSlavePos),
    takeover: seen.takeover === null ? null : takeoverOf(seen.takeover, read),
    peer: seen.peer === null ? null : peerOf(seen.peer, read),
    imported: { masterEnd: importedOf(seen.imported.masterEnd), slaveEnd: importedOf(seen.imported.slaveEnd) },
    observedAt: seen.observedAt === null ? null : Date.parse(seen.observedAt),
    ageMs: seen.monotonicAgeMs,
  };
}

/** What a decision may hang on, as text: it changes with the VIP, the role and the server, and not with positions. */
export function markOfPublished({ databaseAnswers, identity, vipHeld, readOnly }: Coordinates): string {
  return JSON.stringify([databaseAnswers, identity, vipHeld, readOnly]);
}

function identityOf({ startedAt, machineId, datadirId, ...rest }: IdentityText): PublishedIdentity {
  const named = (id: string): string | null => (id === '' ? null : id);
  return { ...rest, startedAt: Date.parse(startedAt), machineId: named(machineId), datadirId: named(datadirId) };
}

function takeoverOf(said: TakeoverText, read: ReturnType<typeof readerFor>): PublishedTakeover {
  const { peerFile, peerPosition, peerHost, peerServerId, usingGtid, drained } = said;
  const applied = { file: peerFile, position: peerPosition };
  return {
    at: Date.parse(said.at),
    end: { file: said.ownFile, position: said.ownPosition },
    binlogState: read.state('takeover.binlogState', said.binlogState),
    binlogPos: read.position('takeover.binlogPos', said.binlogPos),
    slavePos: read.position('takeover.gtid', said.gtid),
    standby: { sourceHost: peerHost, sourceServerId: peerServerId, applied, usingGtid, drained },
  };
}

function peerOf({ member, file, position, ...rest }: PeerText, read: ReturnType<typeof readerFor>): PublishedPeer {
  const binlogPos = read.position('peer.gtidBinlogPos', rest.gtidBinlogPos);
  return { member, end: { file, position }, binlogPos, at: Date.parse(rest.observedAt) };
}

function importedOf(said: ImportedText | null): ImportedPosition | null {
  return said === null ? null : { file: said.file, position: said.position, at: Date.parse(said.writtenAt) };
}

function readerFor(target: string) {
  return {
    position: (field: string, text: string) => parsed(target, `${field} is no GTID position`, parsePosition(text)),
    state: (field: string, text: string) => parsed(target, `${field} is no GTID state`, parseState(text)),
  };
}

function parsed<T>(target: string, detail: string, value: T | undefined): T {
  if (value !== undefined) return value;
  throw new MxrError({ operation: 'read the answer', target, code: 'ProtocolError', detail, retryable: true });
}
