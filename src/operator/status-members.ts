import type { LastStandby, MemberStatus } from '../api/status-member.ts';
import type { Identity } from '../api/status-parts.ts';
import type { Run } from '../domain/evidence.ts';
import { isRefusal, wasAsked } from '../domain/fact.ts';
import { formatGtid, formatPosition, formatState } from '../domain/gtid.ts';
import type { Anchor, Broken, MemberMemory, ProvenRestart } from '../domain/memory.ts';
import { standbyLinkOf } from '../domain/memory.ts';
import type * as look from '../domain/observation.ts';
import type { OwnInput } from '../domain/own-transactions.ts';
import { ownTransactions } from '../domain/own-transactions.ts';
import type { Histories } from '../observe/histories.ts';
import { bounded, iso, MAX_MESSAGE, transactionsOf } from './status-parts.ts';

interface MemberInput extends OwnInput {
  readonly before: MemberStatus | undefined;
  readonly histories: Pick<Histories, 'of'>;
}

/** What it says of itself now (or said last), and what mxr must remember of it. */
export function memberStatus(input: MemberInput): MemberStatus {
  const { observed, holder, memory, before } = input;
  const own = ownTransactions(input);
  return {
    ...said(observed, before),
    name: observed.name,
    reachable: observed.look.known,
    ...(holder === undefined ? {} : { holdsVip: holder.name === observed.name }),
    ...(memory === undefined ? { files: [], errant: [] } : remembered(memory)),
    ...(own === null
      ? {}
      : { ownTransactions: transactionsOf(own, input.histories.of({ member: observed.name }, own.unique)) }),
    ...publisherStatus(input),
    message: bounded(messageOf(observed, memory), MAX_MESSAGE),
  };
}

function publisherStatus({ observed: { publisher }, observation }: MemberInput): Pick<MemberStatus, 'publisher'> {
  if (publisher === undefined || !wasAsked(publisher)) return {};
  if (!publisher.known) return { publisher: { reachable: false, message: bounded(publisher.why, MAX_MESSAGE) } };
  const { vipHeld, ageMs } = publisher.value;
  const lookedAt = observation.wallNow - (observation.now - publisher.at) - (ageMs ?? 0);
  const observedAt = ageMs === null ? {} : { observedAt: iso(lookedAt) };
  return { publisher: { reachable: true, ...(vipHeld === null ? {} : { vipHeld }), ...observedAt } };
}

type Said = Pick<
  MemberStatus,
  'readOnly' | 'serverId' | 'version' | 'oldestFile' | 'logSlaveUpdates' | 'applying' | 'startedAt' | 'gtidSlavePos'
>;

/** A member that does not answer keeps what it said last, with the `observedAt` of that look. */
function said({ look: fact }: look.MemberObservation, before: MemberStatus | undefined): Said {
  if (fact.known) return saidNow(fact.value);
  if (before === undefined) return {};
  const { readOnly, serverId, version, oldestFile, logSlaveUpdates, applying, startedAt, gtidSlavePos } = before;
  return { readOnly, serverId, version, oldestFile, logSlaveUpdates, applying, startedAt, gtidSlavePos };
}

function saidNow(value: look.ServerLook): Said {
  const link = standbyLinkOf(value);
  const oldestFile = value.files[0]?.name;
  return {
    readOnly: value.readOnly,
    serverId: value.identity.serverId,
    version: value.version,
    ...(oldestFile === undefined ? {} : { oldestFile }),
    logSlaveUpdates: value.logSlaveUpdates,
    ...(link === undefined ? {} : { applying: link.sql === 'Yes' }),
    startedAt: iso(value.identity.startedAt),
    gtidSlavePos: formatPosition(value.gtidSlavePos),
  };
}

