import type { Evidence, FileHeaderQuestion } from './evidence.ts';
import { answerTo } from './evidence.ts';
import type { Gtid, GtidPosition, GtidState } from './gtid.ts';
import {
  beyond,
  formatGtid,
  formatPosition,
  isWithin,
  mergeStates,
  sameGtid,
  samePosition,
  stateOfPosition,
} from './gtid.ts';
import { placeByGtid } from './crash.ts';
import { binlogStateOf } from './memory.ts';
import { hiddenWrites, unloggedByTarget } from './hidden.ts';
import type { MemberMemory, ProvenRestart } from './memory.ts';
import type { Coordinates, Link, MemberObservation, ServerLook } from './observation.ts';
import { sameCoordinates } from './observation.ts';
import { fileNumber } from './observation.ts';
import type { Asking, ProofInput, ProofResult, Refused } from './proof.ts';
import { asking, incarnationKey, lacking, proveContent, proveRehearsal, refused } from './proof.ts';
import type { ReplicaFacts } from './replica.ts';

/**
 * Proof `SameServer` for one replica: the target is the server that it followed, on the same lineage (proven by
 * `judgeRestart` where it restarted), so it goes on where it stopped.
 */
export function proveSameServer(input: ProofInput): ProofResult {
  const { replica, holder, target } = input;
  const state = binlogStateOf(target);
  const hidden = hiddenWrites(input) ?? unloggedByTarget(input);
  if (hidden !== null) return hidden;
  const ahead = beyond(replica.received, state).filter((gtid) => !appliedThere(target, gtid));
  if (ahead.length > 0) {
    if (holder.lookAt < replica.standing.since) {
      const again = {
        kind: 'LiveLook',
        target: { member: holder.member.name },
        after: replica.standing.since,
      } as const;
      return asking(`looking at ${holder.member.name} again before saying that ${replica.pod} is ahead`, again);
    }
    const transactions = lacking(ahead, state);
    const message = `${replica.pod} has ${transactions.gtids.join(', ')}, which ${holder.member.name} itself no longer has: its binlog lost its end`;
    return refused('Ahead', 'Ahead', message, transactions);
  }
  const byFile = input.positioning === 'FilePosition' || replica.link.usingGtid === 'No';
  const place = byFile ? provePlace(input) : placeOf(replica);
  if ('kind' in place) return place;
  const doubt = input.positioning === 'GTID' ? proveRehearsal(input, formatPosition(replica.position), null) : null;
  if (doubt !== null) return doubt;
  const refusedBefore = afterRefusal(input);
  if (refusedBefore !== null) return refusedBefore;
  return {
    kind: 'Proven',
    proof: 'SameServer',
    gtid: replica.position,
    at: place,
    contains: replica.contains,
    because: `${holder.member.name} is the server that it followed, with the same binlog`,
  };
}

const ER_MASTER_FATAL_ERROR_READING_BINLOG = 1236;

/** A server that refused a position may accept it later and skip transactions: what it has there is compared first. */
function afterRefusal(input: ProofInput): Refused | Asking | null {
  return input.replica.link.ioErrno === ER_MASTER_FATAL_ERROR_READING_BINLOG ? proveContent(input) : null;
}

/** Without log_slave_updates the server's own position may be something it applied: that is not in its binlog. */
function appliedThere(target: ServerLook, gtid: Gtid): boolean {
  return !target.logSlaveUpdates && sameGtid(target.gtidSlavePos.get(gtid.domain), gtid);
}

/** Where it has applied to: after CHANGE and before START a link names no file, then what was captured stands. */
function placeOf({ link, memory }: ReplicaFacts): Coordinates {
  return link.exec.file === '' ? (memory.captured?.exec ?? link.exec) : link.exec;
}

/** A connect by file overwrites gtid_slave_pos; what was captured at the same place was read before it. */
function gtidBefore({ memory, position }: ReplicaFacts, at: Coordinates): GtidPosition {
  const { captured } = memory;
  return captured !== null && sameCoordinates(captured.exec, at) ? captured.gtid : position;
}

/** The place and the position that were proven together on this lineage: a takeover point is in no binlog by its GTID. */
function isBaseline({ baseline }: ProofInput, at: Coordinates, gtid: GtidPosition): boolean {
  return (
    baseline.coordinates !== null && sameCoordinates(baseline.coordinates, at) && samePosition(baseline.gtid, gtid)
  );
}

/** File/position: the server must say that the replica's coordinates are the GTID captured before any reconnect. */
function provePlace(input: ProofInput): Coordinates | Refused | Asking {
  const { replica, holder } = input;
  const at = placeOf(replica);
  const captured = gtidBefore(replica, at);
  if (isBaseline(input, at, captured)) return at;
  const question = {
    kind: 'GtidAt',
    member: holder.member.name,
    incarnation: incarnationKey(holder.member),
    at,
  } as const;
  const answer = answerTo(input.evidence, question);
  if (!answer.known) return asking(`asking ${holder.member.name} for the GTID at ${at.file}:${at.position}`, question);
  if (answer.value !== null && formatPosition(answer.value) === formatPosition(captured)) return at;
  const byGtid = placeByGtid(input, captured);
  if (byGtid !== null) return byGtid;
  const there = answer.value === null ? 'no place in its binlog' : formatPosition(answer.value);
  return refused(
    'Unproven',
    'LineageChanged',
    `${at.file}:${at.position} is ${there} on ${holder.member.name}, the replica had ${formatPosition(captured)} there`,
  );
}

