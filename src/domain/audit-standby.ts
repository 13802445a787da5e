import type { Finding } from '../api/reasons.ts';
import type { AuditFinding, AuditInput } from './audit.ts';
import { isRefusal } from './fact.ts';
import type { Gtid, GtidState } from './gtid.ts';
import {
  beyond,
  formatGtid,
  gtidsOf,
  isWithin,
  mergeStates,
  ofServer,
  seqIn,
  stateOf,
  stateOfPosition,
} from './gtid.ts';
import { inHandBefore } from './lineage.ts';
import type { MemberMemory } from './memory.ts';
import { binlogStateOf, standbyLinkOf, stateOfServer } from './memory.ts';
import type { Link, MemberObservation, Observation, ServerLook } from './observation.ts';
import { areOneServer } from './shared.ts';

/** A standby further behind than this makes a takeover wait or lose. */
const LAGGING_SECONDS = 5;

/** What the members that do not hold the VIP would bring into a failover. */
export function auditStandby(input: AuditInput): readonly AuditFinding[] {
  const holder = holderOf(input);
  // On shared storage the passive host runs no server.
  if (input.policy.topology === 'SharedStorage') return [];
  if (holder === undefined) {
    const message = `nobody was seen to hold the VIP since this operator began (${input.diagnosis.message}), so nobody can tell which member would take over`;
    return [finding('HolderNotSeen', 'error', 'vip', message)];
  }
  if (input.observation.members.length < 2) {
    const message = `${holder.name} is the only member of source.members: when it is gone, nobody takes over. Add the standby`;
    return [finding('NoStandby', 'error', holder.name, message)];
  }
  return input.observation.members
    .filter((member) => !areOneServer(input.memory, member.name, holder.name))
    .flatMap((member) => auditOne(input, holder, member));
}

function holderOf({ diagnosis, observation, lastHolder }: AuditInput): MemberObservation | undefined {
  const name = diagnosis.holder?.member.name ?? lastHolder;
  return observation.members.find((member) => member.name === name);
}

function auditOne(input: AuditInput, holder: MemberObservation, standby: MemberObservation): AuditFinding[] {
  const { name, host, port } = standby;
  if (!standby.look.known) {
    const does = isRefusal(standby.look) ? 'refuses mxr' : 'does not answer';
    const message = `${name} (${host}:${port}) ${does}, so nobody can tell whether it could take over: ${standby.look.why}${storageHint(input, name)}`;
    return [finding('StandbyUnreachable', 'error', name, message)];
  }
  const look = standby.look.value;
  return [
    ...historyBroken(input, name),
    ...applying(input, holder, standby, look),
    ...peerLink(input, holder, standby),
    ...ownWrites(input, holder, standby),
    ...writable(input, holder, standby),
    ...logsUpdates(look, name),
  ];
}

/** Where it was never seen it may be a host that runs no database by design. */
function storageHint({ policy, memory }: AuditInput, name: string): string {
  if (policy.topology !== 'Auto' || memory.members.has(name)) return '';
  return '. If both hosts run one data directory in turn, set source.topology: SharedStorage';
}

function historyBroken({ memory }: AuditInput, name: string): AuditFinding[] {
  const broken = memory.members.get(name)?.broken;
  if (broken?.reason !== 'LostTail') return [];
  const message = `${broken.message}: if it took over, no replica that was proven before could be continued there. Build ${name} anew from the holder, and set sync_binlog=1 on the members`;
  return [finding('StandbyHistoryBroken', 'error', name, message)];
}

function finding(name: Finding, severity: AuditFinding['severity'], subject: string, message: string): AuditFinding {
  return { finding: name, severity, subject, message };
}

