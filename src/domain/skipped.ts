import type { LoggedQuestion, TransactionQuestion, WalkQuestion } from './evidence.ts';
import { answerTo } from './evidence.ts';
import type { Gtid, GtidState } from './gtid.ts';
import {
  beyond,
  formatGtid,
  formatPosition,
  gtidsOf,
  isWithin,
  mergeStates,
  ofServer,
  stateHas,
  stateOf,
  stateOfPosition,
} from './gtid.ts';
import { valueOf, wasAsked } from './fact.ts';
import { looksAt } from './lineage.ts';
import { hasFile } from './observation.ts';
import type { Coordinates, ServerLook } from './observation.ts';
import type { Asking, ProofInput, Refused } from './proof.ts';
import { asking, haveEqualIds, headOf, incarnationKey, readUpTo, refused } from './proof.ts';
import { placeOf } from './replica.ts';

/** What a replica had before it attached itself: what was proven of it, and at most what its old source was seen to have. */
export function knownBefore({ baseline, source }: ProofInput): GtidState {
  const last = source?.lineage === baseline.lineage ? source.anchors.at(-1)?.binlogState : undefined;
  return mergeStates(baseline.contains, stateOfPosition(baseline.gtid), last ?? stateOf([]));
}

/**
 * Numbers hide what was skipped: a replica that went by itself to a server which had logged its own writes before the last
 * transaction that the replica has, goes on behind both. So everything that the target logged since the replica was proven,
 * and that the replica has by its numbers, must be in the replica's own binlog. Null: it is.
 */
export function skippedMeanwhile(input: ProofInput, known = knownBefore(input)): Refused | Asking | null {
  const { replica, holder } = input;
  const place = placeBefore(input, known);
  if (place === null || 'kind' in place)
    return place ?? notComparable(input, 'the place is purged where it was proven last');
  const logged = loggedSince(input);
  const walk = transactionsFrom(input, place.from);
  if ('kind' in walk) return walk;
  if ('kind' in logged) return logged;
  const skipped = walk.filter(
    (gtid) =>
      !stateHas(input.baseline.contains, gtid) && stateHas(replica.contains, gtid) && !logged.has(formatGtid(gtid)),
  );
  if (skipped.length === 0) return passedOver(input, place.before, { walk, logged: [...logged.values()] });
  // A filter leaves the whole transaction out of the replica's binlog.
  if (hasFilters(input)) return notComparable(input, 'its replication is filtered');
  const gtids = skipped.map(formatGtid);
  const message = `${replica.pod} never applied ${gtids.slice(0, 10).join(', ')}, which ${holder.member.name} logged since it was proven last, although it has later ones: it got those from another server, which lacks them or skipped them. Reseed ${replica.pod}; compare the data of the members`;
  return refused('Unproven', 'NotPrefix', message, { count: gtids.length, gtids });
}

/**
 * And numbers hide what the target passed over: it logged on both sides of what the replica got on another one meanwhile, and
 * never that. What a service wrote on the replica itself is no concern of the target, nor what came to it in a copy.
 */
