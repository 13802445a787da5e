import type { PublishedIdentity } from '../api/publisher.ts';
import { beyond, isWithin, samePosition } from '../domain/gtid.ts';
import { anchorOf, stillDrained } from '../domain/lineage.ts';
import type { Anchor, StandbyFacts } from '../domain/memory.ts';
import { binlogStateOf, sameServer, standbyLinkOf } from '../domain/memory.ts';
import type { Link, ServerLook } from '../domain/observation.ts';
import { compareCoordinates, sameCoordinates } from '../domain/observation.ts';

/**
 * The takeover record: where the own binlog of this server ended, and what it had applied of the other member, before it
 * wrote the first transaction of its own since it was a standby. It is right as long as everything that the server has
 * is what it had then, plus what its own binlog says from there on. Whatever puts that in doubt ends the record: the
 * operator can do without one, but not with a wrong one.
 */
export interface Takeover {
  readonly record: Anchor | null;
  /** Why there is none; null: there is one. */
  readonly missing: Missing | null;
  /** Of the server that this is about; null: none was seen yet. */
  readonly identity: PublishedIdentity | null;
  /** It has written something of its own since the record, or there is nothing to tell that by. */
  readonly ownBegun: boolean;
  /** Its link when it was seen last; null: it had none. */
  readonly link: StandbyFacts | null;
  /** Why the file and position of that link are not what it has applied; null: they are. */
  readonly doubt: LinkDoubt | null;
  /** Whether this process has looked already; else there is a gap behind what the journal says. */
  readonly watched: boolean;
}

export type Missing = keyof typeof MISSING_TEXT;
type LinkDoubt = Extract<Missing, 'SourceChanged' | 'WentBack' | 'DoubtedBefore'>;

const ANEW =
  'load this server anew if in doubt, then set up the link with RESET SLAVE ALL and CHANGE MASTER, better by GTID';

export const MISSING_TEXT = {
  NeverStandby: 'it was not seen as a standby yet',
  NoBinlog: 'its binlog is off',
  OwnNotTold: 'its binlog also holds what it applied, and its own transactions cannot be told from that',
  SeveralLinks: 'it replicates over several channels, and not by GTID',
  OtherServer: 'another server, or another data directory, answers than before',
  OtherHistory: 'its binlog is not the one that was seen before, or has lost its end',
  AppliedSince: 'it applied something that was not seen before it became a holder, or after its first own transaction',
  SourceChanged: `its link by file and position went to another server; ${ANEW}`,
  WentBack: `the position that its link had applied went back; ${ANEW}`,
  DoubtedBefore: `its link by file and position was in doubt when the journal ended; ${ANEW}`,
} as const;

/** One look, and what the interfaces of the host said around it. */
export interface Sighting {
  readonly look: ServerLook;
  readonly identity: PublishedIdentity;
  /** True: held before or after the look; null: not known. */
  readonly vipHeld: boolean | null;
  /** Wall clock ms at which the look began. */
  readonly at: number;
}

export const NO_TAKEOVER: Takeover = {
  record: null,
  missing: 'NeverStandby',
  identity: null,
  ownBegun: true,
  link: null,
  doubt: null,
  watched: false,
};

export function nextTakeover(last: Takeover, now: Sighting): Takeover {
  const same = last.identity === null || samePlace(last.identity, now.identity);
  const before: Takeover = same ? last : { ...NO_TAKEOVER, missing: 'OtherServer' };
  const doubt = doubtOf(before, now.look);
  const found = judge({ ...before, doubt }, now);
  const record = typeof found === 'string' ? null : found;
  return {
    record,
    missing: typeof found === 'string' ? found : null,
    identity: now.identity,
    ownBegun: record === null || hasWritten(record, now.look),
    link: linkSeen(before.link, now),
    doubt,
    watched: true,
  };
}

function judge(before: Takeover, now: Sighting): Anchor | Missing {
  const { look, vipHeld, at } = now;
  const seen = anchorOf(look, at);
  if (seen === null) return 'NoBinlog';
  const fresh = stillDrained(before.record, seen);
  const link = usableLinkOf(look);
  if (!tellsOwn(before.record, look)) return 'OwnNotTold';
  if (link?.usingGtid === 'No' && look.links.length > 1) return 'SeveralLinks';
  // Where nobody said which address is the VIP, only a server that cannot be written to is certainly no holder.
  const isStandby = link !== undefined && (vipHeld ?? !look.readOnly) === false;
  if (!isStandby) return asHolder(before, fresh, look, link);
  return before.doubt ?? withSourceId(before.record, fresh);
}

