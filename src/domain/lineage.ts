import type { GtidState } from './gtid.ts';
import { gtidsOf, isWithin, ofServer, stateOf, stateOfPosition } from './gtid.ts';
import type { Anchor, MemberMemory, ProvenRestart, RememberedFile, StandbyFacts, Unread, Unwatched } from './memory.ts';
import { binlogStateOf, sameIncarnation, standbyLinkOf } from './memory.ts';
import type { Coordinates, Link, Observation, ServerLook } from './observation.ts';
import { hasAppliedAll, sameCoordinates } from './observation.ts';

const MAX_ANCHORS = 64;
/** In less the VIP does not go to the other member and come back. */
const LATE_MS = 3_000;

export function anchorOf(look: ServerLook, wallNow: number): Anchor | null {
  if (look.end === null) return null;
  const link = standbyLinkOf(look);
  return {
    at: wallNow,
    since: wallNow,
    end: look.end,
    binlogState: binlogStateOf(look),
    binlogPos: look.gtidBinlogPos,
    slavePos: look.gtidSlavePos,
    standby: link === undefined ? null : standbyFacts(look, link),
  };
}

function standbyFacts(look: ServerLook, link: Link): StandbyFacts {
  return {
    sourceHost: link.host,
    sourceServerId: link.sourceServerId,
    applied: link.exec,
    usingGtid: link.usingGtid !== 'No',
    drained: hasAppliedAll(look, link),
    read: link.read,
  };
}

/**
 * A transaction that the crash of its source cut in half is never applied. Seen drained with that half, it still is when its
 * threads stand and say nothing: neither what it received nor what it applied has changed.
 */
export function stillDrained(last: Anchor | null | undefined, anchor: Anchor): Anchor {
  const [before, now] = [last?.standby, anchor.standby];
  if (before == null || now === null || !before.drained || now.drained) return anchor;
  if (before.read === undefined || now.read === undefined || before.sourceHost !== now.sourceHost) return anchor;
  const same = sameCoordinates(before.read, now.read) && sameCoordinates(before.applied, now.applied);
  return same ? { ...anchor, standby: { ...now, drained: true } } : anchor;
}

/** Adds one look to what is remembered of a member. Pure; the lineage of a restarted server stays in question. */
export function rememberMember(
  before: MemberMemory | undefined,
  name: string,
  look: ServerLook,
  wallNow: number,
): MemberMemory {
  if (before === undefined) return newLineage(name, look, wallNow);
  if (before.inQuestion || !sameIncarnation(before.identity, look.identity)) return { ...before, inQuestion: true };
  return withLook({ ...before, identity: { ...look.identity, startedAt: before.identity.startedAt } }, look, wallNow);
}

/** A history that mxr has not seen before: everything about it starts here. */
export function newLineage(name: string, look: ServerLook, wallNow: number): MemberMemory {
  const fresh: MemberMemory = {
    name,
    lineage: `${name}@${new Date(wallNow).toISOString()}`,
    identity: look.identity,
    inQuestion: false,
    broken: null,
    restart: null,
    logBinBasename: look.logBinBasename,
    files: [],
    anchors: [],
    lastStandby: null,
    unwatched: null,
    watched: true,
    unread: null,
    tookIn: null,
    mixed: null,
    errant: [],
    storage: null,
    besideAt: null,
  };
  return withLook(fresh, look, wallNow);
}

/** After SameServer was proven for a restarted member: the same history goes on under the new incarnation. */
export function sameLineage(
  before: MemberMemory,
  look: ServerLook,
  wallNow: number,
  restart: ProvenRestart,
): MemberMemory {
  return withLook({ ...before, identity: look.identity, inQuestion: false, restart }, look, wallNow);
}

function withLook(memory: MemberMemory, look: ServerLook, wallNow: number): MemberMemory {
  // Later passes see the same look again: it must not seem newer than what was asked after it.
  if (memory.lastLook === look) return memory;
  const seen = anchorOf(look, wallNow);
  if (seen === null) return memory;
  const last = memory.anchors.at(-1);
  const anchor = stillDrained(last, seen);
  const anchors =
    last !== undefined && sameAnchor(last, anchor)
      ? [...memory.anchors.slice(0, -1), { ...anchor, since: last.since, covered: last.binlogState }]
      : thinned([
          ...memory.anchors.slice(0, -1),
          ...(last === undefined ? [] : [{ ...last, nextEnd: anchor.end }]),
          anchor,
        ]);
  const unwatched = memory.watched ? memory.unwatched : (wroteSince(last, look, wallNow) ?? memory.unwatched);
  const unread =
    memory.watched && !isLate(last, wallNow) ? memory.unread : unreadSince(memory.unread?.before ?? last, look);
  const files = mergeFiles(memory.files, look);
  const lastStandby = laterStandby(memory, anchor);
  return { ...memory, anchors, files, lastStandby, unwatched, unread, watched: true, lastLook: look };
}