function passedOver(input: ProofInput, before: GtidState, read: Read): Refused | Asking | null {
  const { replica, holder, target, targetMemory } = input;
  if (!target.logSlaveUpdates || leavesOut(target)) return null;
  const there = new Set(read.walk.map(formatGtid));
  const own = replica.look.identity.serverId;
  const surplus = read.logged.filter(
    (gtid) =>
      gtid.serverId !== own &&
      !stateHas(before, gtid) &&
      !there.has(formatGtid(gtid)) &&
      targetMemory.anchors.some(({ binlogPos }) => (binlogPos.get(gtid.domain)?.seq ?? gtid.seq) < gtid.seq),
  );
  // What was read of both began at one look at the replica, whose place may be newer than its position: the target itself is asked.
  const asked = surplus.slice(0, MAX_ASKED).map((gtid) => ({ gtid, question: onTarget(input, gtid) }));
  const open = asked.map(({ question }) => question).filter((one) => !wasAsked(answerTo(input.evidence, one)));
  if (open.length > 0)
    return asking(`asking ${holder.member.name} for what only ${replica.pod} seems to have`, ...open);
  const answers = asked.map(({ gtid, question }) => ({ gtid, answer: answerTo(input.evidence, question) }));
  if (answers.some(({ answer }) => !answer.known)) return notComparable(input, 'its binlog cannot be read');
  const gtids = answers.filter(({ answer }) => valueOf(answer)?.found === null).map(({ gtid }) => formatGtid(gtid));
  if (gtids.length === 0) return null;
  const message = `${replica.pod} has ${gtids.join(', ')}, which ${holder.member.name} never logged, although it has later ones: it got those from another server. Compare the data of the members; salvage them, then reseed it`;
  return refused('Ahead', 'Ahead', message, { count: surplus.length, gtids });
}

const MAX_ASKED = 10;

function onTarget({ holder }: ProofInput, gtid: Gtid): TransactionQuestion {
  const server = { member: holder.member.name };
  return { kind: 'Transaction', server, incarnation: incarnationKey(holder.member), gtid: formatGtid(gtid) };
}

interface Read {
  /** What the target logged since the replica was proven. */
  readonly walk: readonly Gtid[];
  /** The same of the replica. */
  readonly logged: readonly Gtid[];
}

/** By a filter of its own, or by errors that it skips, a server lacks what is no loss, or nobody knows of. */
export function leavesOut({ links, settings }: ServerLook): boolean {
  const isFiltered = links.some(({ filters }) => Object.keys(filters).length > 0);
  const skips = !['', 'OFF'].includes(settings.slaveSkipErrors.toUpperCase());
  return isFiltered || skips || settings.binlogDoDb !== '' || settings.binlogIgnoreDb !== '';
}

/**
 * The old holder became the target's standby and hands on what the target writes. If it was attached at a wrong place, it
 * lacks some of that for ever, and so does a replica that got the later ones from it: its highest number does not show it.
 */
export function skippedByOldHolder(input: ProofInput): Refused | Asking | null {
  const { replica, baseline, holder, target } = input;
  if (baseline.member === holder.member.name || haveEqualIds(input)) return null;
  // Without a binlog of the replica's own, that of the old holder says what it got; where it cannot be read, nothing does.
  const { logSlaveUpdates } = replica.look;
  if (!logSlaveUpdates && givenBySource(input) === null) return null;
  const got = logSlaveUpdates ? replica.position.values() : gtidsOf(replica.contains);
  const own = beyond(stateOf(ofServer(got, target.identity.serverId)), baseline.contains);
  if (own.length === 0) return null;
  return skippedMeanwhile(input, mergeStates(baseline.contains, stateOfPosition(baseline.gtid)));
}

export function notComparable({ replica, holder }: ProofInput, why: string): Refused {
  const message = `what ${replica.pod} got since it was proven last cannot be compared with ${holder.member.name}: ${why}. Reseed it, or compare its data and configure its link again`;
  return refused('Unproven', 'NotComparable', message);
}

function hasFilters({ replica }: ProofInput): boolean {
  return Object.keys(replica.link.filters).length > 0;
}

/** A place in the target's binlog before which the replica had everything when it was proven last, and what lies before. */
function placeBefore(input: ProofInput, known: GtidState): Place | Asking | null {
  const { baseline, holder, target, targetMemory } = input;
  const sameServer = baseline.member === holder.member.name && baseline.lineage === targetMemory.lineage;
  if (sameServer && baseline.coordinates !== null && hasFile(target, baseline.coordinates.file)) {
    return { from: baseline.coordinates, before: mergeStates(baseline.contains, stateOfPosition(baseline.gtid)) };
  }
  const common = looksAt(targetMemory).findLast((anchor) => isWithin(anchor.binlogState, known));
  if (common !== undefined && hasFile(target, common.end.file)) {
    return { from: common.end, before: common.binlogState };
  }
  for (const { name } of target.files.toReversed()) {
    const answer = headOf(input, name);
    if ('kind' in answer) return answer;
    const before = answer.head.gtidList;
    if (isWithin(before, known)) return { from: { file: name, position: 4 }, before };
  }
  return null;
}