/** It holds the VIP, or follows nobody: only what it writes itself may be added to what it had as a standby. */
function asHolder(before: Takeover, fresh: Anchor, look: ServerLook, link: Link | undefined): Anchor | Missing {
  const { record, missing, doubt, watched } = before;
  if (record === null || record.standby === null) return missing ?? 'NeverStandby';
  if (!goesOn(record, look)) return 'OtherHistory';
  const same = link !== undefined && isOfSource(record.standby, link) ? link : undefined;
  const still = hasAppliedNothing(record, record.standby, look, same);
  if (hasWritten(record, look)) return still ? record : 'AppliedSince';
  if (same !== undefined) return doubt ?? withSourceId(record, fresh);
  if (still) return { ...fresh, standby: record.standby };
  // By GTID, its own table says to the last transaction what it has applied, also when the coordinates are gone.
  const knows = record.standby.usingGtid && watched && look.links.length === 0;
  return knows ? { ...fresh, standby: withoutCoordinates(record.standby) } : 'AppliedSince';
}

function withoutCoordinates(standby: StandbyFacts): StandbyFacts {
  return { ...standby, applied: { file: '', position: 0 }, drained: false };
}

/** A link by file and position that shows no coordinates was reset, or has never run: it says nothing. */
function usableLinkOf(look: ServerLook): Link | undefined {
  const link = standbyLinkOf(look);
  return link === undefined || (link.usingGtid === 'No' && link.exec.file === '') ? undefined : link;
}

/** Without log_slave_updates the binlog holds nothing but own transactions, whatever server id they carry. */
function tellsOwn(record: Anchor | null, { logSlaveUpdates, gtidBinlogState, links, identity }: ServerLook): boolean {
  if (!logSlaveUpdates) return true;
  const sources = [record?.standby?.sourceServerId, ...links.map((link) => link.sourceServerId)];
  return gtidBinlogState !== null && !sources.includes(identity.serverId);
}

function hasWritten(record: Anchor, look: ServerLook): boolean {
  const more = beyond(binlogStateOf(look), record.binlogState);
  return look.logSlaveUpdates ? more.some(({ serverId }) => serverId === look.identity.serverId) : more.length > 0;
}

/** Its binlog still has everything that it had, and in the same place. */
function goesOn(record: Anchor, look: ServerLook): boolean {
  if (look.end === null || !isWithin(record.binlogState, binlogStateOf(look))) return false;
  return compareCoordinates(look.end, record.end) >= 0;
}

/**
 * The GTID of a link by file and position is no proof by itself: a reconnect sets it to what was received, so it is the
 * same again when that has been applied. It is one where everything received had been applied when it was read.
 */
function hasAppliedNothing(record: Anchor, standby: StandbyFacts, look: ServerLook, link: Link | undefined): boolean {
  if (!samePosition(record.slavePos, look.gtidSlavePos)) return false;
  if (standby.usingGtid) return true;
  if (link === undefined) return standby.drained;
  // It also moves over what is not applied: rotations, and what came from this server itself.
  return sameCoordinates(link.exec, standby.applied) || (standby.drained && !isBehind(link, standby));
}

function doubtOf({ link: before, doubt }: Takeover, look: ServerLook): LinkDoubt | null {
  const link = standbyLinkOf(look);
  if (before === null || link === undefined || link.usingGtid !== 'No' || link.host !== before.sourceHost) return null;
  if (doubt !== null || link.exec.file === '' || before.usingGtid) return doubt;
  if (!isOfSource(before, link)) return 'SourceChanged';
  return isBehind(link, before) ? 'WentBack' : null;
}

/** Server id 0: it has not been connected since the server started. */
function isOfSource(standby: StandbyFacts, { host, sourceServerId }: Link): boolean {
  if (host !== standby.sourceHost) return false;
  return [0, standby.sourceServerId].includes(sourceServerId) || standby.sourceServerId === 0;
}

function isBehind(link: Link, standby: StandbyFacts): boolean {
  return compareCoordinates(link.exec, standby.applied) < 0;
}

/** After a restart the link does not know its source by id until it is connected again. */
function withSourceId(record: Anchor | null, fresh: Anchor): Anchor {
  const [before, now] = [record?.standby, fresh.standby];
  if (before == null || now === null || now.sourceServerId !== 0 || before.sourceHost !== now.sourceHost) return fresh;
  return { ...fresh, standby: { ...now, sourceServerId: before.sourceServerId } };
}

function linkSeen(before: StandbyFacts | null, { look, at }: Sighting): StandbyFacts | null {
  const seen = anchorOf(look, at)?.standby ?? null;
  if (seen === null || before === null || before.sourceHost !== seen.sourceHost) return seen;
  const sourceServerId = seen.sourceServerId === 0 ? before.sourceServerId : seen.sourceServerId;
  return { ...seen, sourceServerId, applied: seen.applied.file === '' ? before.applied : seen.applied };
}

/** A name that one of the two does not know contradicts nothing. */
function samePlace(a: PublishedIdentity, b: PublishedIdentity): boolean {
  const sameName = (one: string, other: string): boolean => one === other || one === '' || other === '';
  return sameServer(a, b) && sameName(a.machineId, b.machineId) && sameName(a.datadirId, b.datadirId);
}