/** A standby that does not apply says so once; how far it is behind then only grows. */
function applying(
  input: AuditInput,
  holder: MemberObservation,
  standby: MemberObservation,
  look: ServerLook,
): AuditFinding[] {
  const why = notApplying(input, holder, standby, look);
  if (why !== null) return [finding('StandbyNotApplying', 'error', standby.name, why)];
  const link = standbyLinkOf(look);
  const memory = input.memory.members.get(holder.name);
  if (link === undefined || memory === undefined) return [];
  const lag = lagOf(memory, link, stateOfServer(look), input);
  if (lag === null || lag <= LAGGING_SECONDS) return [];
  const delay = link.delay > 0 ? ` (it has MASTER_DELAY=${link.delay})` : '';
  const message = `${standby.name} is ${Math.round(lag)} s behind ${holder.name}${delay}: a takeover now waits for it, or loses what it lacks when ${holder.name} is dead. Find out what slows it down`;
  return [finding('StandbyLagging', 'error', standby.name, message)];
}

function notApplying(
  { observation }: AuditInput,
  holder: MemberObservation,
  standby: MemberObservation,
  look: ServerLook,
): string | null {
  const { name } = standby;
  const link = standbyLinkOf(look);
  if (link === undefined) {
    return `${name} replicates from nobody: everything that ${holder.name} writes is missing there. Set it up as a replica of ${holder.name}`;
  }
  if (link.sql !== 'Yes') {
    return `${name} does not apply what it receives: ${error(link.sqlErrno, link.sqlError)}. Mend its SQL thread and START SLAVE there`;
  }
  if (link.io !== 'Yes') {
    return `${name} does not receive from ${link.host}:${link.port} (Slave_IO_Running: ${link.io}): ${error(link.ioErrno, link.ioError)}. Mend the link and START SLAVE there`;
  }
  const known = observation.members.flatMap((member) =>
    member.look.known ? [member.look.value.identity.serverId] : [],
  );
  if (known.length < observation.members.length || known.includes(link.sourceServerId)) return null;
  return `${name} replicates from ${link.host}:${link.port} with server_id ${link.sourceServerId}, which is none of the members. Point it at ${holder.name}`;
}

/** Of two primaries that follow each other; a promoted standby keeps a link whose threads were stopped on purpose. */
function peerLink({ policy }: AuditInput, holder: MemberObservation, standby: MemberObservation): AuditFinding[] {
  const link = linkTo(holder, standby);
  if (link === undefined || feeds(link)) return [];
  const declared = policy.topology === 'DualPrimary';
  if (!declared && link.io === 'No' && link.sql === 'No') return [];
  const [errno, text] =
    link.io === 'Yes' || link.ioErrno === 0 ? [link.sqlErrno, link.sqlError] : [link.ioErrno, link.ioError];
  const message = `the link of ${holder.name} to ${standby.name} is broken (Slave_IO_Running: ${link.io}, Slave_SQL_Running: ${link.sql}): ${error(errno, text)}. What ${standby.name} writes is missing on ${holder.name} and on the replicas. Mend the link and START SLAVE on ${holder.name}`;
  return [finding('PeerLinkBroken', declared ? 'error' : 'warning', holder.name, message)];
}

function linkTo(from: MemberObservation, to: MemberObservation): Link | undefined {
  if (!from.look.known || !to.look.known) return undefined;
  const { serverId } = to.look.value.identity;
  if (serverId === from.look.value.identity.serverId) return undefined;
  return from.look.value.links.find((link) => link.sourceServerId === serverId);
}

function feeds({ io, sql }: Link): boolean {
  return io === 'Yes' && sql === 'Yes';
}

/** Of two primaries each may be written to; else what a client writes there by mistake splits the pair. */
function writable({ policy }: AuditInput, holder: MemberObservation, standby: MemberObservation): AuditFinding[] {
  if (policy.topology === 'DualPrimary' || !standby.look.known || standby.look.value.readOnly) return [];
  const link = linkTo(holder, standby);
  if (link !== undefined && feeds(link)) return [];
  const { name } = standby;
  const message = `${name} does not hold the VIP and takes writes (read_only=0): what somebody writes there by mistake is missing on ${holder.name}, and stops every replica as a split brain. Set read_only=1 there and let its promotion open it; where both are meant to be written to, set source.topology: DualPrimary`;
  return [finding('StandbyWritable', 'warning', name, message)];
}

function error(errno: number, text: string): string {
  return errno === 0 ? 'it was stopped' : `${errno} ${text}`;
}