export interface RestartInput {
  readonly memory: MemberMemory;
  readonly observed: MemberObservation;
  readonly look: ServerLook;
  readonly replicas: readonly ReplicaFacts[];
  readonly evidence: Evidence;
}

export type RestartJudgement =
  | { readonly kind: 'SameLineage'; readonly because: string; readonly restart: ProvenRestart }
  /** `restart` tells what survived; null where the file that the server began could not be told. */
  | { readonly kind: 'LostTail'; readonly message: string; readonly restart: ProvenRestart | null }
  | { readonly kind: 'NewLineage'; readonly message: string }
  | Asking;

/**
 * Is a restarted server still the history that it was? Every file seen before has its creation time and at least the
 * size seen, and the list with which the first file after the start begins has everything that mxr or *any* replica ever
 * saw: a lost tail concerns the whole pair.
 */
export function judgeRestart(input: RestartInput): RestartJudgement {
  const { memory, look } = input;
  if (memory.logBinBasename !== look.logBinBasename) {
    const message = `the binlog of ${memory.name} is now called ${look.logBinBasename} and was ${memory.logBinBasename}: another history`;
    return { kind: 'NewLineage', message };
  }
  // A server that was built anew has lost nothing: its files only bear the old names.
  const replaced = replacedFile(input);
  if (replaced !== null) return replaced;
  const shorter = shortened(input);
  if (shorter !== null && typeof shorter !== 'string') return shorter;
  const begun = begunFile(input);
  if ('kind' in begun) {
    return shorter === null || begun.kind === 'Asking' ? begun : { kind: 'LostTail', message: shorter, restart: null };
  }
  const lost =
    shorter === null ? lostAtStart(input, begun) : ({ kind: 'LostTail', message: shorter, restart: begun } as const);
  if (lost?.kind === 'LostTail' && lostOthersOnly(input, begun)) return { kind: 'NewLineage', message: lost.message };
  if (lost !== null) return lost;
  const because = `every file of ${memory.name} is at least as long as it was seen`;
  return { kind: 'SameLineage', because, restart: begun };
}

/** A standby that nobody follows gets what it lost of others again: its coordinates changed, no transaction is gone. */
function lostOthersOnly({ memory, replicas }: RestartInput, begun: ProvenRestart): boolean {
  const anchor = memory.anchors.at(-1);
  const lost = anchor === undefined ? [] : beyond(anchor.binlogState, begun.survived);
  const own = lost.some((gtid) => gtid.serverId === memory.identity.serverId);
  return lost.length > 0 && !own && !replicas.some((replica) => replica.memory.baseline?.member === memory.name);
}

function shortened({ memory, look, observed, replicas }: RestartInput): string | Asking | null {
  const sizes = sizesOf(look);
  for (const file of memory.files) {
    const now = sizes.get(file.name);
    if (now !== undefined && now < file.size)
      return `${file.name} of ${memory.name} has ${now} bytes and had ${file.size}`;
  }
  const newest = memory.files.at(-1);
  if (newest !== undefined && !sizes.has(newest.name) && look.files.length > 0) {
    return `${newest.name}, the newest binlog file of ${memory.name}, is gone`;
  }
  for (const replica of replicas) {
    if (replica.memory.baseline?.member !== memory.name) continue;
    const beyondEnd = readsOf(replica, memory).find((read) => (sizes.get(read.file) ?? read.position) < read.position);
    if (beyondEnd === undefined) continue;
    // It goes on receiving from a file that grows: the side that must be the larger is read last.
    const after = replica.standing.since;
    if (observed.look.known && observed.look.at < after) {
      const again = { kind: 'LiveLook', target: { member: memory.name }, after } as const;
      return asking(`looking at ${memory.name} again before saying that its binlog became shorter`, again);
    }
    const { file, position } = beyondEnd;
    return `${replica.pod} has read ${file} up to ${position}, on ${memory.name} it ends at ${sizes.get(file)}`;
  }
  return null;
}

/** What it has read of this server. */
function readsOf({ memory, link }: ReplicaFacts, server: MemberMemory): Coordinates[] {
  const captured = memory.captured === null ? [] : [memory.captured.read];
  return endedElsewhere(link, server) ? captured : [...captured, link.read];
}

/** A link through the VIP may have ended on another server, whose files have the same names. */
function endedElsewhere({ sourceServerId }: Link, server: MemberMemory): boolean {
  return sourceServerId !== 0 && sourceServerId !== server.identity.serverId;
}