/** Under load each look differs, so the older ones are kept ever further apart: together they reach back for hours. */
function thinned(anchors: readonly Anchor[]): readonly Anchor[] {
  const newest = anchors.at(-1);
  if (anchors.length <= MAX_ANCHORS || newest === undefined) return anchors;
  const needs = anchors.map((anchor, index) => {
    const [before, after] = [anchors[index - 1], anchors[index + 1]];
    if (before === undefined || after === undefined) return Number.POSITIVE_INFINITY;
    return (after.at - before.at) / (newest.at - anchor.at + 1);
  });
  const least = needs.indexOf(Math.min(...needs));
  return anchors.filter((_, index) => index !== least);
}

/** Looks at this history that are remembered, oldest first. */
export function looksAt({ lastStandby, anchors }: MemberMemory): readonly Anchor[] {
  const isOlder = lastStandby !== null && anchors.every(({ at }) => at > lastStandby.at);
  return isOlder ? [lastStandby, ...anchors] : anchors;
}

/**
 * What was in hand of a member before a look at another one began (monotonic ms). Which of two looks began first says nothing:
 * one that waits for an answer is read later than one that began after it.
 */
export function inHandBefore(
  at: number,
  { anchors }: MemberMemory,
  { now, wallNow }: Pick<Observation, 'now' | 'wallNow'>,
): Anchor | undefined {
  // One of later than now is of before somebody set the clock back.
  return anchors.findLast(({ since }) => since <= wallNow - (now - at) || since > wallNow);
}

/**
 * Where its binlog ended soon after it was seen to have all that a replica shows: all of that lies before. A walk up to
 * there has an answer that stays good while the server writes on. Null: it takes another look to say so, for what the
 * newest one saw may have been logged after it had read the end.
 */
export function endWithAllOf(memory: MemberMemory, has: GtidState, end: Coordinates): Coordinates | null {
  const looks = looksAt(memory);
  const first = looks.findIndex(({ binlogState }) => isWithin(has, binlogState));
  const found = looks[first];
  if (found === undefined) return end;
  const isCovered = found.covered !== undefined && isWithin(has, found.covered);
  return isCovered ? found.end : (found.nextEnd ?? looks[first + 1]?.end ?? null);
}

/** Also this very process may not have looked for long: it stood still, or did not reach the server. */
export function isLate(last: Anchor | undefined, wallNow: number): boolean {
  return last !== undefined && wallNow - last.at > LATE_MS;
}

function unreadSince(last: Anchor | undefined, { end, logSlaveUpdates }: ServerLook): Unread | null {
  if (last === undefined || end === null || logSlaveUpdates || sameCoordinates(last.end, end)) return null;
  return { before: last, through: end };
}

function wroteSince(last: Anchor | undefined, look: ServerLook, wallNow: number): Unwatched | null {
  const own = stateOf(ofServer(gtidsOf(binlogStateOf(look)), look.identity.serverId));
  return last === undefined || isWithin(own, last.binlogState) ? null : { own, at: wallNow };
}

/**
 * What a server logged by itself may be the beginning of its own history, so a look with more in its binlog than the
 * remembered one is no look as a standby until another member is known to have held the VIP after it.
 */
function laterStandby(memory: MemberMemory, anchor: Anchor): Anchor | null {
  const before = memory.lastStandby;
  if (before === null || anchor.standby === null) return before;
  return isWithin(anchor.binlogState, before.binlogState) ? anchor : before;
}

/** Another member was seen to hold the VIP at `heldElsewhereAt` (wall clock ms): looks before that were at a standby. */
export function seenAsStandby(memory: MemberMemory, heldElsewhereAt: number): MemberMemory {
  if (memory.inQuestion) return memory;
  const last = memory.anchors.findLast((anchor) => anchor.standby !== null && anchor.at < heldElsewhereAt);
  const isNewer = last !== undefined && last.at > (memory.lastStandby?.at ?? Number.NEGATIVE_INFINITY);
  return isNewer ? { ...memory, lastStandby: last } : memory;
}

/** Its end is read first: with the same end it may have more, and then it is not a look at what was there before. */
function sameAnchor(a: Anchor, b: Anchor): boolean {
  return (
    a.end.file === b.end.file &&
    a.end.position === b.end.position &&
    isWithin(b.binlogState, a.binlogState) &&
    isWithin(a.binlogState, b.binlogState) &&
    isWithin(stateOfPosition(b.slavePos), stateOfPosition(a.slavePos)) &&
    isWithin(stateOfPosition(a.slavePos), stateOfPosition(b.slavePos)) &&
    a.standby?.drained === b.standby?.drained &&
    a.standby?.applied.position === b.standby?.applied.position &&
    a.standby?.applied.file === b.standby?.applied.file
  );
}

/** Sizes only grow: the largest ever seen is what a lost tail is measured against. */
function mergeFiles(before: readonly RememberedFile[], look: ServerLook): readonly RememberedFile[] {
  const old = new Map(before.map((file) => [file.name, file]));
  const end = look.end;
  return look.files.slice(-8).map((file) => {
    const size = end !== null && end.file === file.name ? Math.max(file.size, end.position) : file.size;
    const seen = old.get(file.name);
    return { name: file.name, size: Math.max(size, seen?.size ?? 0), createdAt: seen?.createdAt ?? null };
  });
}