/** Seconds since the standby last had everything that the holder was seen to have; null when that cannot be told. */
function lagOf(holder: MemberMemory, link: Link, reached: GtidState, { observation }: AuditInput): number | null {
  const index = holder.anchors.findLastIndex((anchor) => isWithin(stateOfPosition(anchor.binlogPos), reached));
  if (index === holder.anchors.length - 1) return 0;
  const anchor = holder.anchors[index];
  return anchor === undefined ? link.secondsBehind : Math.max(0, observation.wallNow - anchor.at) / 1000;
}

function ownWrites(
  { observation, memory }: AuditInput,
  holder: MemberObservation,
  standby: MemberObservation,
): AuditFinding[] {
  const remembered = memory.members.get(standby.name);
  const own = ownTransactionsOf(holder, standby, { observation, memory: remembered });
  if (own.length === 0) return hiddenWrites(holder, standby, remembered);
  const list = own.map(formatGtid).join(', ');
  const message = `${standby.name} has transactions of its own that ${holder.name} lacks, up to ${list}: after a takeover no replica could be proven to continue there. Find out what wrote them; apply them on ${holder.name} or rebuild ${standby.name}`;
  return [finding('StandbyOwnWrites', 'error', standby.name, message)];
}

/** What the holder lacks and later ones that it has hide. */
function hiddenWrites(
  holder: MemberObservation,
  standby: MemberObservation,
  memory: MemberMemory | undefined,
): AuditFinding[] {
  const runs = (memory?.errant ?? []).filter(({ lackedBy }) => lackedBy === holder.name);
  if (runs.length === 0) return [];
  const list = runs.map(({ first, last, ...by }) =>
    rangeOf(formatGtid({ ...by, seq: first }), formatGtid({ ...by, seq: last })),
  );
  const message = `${standby.name} wrote ${list.join(', ')} by itself, which ${holder.name} lacks, although it has later ones of ${standby.name}: after a takeover no replica that got those from ${holder.name} could be proven to continue there. Find out what wrote them; compare the members and rebuild ${standby.name}`;
  return [finding('StandbyOwnWrites', 'error', standby.name, message)];
}

function rangeOf(first: string, last: string): string {
  return first === last ? first : `${first} to ${last}`;
}

/**
 * What a standby logged under its own server id and the holder never had. Only as far as it can be told: the holder was
 * asked after the standby was seen so, it does not take the standby's writes in (dual primaries), and its position does
 * not cover the number.
 */
export function ownTransactionsOf(
  holder: MemberObservation,
  standby: MemberObservation,
  seen: { readonly observation: Pick<Observation, 'now' | 'wallNow'>; readonly memory: MemberMemory | undefined },
): Gtid[] {
  if (!holder.look.known || !standby.look.known) return [];
  const before = seen.memory && inHandBefore(holder.look.at, seen.memory, seen.observation)?.binlogState;
  const [there, { serverId }] = [holder.look.value, standby.look.value.identity];
  if (before === undefined || serverId === there.identity.serverId) return [];
  if (there.links.some((link) => feeds(link) && link.sourceServerId === serverId)) return [];
  const logged = binlogStateOf(there);
  const own = stateOf(ofServer(gtidsOf(before), serverId));
  return beyond(own, mergeStates(logged, stateOfPosition(there.gtidSlavePos))).filter((gtid) => {
    const applied = there.gtidSlavePos.get(gtid.domain);
    return seqIn(logged, gtid) !== undefined || applied === undefined || applied.seq < gtid.seq;
  });
}

function logsUpdates(look: ServerLook, name: string): AuditFinding[] {
  if (look.logBin && look.logSlaveUpdates) return [];
  const message = look.logBin
    ? `${name} does not log what it applies: a takeover needs its exact takeover point, and mxr must have seen it as a standby. Set log_slave_updates=1 in its configuration`
    : `${name} has no binlog, so no replica could follow it. Set log_bin and log_slave_updates=1 in its configuration`;
  return [finding('StandbyLogSlaveUpdatesOff', look.logBin ? 'warning' : 'error', name, message)];
}
