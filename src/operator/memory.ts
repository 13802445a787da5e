import type { LastStandby, MemberStatus } from '../api/status-member.ts';
import type { Identity } from '../api/status-parts.ts';
import type { Baseline, Captured, ReplicaStatus, Status } from '../api/status.ts';
import type { Run } from '../domain/evidence.ts';
import { parseGtid, parsePosition, parseState } from '../domain/gtid.ts';
import type { GtidPosition, GtidState } from '../domain/gtid.ts';
import type * as domain from '../domain/memory.ts';
import type * as look from '../domain/observation.ts';

/**
 * What a status says to the next process (handover.md, Memory). It may have been written by another version, edited or
 * restored: a part that cannot be read is forgotten, which can only make mxr wait or refuse; it is never guessed.
 */
export function memoryFromStatus(status: Status): domain.Memory {
  return {
    members: new Map(status.source.members.flatMap((member) => entry(member.name, memberMemory(member)))),
    replicas: new Map(status.replicas.map((replica) => [replica.pod, replicaMemory(replica)])),
  };
}

function entry<T>(name: string, value: T | undefined): [string, T][] {
  return value === undefined ? [] : [[name, value]];
}

function timeOf(text: string | undefined): number | undefined {
  const ms = text === undefined ? Number.NaN : Date.parse(text);
  return Number.isNaN(ms) ? undefined : ms;
}

function positionOf(text: string | undefined): GtidPosition | undefined {
  return text === undefined ? undefined : parsePosition(text);
}

function stateOf(text: string | undefined): GtidState | undefined {
  return text === undefined ? undefined : parseState(text);
}

function coordinatesOf(file: string | undefined, position: number | undefined): look.Coordinates | undefined {
  return file === undefined || file === '' || position === undefined ? undefined : { file, position };
}

function memberMemory(status: MemberStatus): domain.MemberMemory | undefined {
  const { name, lineage, logBinBasename } = status;
  const identity = status.identity === undefined ? undefined : identityOf(status.identity);
  if (lineage === undefined || lineage === '' || identity === undefined || logBinBasename === undefined)
    return undefined;
  const restart = restartOf(status.restart);
  const lastStandby = standbyAnchorOf(status.lastStandby);
  const newest = newestAnchorOf(status, lastStandby);
  return {
    name,
    lineage,
    identity,
    // A restart that cannot be read may have lost something: it is proven again.
    inQuestion: status.inQuestion === true || (status.restart !== undefined && restart === undefined),
    broken: brokenOf(status.broken),
    restart: restart ?? null,
    logBinBasename,
    files: status.files.map(({ name: file, size, createdAt }) => ({
      name: file,
      size,
      createdAt: timeOf(createdAt) ?? null,
    })),
    anchors: newest === undefined ? [] : [newest],
    lastStandby: lastStandby ?? null,
    unwatched: unwatchedOf(status.unwatched) ?? null,
    watched: false,
    unread: null,
    tookIn: tookInOf(status.tookIn) ?? null,
    mixed: mixedOf(status.mixed),
    errant: status.errant.flatMap(errantOf),
    storage: storageOf(status.sharedStorage),
    besideAt: timeOf(status.besideAt) ?? null,
  };
}

function brokenOf(status: MemberStatus['broken']): domain.Broken | null {
  if (status === undefined) return null;
  const { reason, message } = status;
  const survived = stateOf(status.survived);
  return { reason, message, ...(survived === undefined ? {} : { survived }) };
}

function storageOf(status: MemberStatus['sharedStorage']): domain.SharedStorage | null {
  return status === undefined ? null : { tenure: status.tenure, from: status.from ?? null };
}

function restartOf(status: MemberStatus['restart']): domain.ProvenRestart | undefined {
  const survived = stateOf(status?.survived);
  const later = (status?.later ?? []).map(stateOf);
  const readable = later.filter((one) => one !== undefined);
  if (status === undefined || survived === undefined || readable.length < later.length) return undefined;
  return { file: status.file, survived, later: readable };
}

function unwatchedOf(status: MemberStatus['unwatched']): domain.Unwatched | undefined {
  const [own, at] = [stateOf(status?.gtids), timeOf(status?.at)];
  return own === undefined || at === undefined ? undefined : { own, at };
}

function tookInOf(status: MemberStatus['tookIn']): domain.TookIn | undefined {
  const at = timeOf(status?.at);
  const between = (status?.between ?? []).flatMap((one) => parseGtid(one) ?? []);
  return at === undefined ? undefined : { between, at };
}

function mixedOf(status: MemberStatus['mixed']): domain.Mixed | null {
  const before = stateOf(status?.before);
  return status === undefined || before === undefined ? null : { ...status, before };
}