/** The list of files may be older than the end of the newest: both are of one incarnation, the larger is true. */
function sizesOf({ files, end }: ServerLook): ReadonlyMap<string, number> {
  return new Map(
    files.map(({ name, size }) => [name, end !== null && end.file === name ? Math.max(size, end.position) : size]),
  );
}

const MAX_UNWATCHED_STARTS = 8;

/**
 * The file that the server began when it started, and with it all that survived. Of several starts that nobody watched the
 * first one counts: what a later file has from before may be numbers that were given out again. A replica that went on is
 * compared at each of them.
 */
function begunFile({ memory, look, observed, evidence }: RestartInput): ProvenRestart | RestartJudgement {
  const newest = memory.files.at(-1);
  const later = look.files.filter((file) => newest === undefined || fileNumber(file.name) > fileNumber(newest.name));
  const headers = later.map((file) => headerOf(observed, file.name));
  const unread = headers.filter((question) => !answerTo(evidence, question).known);
  if (unread.length > 0) return asking(`reading the new binlog files of ${memory.name}`, ...unread);
  const starts = headers.flatMap((question) => {
    const header = answerTo(evidence, question);
    return header.known && header.value.byServerStart ? { file: question.file, survived: header.value.gtidList } : [];
  });
  const [first, ...others] = starts;
  if (first === undefined) {
    const message = `${memory.name} restarted, but no new binlog file of it begins with a server start`;
    return { kind: 'NewLineage', message };
  }
  if (others.length > MAX_UNWATCHED_STARTS) {
    const message = `${memory.name} restarted ${starts.length} times while nobody watched: too often to prove that nothing was lost`;
    return { kind: 'NewLineage', message };
  }
  return { ...first, later: others.map(({ survived }) => survived) };
}

function lostAtStart({ memory, look, replicas }: RestartInput, begun: ProvenRestart): RestartJudgement | null {
  const anchor = memory.anchors.at(-1);
  if (anchor !== undefined && !isWithin(anchor.binlogState, begun.survived)) {
    const gtids = beyond(anchor.binlogState, begun.survived).map(formatGtid);
    const message = `${memory.name} had logged ${gtids.join(', ')} and restarted without it`;
    return { kind: 'LostTail', message, restart: begun };
  }
  for (const replica of replicas) {
    const baseline = replica.memory.baseline;
    if (baseline?.member !== memory.name || baseline.lineage !== memory.lineage) continue;
    const gtids = beyond(receivedBefore(replica, memory, begun), begun.survived).filter(
      (gtid) => !appliedThere(look, gtid),
    );
    if (gtids.length === 0) continue;
    const names = gtids.map(formatGtid).join(', ');
    const message = `${replica.pod} has ${names} of ${memory.name}, which restarted without it`;
    return { kind: 'LostTail', message, restart: begun };
  }
  return null;
}

/**
 * What the replica had before the restart. Once it has reconnected by itself, what it has now may be new: then only what
 * was seen before counts here, and its content is compared before anything rests on it (`restartDoubt`).
 */
function receivedBefore(replica: ReplicaFacts, server: MemberMemory, begun: ProvenRestart): GtidState {
  const { baseline, captured } = replica.memory;
  const isOlder = captured !== null && !isSince(captured.read, begun);
  const before = isOlder ? [stateOfPosition(captured.gtid), stateOfPosition(captured.gtidIoPos)] : [];
  // Somebody may have started it again since mxr stopped it: then it has received more.
  const isNew = reconnected(replica, begun) || endedElsewhere(replica.link, server);
  const now = isNew && baseline !== null ? stateOfPosition(baseline.gtid) : replica.received;
  return mergeStates(...before, now);
}

/** Whether the replica has read anything that the server logged after it started again. */
export function reconnected({ memory, link }: ReplicaFacts, restart: ProvenRestart): boolean {
  const { captured } = memory;
  if (link.read.file === '' && captured === null) return true;
  return isSince(link.read, restart) || (captured !== null && isSince(captured.read, restart));
}

function isSince(read: Coordinates, restart: ProvenRestart): boolean {
  return read.file !== '' && fileNumber(read.file) >= fileNumber(restart.file);
}

function replacedFile({ memory, look, observed, evidence }: RestartInput): RestartJudgement | null {
  const listed = memory.files.filter(
    (file) => file.createdAt !== null && look.files.some((now) => now.name === file.name),
  );
  for (const file of listed) {
    const question = headerOf(observed, file.name);
    const header = answerTo(evidence, question);
    if (!header.known) return asking(`reading the head of ${file.name} on ${memory.name}`, question);
    if (header.value.createdAt !== file.createdAt) {
      return { kind: 'NewLineage', message: `${file.name} of ${memory.name} is another file than before` };
    }
  }
  return null;
}

function headerOf(observed: MemberObservation, file: string): FileHeaderQuestion {
  return { kind: 'FileHeader', member: observed.name, incarnation: incarnationKey(observed), file };
}
