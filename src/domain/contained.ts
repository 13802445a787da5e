import { holeAtStart, sourceRestartDoubt } from './after-restart.ts';
import type { WalkQuestion } from './evidence.ts';
import { answerTo } from './evidence.ts';
import type { Gtid, GtidState } from './gtid.ts';
import {
  beyond,
  formatGtid,
  formatPosition,
  gtidsOf,
  isPassed,
  isWithin,
  mergeStates,
  seqIn,
  stateHas,
  stateOf,
  stateOfPosition,
  unknownDomains,
} from './gtid.ts';
import { binlogStateOf } from './memory.ts';
import type { Coordinates } from './observation.ts';
import { compareCoordinates, hasFile } from './observation.ts';
import type { Asking, ProofInput, ProofResult, Refused, Undecided } from './proof.ts';
import { isCopied, isItsPosition, passedByFile, proveOffset } from './passed.ts';
import { describeUnique } from './unique.ts';
import {
  asking,
  haveEqualIds,
  headOf,
  incarnationKey,
  lacking,
  lookAgain,
  proveContent,
  readUpTo,
  refused,
} from './proof.ts';
import { proveRehearsal } from './rehearsal.ts';
import { looksAt } from './lineage.ts';
import type { Resume } from './prefix.ts';
import { comesTwice, prefixOf } from './prefix.ts';
import { passedErrant } from './errant.ts';
import { unloggedByTarget } from './hidden.ts';
import { knownBefore, notComparable, skippedByOldHolder, skippedMeanwhile } from './skipped.ts';
import { attachedItself } from './stray.ts';

/**
 * Proof `Contained`: the target logs what it applies (lsu=1), has everything that the replica has, and the replica is a
 * prefix of the target's binlog in each domain: after the first transaction that the replica lacks comes none that it has.
 */
export function proveContained(input: ProofInput): ProofResult {
  const { replica, holder, target } = input;
  const state = binlogStateOf(target);
  const missing =
    notDrained(input, state) ??
    missingOnTarget(input, state) ??
    unknownToReplica(input, state) ??
    unloggedByTarget(input) ??
    skippedByItself(input, state);
  if (missing !== null) return missing;

  const resume = findResume(input, state);
  if (resume.kind !== 'Resume') return resume;
  const gtidText = formatPosition(replica.position);
  const doubt =
    comesTwice(input, resume.among) ??
    proveRehearsal(input, gtidText, resume.next) ??
    (mustCompareContent(input) ? proveContent(input) : null) ??
    sourceRestartDoubt(input) ??
    holeAtStart(input);
  if (doubt !== null) return doubt;
  const skipped = (wasElsewhere(input) ? skippedMeanwhile(input) : skippedByOldHolder(input)) ?? passedErrant(input);
  if (skipped !== null) return skipped;
  const offset = input.positioning === 'FilePosition' ? proveOffset(input, resume.at) : null;
  if (offset !== null) return offset;
  return {
    kind: 'Proven',
    proof: 'Contained',
    gtid: replica.position,
    at: resume.at,
    contains: replica.contains,
    because: `${holder.member.name} has all of ${gtidText || 'an empty position'} and continues it at ${resume.at.file}:${resume.at.position} (${resume.how})`,
  };
}

/**
 * Unapplied relay log may be the only copy of a transaction: it is applied first. Exception: by GTID, when the target
 * provably has everything that was received, it will send it again (a delayed or locked replica moves at once).
 */
function notDrained({ replica, holder }: ProofInput, state: GtidState): Undecided | null {
  if (replica.drained) return null;
  if (replica.link.usingGtid !== 'No' && isWithin(replica.received, state)) return null;
  const message = `${replica.pod} applies what it received before it is moved to ${holder.member.name}: ${replica.link.sqlState || 'its SQL thread is stopped'}`;
  return { kind: 'Undecided', reason: 'HandingOver', message };
}

/** Direction 1: nothing that the replica has is missing on the target. */
function missingOnTarget(input: ProofInput, state: GtidState): Refused | Asking | null {
  const { replica, holder } = input;
  const unlogged = aheadOf(input, state);
  const passed = unlogged.some((gtid) => isItsPosition(input, gtid)) && passedByFile(input);
  if (typeof passed !== 'boolean') return passed;
  const ahead = unlogged.filter((gtid) => !passed || !isItsPosition(input, gtid));
  if (ahead.length === 0) return null;
  const again = lookAgain(input, `before saying that ${replica.pod} is ahead`);
  if (again !== null) return again;
  const transactions = lacking(ahead, state);
  const list = ahead.map(formatGtid).slice(0, 10).join(', ');
  const message = `${replica.pod} has ${transactions.count ?? 'some'} transactions that ${holder.member.name} lacks, up to ${list}; salvage them, then reseed the replica, or apply them on ${holder.member.name}`;
  return describeUnique(input, refused('Ahead', 'Ahead', message, transactions));
}