function remembered(memory: MemberMemory): Partial<MemberStatus> & Pick<MemberStatus, 'files' | 'errant'> {
  // What it logged while nobody looked is read again by the next process, unless this one has read it.
  const newest = memory.unread?.before ?? memory.anchors.at(-1);
  return {
    lineage: memory.lineage,
    ...(memory.inQuestion ? { inQuestion: true } : {}),
    ...(memory.broken === null ? {} : { broken: brokenStatus(memory.broken) }),
    ...(memory.restart === null ? {} : { restart: restartStatus(memory.restart) }),
    ...(memory.unwatched === null
      ? {}
      : { unwatched: { gtids: formatState(memory.unwatched.own), at: iso(memory.unwatched.at) } }),
    ...(memory.tookIn === null
      ? {}
      : { tookIn: { between: memory.tookIn.between.map(formatGtid), at: iso(memory.tookIn.at) } }),
    ...(memory.mixed === null ? {} : { mixed: { ...memory.mixed, before: formatState(memory.mixed.before) } }),
    errant: memory.errant.map(errantStatus),
    ...sharedStatus(memory),
    identity: identityStatus(memory.identity),
    logBinBasename: memory.logBinBasename,
    ...(newest === undefined ? {} : anchorStatus(newest)),
    files: memory.files.map(({ name, size, createdAt }) => ({
      name,
      size,
      ...(createdAt === null ? {} : { createdAt: iso(createdAt) }),
    })),
    ...(memory.lastStandby === null ? {} : lastStandbyStatus(memory.lastStandby)),
  };
}

function errantStatus({ first, last, ...by }: Run): MemberStatus['errant'][number] {
  return { first: formatGtid({ ...by, seq: first }), last: formatGtid({ ...by, seq: last }) };
}

function brokenStatus({ reason, message, survived }: Broken): NonNullable<MemberStatus['broken']> {
  const left = survived === undefined ? {} : { survived: formatState(survived) };
  return { reason, message: bounded(message, MAX_MESSAGE), ...left };
}

function sharedStatus({ storage, besideAt }: MemberMemory): Pick<MemberStatus, 'sharedStorage' | 'besideAt'> {
  const from = storage?.from ?? null;
  return {
    ...(storage === null ? {} : { sharedStorage: { tenure: storage.tenure, ...(from === null ? {} : { from }) } }),
    ...(besideAt === null ? {} : { besideAt: iso(besideAt) }),
  };
}

export function identityStatus(identity: look.Identity): Identity {
  const { hostname, serverId, serverUid, port, datadir, startedAt } = identity;
  return { hostname, serverId, serverUid, startedAt: iso(startedAt), port, datadir };
}

function anchorStatus(anchor: Anchor): Partial<MemberStatus> {
  return {
    file: anchor.end.file,
    position: anchor.end.position,
    gtidBinlogPos: formatPosition(anchor.binlogPos),
    gtidSlavePos: formatPosition(anchor.slavePos),
    binlogState: formatState(anchor.binlogState),
    observedAt: iso(anchor.at),
  };
}

function lastStandbyStatus(anchor: Anchor): { lastStandby?: LastStandby } {
  if (anchor.standby === null) return {};
  const { sourceHost, sourceServerId, applied, usingGtid, drained } = anchor.standby;
  const lastStandby: LastStandby = {
    at: iso(anchor.at),
    file: anchor.end.file,
    position: anchor.end.position,
    gtidBinlogPos: formatPosition(anchor.binlogPos),
    gtidBinlogState: formatState(anchor.binlogState),
    gtidSlavePos: formatPosition(anchor.slavePos),
    usingGtid,
    sourceHost,
    sourceServerId,
    applied: { file: applied.file, position: applied.position },
    drained,
  };
  return { lastStandby };
}

function messageOf({ look: fact }: look.MemberObservation, memory: MemberMemory | undefined): string {
  if (!fact.known) return `${isRefusal(fact) ? 'refuses mxr' : 'does not answer'}: ${fact.why}`;
  const from = memory?.storage?.from ?? null;
  if (from !== null)
    return `was started where ${from} was active; that it goes on with the same history is being proven`;
  if (memory?.inQuestion === true) return 'restarted; its binlog is not proven to go on where it was';
  return memory?.broken?.message ?? '';
}

function restartStatus({ file, survived, later }: ProvenRestart): NonNullable<MemberStatus['restart']> {
  return {
    file,
    survived: formatState(survived),
    ...(later.length === 0 ? {} : { later: later.map(formatState) }),
  };
}