function errantOf(status: MemberStatus['errant'][number]): Run[] {
  const [first, last] = [parseGtid(status.first), parseGtid(status.last)];
  if (first === undefined || last === undefined || first.seq < 1n || first.seq > last.seq) return [];
  if (first.domain !== last.domain || first.serverId !== last.serverId) return [];
  const { domain, serverId } = first;
  return [{ domain, serverId, first: first.seq, last: last.seq }];
}

function identityOf(status: Identity): look.Identity | undefined {
  const { hostname, serverId, serverUid, port, datadir } = status;
  const startedAt = timeOf(status.startedAt);
  if (startedAt === undefined || port === undefined || datadir === undefined) return undefined;
  return { hostname, serverId, serverUid, port, datadir, startedAt };
}

/** The newest look, which is the last look as a standby where both were one. */
function newestAnchorOf(status: MemberStatus, lastStandby: domain.Anchor | undefined): domain.Anchor | undefined {
  const at = timeOf(status.observedAt);
  const end = coordinatesOf(status.file, status.position);
  const binlogState = stateOf(status.binlogState);
  const binlogPos = positionOf(status.gtidBinlogPos);
  const slavePos = positionOf(status.gtidSlavePos);
  if (at === undefined || end === undefined) return undefined;
  if (binlogState === undefined || binlogPos === undefined || slavePos === undefined) return undefined;
  const standby = lastStandby?.at === at ? lastStandby.standby : null;
  return { at, since: at, end, binlogState, binlogPos, slavePos, standby };
}

function standbyAnchorOf(status: LastStandby | undefined): domain.Anchor | undefined {
  if (status === undefined) return undefined;
  const at = timeOf(status.at);
  const end = coordinatesOf(status.file, status.position);
  const binlogState = stateOf(status.gtidBinlogState);
  const binlogPos = positionOf(status.gtidBinlogPos);
  const slavePos = positionOf(status.gtidSlavePos);
  if (at === undefined || end === undefined) return undefined;
  if (binlogState === undefined || binlogPos === undefined || slavePos === undefined) return undefined;
  const { sourceHost, sourceServerId, applied, usingGtid, drained } = status;
  return {
    at,
    since: at,
    end,
    binlogState,
    binlogPos,
    slavePos,
    standby: { sourceHost, sourceServerId, applied, usingGtid, drained },
  };
}

function replicaMemory(status: ReplicaStatus): domain.ReplicaMemory {
  return {
    pod: status.pod,
    baseline: baselineOf(status.baseline) ?? null,
    startedAt: timeOf(status.startedAt) ?? null,
    captured: capturedOf(status.captured) ?? null,
    unsafeSince: timeOf(status.unsafeSince) ?? null,
    haltedSince: timeOf(status.haltedSince) ?? null,
    adoptionRefused: null,
    through: status.through ?? null,
    standing: null,
    link: null,
    foreignChanges: status.foreignChanges.flatMap((at) => timeOf(at) ?? []),
    clearedFor: status.clearedFor ?? null,
    lacks: status.lacks.flatMap((one) => parseGtid(one) ?? []),
    refusal: null,
    fed: null,
    connectedTo: null,
    ownBinlog: ownBinlogOf(status.ownBinlog),
    knownSince: timeOf(status.knownSince) ?? null,
    followed: followedOf(status.followed),
    forgotten: null,
  };
}

function followedOf(status: ReplicaStatus['followed']): domain.Followed | null {
  const contains = stateOf(status?.contains);
  return status === undefined || contains === undefined ? null : { lineage: status.lineage, contains };
}

function ownBinlogOf(status: ReplicaStatus['ownBinlog']): domain.OwnBinlog | null {
  const state = stateOf(status?.gtids);
  return status === undefined || state === undefined ? null : { basename: status.basename, state };
}

function baselineOf(status: Baseline | undefined): domain.Baseline | undefined {
  if (status === undefined) return undefined;
  const { by, member, lineage } = status;
  const at = timeOf(status.at);
  const gtid = parsePosition(status.gtid);
  const contains = parseState(status.contains);
  if (at === undefined || gtid === undefined || contains === undefined) return undefined;
  return { by, member, lineage, coordinates: coordinatesOf(status.file, status.position) ?? null, gtid, contains, at };
}

function capturedOf(status: Captured | undefined): domain.Captured | undefined {
  if (status === undefined) return undefined;
  const at = timeOf(status.at);
  const gtid = parsePosition(status.gtid);
  const gtidIoPos = parsePosition(status.gtidIoPos);
  if (at === undefined || gtid === undefined || gtidIoPos === undefined) return undefined;
  const exec = { file: status.file, position: status.position };
  const read = { file: status.readFile, position: status.readPosition };
  return { at, exec, read, gtid, gtidIoPos };
}