/**
 * The last GTID of each domain must be in the target's binlog. What else the replica contains may be older than the time
 * since when the target logs what it applies (a member that was built anew from a copy): then the target's own position
 * has it, or a later transaction of that domain which both have. A smaller number of the same server is a hole, and so is
 * one from after the target was seen to log.
 */
function aheadOf(input: ProofInput, state: GtidState): Gtid[] {
  const { replica, target } = input;
  const last = beyond(stateOfPosition(replica.position), state).filter((gtid) => !isCopied(input, gtid));
  const known = mergeStates(state, stateOfPosition(target.gtidSlavePos));
  const earlier = beyond(replica.contains, known).filter(
    (gtid) =>
      seqIn(known, gtid) !== undefined || loggedBefore(input, gtid) || !isBeforeCommon(gtid, known, replica.contains),
  );
  const all = new Map([...last, ...earlier].map((gtid) => [`${gtid.domain}-${gtid.serverId}`, gtid]));
  return [...all.values()];
}

function loggedBefore({ targetMemory }: ProofInput, { domain, seq }: Gtid): boolean {
  return targetMemory.anchors.some(({ binlogPos }) => (binlogPos.get(domain)?.seq ?? seq) < seq);
}

/** Numbers of a domain only grow: what both sides have of another server from later on was logged after it. */
function isBeforeCommon(gtid: Gtid, a: GtidState, b: GtidState): boolean {
  return [...(a.get(gtid.domain) ?? [])].some(([serverId, seq]) => {
    const there = seqIn(b, { domain: gtid.domain, serverId });
    return there !== undefined && seq > gtid.seq && there > gtid.seq;
  });
}

/**
 * A domain that the target has and the replica never had is replayed from its start. That is right where all of it came
 * after a look at which the replica had everything, as when a member writes first to a domain of its own: then what the
 * replica has is a prefix of the target's binlog, or the walk finds that it is not.
 */
function unknownToReplica(input: ProofInput, state: GtidState): Refused | null {
  const { replica, holder } = input;
  const domains = unknownDomains(state, replica.contains).filter((domain) => !beganSince(input, domain));
  if (domains.length === 0) return null;
  const gtids = gtidsOf(state)
    .filter((gtid) => domains.includes(gtid.domain))
    .map(formatGtid);
  const message = `the binlog of ${holder.member.name} has the GTID domain ${domains.join(', ')} (${gtids.join(', ')}), which ${replica.pod} never had: MariaDB would replay it from its start. Find out what wrote it; remove it with FLUSH BINARY LOGS DELETE_DOMAIN_ID on ${holder.member.name} once no live file holds it, or reseed the replica`;
  return refused('Unproven', 'UnknownDomain', message, { count: null, gtids });
}

function beganSince({ targetMemory, replica }: ProofInput, domain: number): boolean {
  return looksAt(targetMemory).some(
    ({ binlogState, slavePos }) =>
      !binlogState.has(domain) && !slavePos.has(domain) && isWithin(binlogState, replica.contains),
  );
}

/**
 * Attached by itself, the replica shows numbers of the target, which say nothing of what it skipped: the prefix is then
 * proven of what it had before.
 */
function skippedByItself(input: ProofInput, state: GtidState): Refused | Asking | null {
  if (!attachedItself(input) && !input.strayed) return null;
  const replica = { ...input.replica, contains: knownBefore(input) };
  const resume = findResume({ ...input, replica }, state);
  // It need not lack what was purged: it may have that from where it was.
  if (resume.kind === 'Refused' && resume.verdict === 'Purged')
    return notComparable(input, `${input.holder.member.name} has purged the place where it was proven last`);
  return resume.kind === 'Resume' ? null : resume;
}

/** It was led by another server for a while. Without a binlog of what it applies only its numbers tell what it skipped there. */
function wasElsewhere(input: ProofInput): boolean {
  return input.replica.look.logSlaveUpdates && (input.strayed || attachedItself(input));
}

/**
 * Where the replica would go on in the target's binlog. Best: a look at which the target had exactly what the replica
 * has; everything it logged since is new to the replica, for a binlog only grows. Else the binlog is read from the last
 * place before which the replica has everything.
 */