interface Place {
  readonly from: Coordinates;
  readonly before: GtidState;
}

function transactionsFrom(input: ProofInput, from: Coordinates): readonly Gtid[] | Refused | Asking {
  const { holder, replica, target, evidence } = input;
  if (target.end === null) return notComparable(input, `${holder.member.name} has no binlog`);
  const asked = { member: holder.member.name, incarnation: incarnationKey(holder.member) };
  const through = readUpTo(input, stateOfPosition(replica.position), target.end);
  if ('kind' in through) return through;
  const question: WalkQuestion = { kind: 'Walk', ...asked, from, through, firstOnly: false };
  const walk = answerTo(evidence, question);
  if (!walk.known) {
    return asking(`reading the binlog of ${holder.member.name} from ${from.file}:${from.position}`, question);
  }
  if (walk.value.truncated !== null) return notComparable(input, 'it is too long');
  return walk.value.transactions.map(({ gtid }) => gtid);
}

/** The part of the old holder's binlog that a replica got since it was proven; null: it cannot be read. */
function givenBySource({ replica, baseline, source, sourceObserved }: ProofInput): WalkQuestion | null {
  const look = sourceObserved === undefined ? undefined : valueOf(sourceObserved.look);
  if (source === undefined || source.inQuestion || source.lineage !== baseline.lineage) return null;
  if (sourceObserved === undefined || look === undefined || baseline.coordinates === null) return null;
  const [from, through] = [baseline.coordinates, placeOf(replica)];
  const isItsOwn = [0, look.identity.serverId].includes(replica.link.sourceServerId);
  if (!isItsOwn || !hasFile(look, from.file) || !hasFile(look, through.file)) return null;
  const asked = { member: source.name, incarnation: incarnationKey(sourceObserved) };
  return { kind: 'Walk', ...asked, from, through, firstOnly: false };
}

/** Everything that its own binlog has since it was proven, or without one, what the old holder gave it. */
function loggedSince(input: ProofInput): ReadonlyMap<string, Gtid> | Refused | Asking {
  const { replica, baseline, evidence } = input;
  const given = replica.look.logSlaveUpdates ? null : givenBySource(input);
  if (given !== null) {
    const walk = answerTo(evidence, given);
    if (!walk.known) return asking(`reading in the binlog of ${given.member} what ${replica.pod} got from it`, given);
    if (walk.value.truncated !== null) return notComparable(input, 'it is too long');
    return new Map(walk.value.transactions.map(({ gtid }) => [formatGtid(gtid), gtid]));
  }
  const asked = { pod: replica.pod, incarnation: incarnationKey(replica.observed) };
  const upTo = formatPosition(replica.position);
  const questions: LoggedQuestion[] = [];
  const logged = new Map<string, Gtid>();
  for (const domain of replica.position.keys()) {
    const had = baseline.gtid.get(domain);
    const after = had === undefined ? null : formatGtid(had);
    const question: LoggedQuestion = { kind: 'Logged', ...asked, domain, after, upTo };
    const answer = answerTo(evidence, question);
    if (!answer.known) questions.push(question);
    else if (answer.value === null) return notComparable(input, `its own binlog does not have ${atOf(question)}`);
    else for (const one of answer.value) logged.set(formatGtid(one), one);
  }
  if (questions.length === 0) return logged;
  return asking(`reading what ${replica.pod} logged after ${questions.map(atOf).join(', ')}`, ...questions);
}

function atOf({ domain, after }: LoggedQuestion): string {
  return after ?? `the beginning of GTID domain ${domain}`;
}
