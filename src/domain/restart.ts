import type { Evidence, FileHeaderQuestion } from './evidence.ts';
import { answerTo } from './evidence.ts';
import type { GtidState } from './gtid.ts';
import { beyond, formatGtid, isWithin, mergeStates, stateOfPosition } from './gtid.ts';
import { appliedThere } from './hidden.ts';
import { keptByPeer } from './kept.ts';
import type { MemberMemory, ProvenRestart } from './memory.ts';
import type { Coordinates, Link, MemberObservation, ServerLook } from './observation.ts';
import { fileNumber } from './observation.ts';
import type { Asking } from './proof.ts';
import { asking, incarnationKey, lacking } from './proof.ts';
import type { ReplicaFacts } from './replica.ts';
import { binlogName } from './shared.ts';

export interface RestartInput {
  readonly memory: MemberMemory;
  readonly observed: MemberObservation;
  readonly look: ServerLook;
  /** Monotonic ms when it began, directly or behind the VIP. */
  readonly lookAt: number;
  readonly replicas: readonly ReplicaFacts[];
  /** The other members that answer. */
  readonly peers: readonly Peer[];
  readonly evidence: Evidence;
}

export interface Peer {
  readonly name: string;
  readonly incarnation: number;
  readonly look: ServerLook;
  /** Monotonic ms when it began. */
  readonly at: number;
  /** What was in hand of it before the look at the restarted one began; null: nothing is remembered, or it is in question too. */
  readonly before: GtidState | null;
}

export type RestartJudgement =
  | { readonly kind: 'SameLineage'; readonly because: string; readonly restart: ProvenRestart }
  /** `restart` tells what survived; null where the file that the server began could not be told. */
  | { readonly kind: 'LostTail'; readonly message: string; readonly restart: ProvenRestart | null }
  | { readonly kind: 'NewLineage'; readonly message: string; readonly restart?: ProvenRestart }
  | Asking;

/**
 * Is a restarted server still the history that it was? Every file seen before has its creation time and at least the
 * size seen, and the list with which the first file after the start begins has everything that mxr or *any* replica ever
 * saw: a lost tail concerns the whole pair.
 */
export function judgeRestart(input: RestartInput): RestartJudgement {
  const { memory, look } = input;
  if (binlogName(memory.logBinBasename) !== binlogName(look.logBinBasename)) {
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
    shorter === null
      ? (lostAtStart(input, begun) ?? keptByPeer(input, begun))
      : ({ kind: 'LostTail', message: shorter + whatWasLost(input, begun), restart: begun } as const);
  if (lost?.kind === 'LostTail' && lostOthersOnly(input, begun))
    return { kind: 'NewLineage', message: lost.message, restart: begun };
  if (lost !== null) return lost;
  const because = `every file of ${memory.name} is at least as long as it was seen`;
  return { kind: 'SameLineage', because, restart: begun };
}

/** As far as anybody was seen to have it: what only the server itself had is in no other place. */
function whatWasLost({ memory, replicas }: RestartInput, begun: ProvenRestart): string {
  const logged = memory.anchors.at(-1)?.binlogState ?? new Map();
  const received = replicas
    .filter((replica) => followed(replica, memory))
    .map((one) => receivedBefore(one, memory, begun));
  const lost = beyond(mergeStates(logged, ...received), begun.survived);
  const { count, gtids } = lacking(lost, begun.survived);
  const [first, last] = [gtids[0], gtids.at(-1)];
  if (first === undefined || last === undefined) return '';
  const known = count === null || count === 1 ? gtids.join(', ') : `${first} to ${last} (${count} transactions)`;
  return `; lost is, as far as mxr knows, ${known}`;
}

/** Whether a replica was proven on this server's history, or on this very server. */
function followed({ memory: { baseline } }: ReplicaFacts, server: MemberMemory): boolean {
  if (baseline?.lineage === server.lineage) return true;
  return server.storage === null && baseline?.member === server.name;
}

/** A standby that nobody follows gets what it lost of others again, or its rows still have it: only its coordinates changed. */
function lostOthersOnly({ memory, replicas }: RestartInput, begun: ProvenRestart): boolean {
  const anchor = memory.anchors.at(-1);
  const lost = anchor === undefined ? [] : beyond(anchor.binlogState, begun.survived);
  const own = lost.some((gtid) => gtid.serverId === memory.identity.serverId);
  return lost.length > 0 && !own && !replicas.some((replica) => followed(replica, memory));
}

function shortened(input: RestartInput): string | Asking | null {
  const { memory, look, observed, replicas } = input;
  const sizes = sizesOf(look);
  for (const file of memory.files) {
    const now = sizes.get(file.name);
    if (now !== undefined && now < file.size)
      return `${file.name} of ${memory.name} has ${now} bytes and had ${file.size}`;
  }
  const newest = memory.files.at(-1);
  // All that are there are newer: it purged the old ones, by age at its start. What it begins with says what it had.
  const isPurged = look.files.every(({ name }) => fileNumber(name) > fileNumber(newest?.name ?? name));
  if (newest !== undefined && !sizes.has(newest.name) && look.files.length > 0 && !isPurged) {
    return `${newest.name}, the newest binlog file of ${memory.name}, is gone`;
  }
  for (const replica of replicas) {
    if (!followed(replica, memory)) continue;
    const beyondEnd = readsOf(replica, memory).find((read) => (sizes.get(read.file) ?? read.position) < read.position);
    if (beyondEnd === undefined) continue;
    // It goes on receiving from a file that grows: the side that must be the larger is read last.
    const after = replica.standing.since;
    if (input.lookAt < after) {
      const target = observed.look.known ? { member: memory.name } : ('vip' as const);
      const again = { kind: 'LiveLook', target, after } as const;
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
export function endedElsewhere({ sourceServerId }: Link, server: MemberMemory): boolean {
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
    if (replica.memory.baseline?.lineage !== memory.lineage) continue;
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
export function receivedBefore(replica: ReplicaFacts, server: MemberMemory, begun: ProvenRestart): GtidState {
  const { baseline, captured } = replica.memory;
  const isOlder = captured !== null && !isSince(captured.read, begun);
  const before = isOlder ? [stateOfPosition(captured.gtid), stateOfPosition(captured.gtidIoPos)] : [];
  // Somebody may have started it again since mxr stopped it: then it has received more.
  const isNew = reconnected(replica, begun) || endedElsewhere(replica.link, server);
  if (!isNew || baseline === null) return mergeStates(...before, replica.received);
  // It may have been proven once more before anybody noticed the restart.
  const isSeenSince = baseline.coordinates !== null && isSince(baseline.coordinates, begun);
  return mergeStates(...before, ...(isSeenSince ? [] : [stateOfPosition(baseline.gtid)]));
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