function findResume(input: ProofInput, state: GtidState): Resume | Refused | Asking {
  const { replica, target, targetMemory, holder } = input;
  if (target.end === null) {
    return refused('Unproven', 'TakeoverUnknown', `${holder.member.name} has no binlog; switch log_bin on`);
  }
  if (isWithin(state, replica.contains))
    return { kind: 'Resume', at: target.end, next: null, how: 'nothing newer there', among: [] };
  const common = looksAt(targetMemory).findLast((anchor) => isWithin(anchor.binlogState, replica.contains));
  const end = readUpTo(input, sharedWith(state, replica.contains), target.end);
  if ('kind' in end) return end;
  if (common === undefined || !hasFile(target, common.end.file)) return resumeFromFiles(input, end);
  const all = [...replica.position.values()].every((gtid) => stateHas(common.binlogState, gtid));
  if (all)
    return {
      kind: 'Resume',
      at: common.end,
      next: null,
      how: `both had the same at ${new Date(common.at).toISOString()}`,
      among: [],
    };
  return resumeByWalk(input, common.end, end);
}

/** What the replica has of the servers that the target's binlog knows. */
function sharedWith(state: GtidState, contains: GtidState): GtidState {
  return stateOf(gtidsOf(contains).filter((gtid) => seqIn(state, gtid) !== undefined));
}

/** Without a remembered common point that is still there: the newest file before which the replica has everything. */
function resumeFromFiles(input: ProofInput, end: Coordinates): Resume | Refused | Asking {
  const { replica, target } = input;
  let oldest: GtidState = new Map();
  for (const file of target.files.toReversed()) {
    const answer = headOf(input, file.name);
    if ('kind' in answer) return answer;
    const { gtidList } = answer.head;
    if (isWithin(gtidList, replica.contains)) return resumeByWalk(input, { file: file.name, position: 4 }, end);
    oldest = gtidList;
  }
  return beforeOldest(input, oldest);
}

/** Every file of the target begins after something that the replica lacks. */
function beforeOldest({ replica, target, holder }: ProofInput, oldest: GtidState): Refused {
  const file = target.files[0]?.name ?? 'its oldest file';
  const unknown = beyond(oldest, replica.contains).filter(
    (gtid) => seqIn(replica.contains, gtid) === undefined || isPassed(replica.position, gtid),
  );
  if (unknown.length > 0) {
    const gtids = unknown.map(formatGtid);
    const message = `the binlog of ${holder.member.name} had ${gtids.join(', ')} before ${file}, which ${replica.pod} is not known to have; reseed the replica, or adopt it again in calm`;
    return refused('Unproven', 'NotPrefix', message, { count: null, gtids });
  }
  const message = `${replica.pod} at ${formatPosition(replica.position)} needs transactions from before ${file}, which ${holder.member.name} has purged; reseed the replica, or restore the purged files`;
  return refused('Purged', 'Purged', message);
}

function resumeByWalk(input: ProofInput, from: Coordinates, through: Coordinates): Resume | Refused | Asking {
  const { holder } = input;
  // All that the replica has was there before a place up to which the replica has everything.
  if (compareCoordinates(through, from) <= 0)
    return { kind: 'Resume', at: from, next: null, how: 'nothing to read', among: [] };
  const question: WalkQuestion = {
    kind: 'Walk',
    member: holder.member.name,
    incarnation: incarnationKey(holder.member),
    from,
    through,
    firstOnly: false,
  };
  const walk = answerTo(input.evidence, question);
  if (!walk.known)
    return asking(`reading the binlog of ${holder.member.name} from ${from.file}:${from.position}`, question);
  if (walk.value.truncated !== null) {
    const message = `the binlog of ${holder.member.name} from ${from.file}:${from.position} is too long to compare (cut by ${walk.value.truncated})`;
    return refused('Unproven', 'NotComparable', message);
  }
  return prefixOf(input, walk.value.transactions, through);
}

/** Where ids repeat or nobody watched, equal numbers prove nothing: the content is compared. */
function mustCompareContent(input: ProofInput): boolean {
  const { baseline, source, replica, strayed } = input;
  const unwatched = source === undefined || source.lineage !== baseline.lineage || source.inQuestion;
  return replica.position.size > 0 && (haveEqualIds(input) || unwatched || strayed || isNewToUs(input));
}

/** Nobody saw the target before the replica was proven last: what it is, is what it says of itself. */
function isNewToUs({ targetMemory, baseline }: ProofInput): boolean {
  const seenBefore = targetMemory.anchors.some((anchor) => anchor.since <= baseline.at);
  return targetMemory.inQuestion || (targetMemory.lastStandby === null && !seenBefore);
}
