import { sourceRestartDoubt } from './after-restart.ts';
import type { WalkQuestion } from './evidence.ts';
import { answerTo } from './evidence.ts';
import type { Gtid, GtidPosition } from './gtid.ts';
import {
  beyond,
  formatGtid,
  formatPosition,
  isPassed,
  isWithin,
  sameGtid,
  samePosition,
  stateHas,
  stateOf,
  stateOfPosition,
} from './gtid.ts';
import { looksAt } from './lineage.ts';
import { binlogStateOf, standbyLinkOf, stateOfServer } from './memory.ts';
import type { Coordinates } from './observation.ts';
import { hasFile, sameCoordinates } from './observation.ts';
import type { Asking, ProofInput, ProofResult, Refused, Undecided } from './proof.ts';
import { asking, headOf, holderSays, incarnationKey, lacking, lookAgain, missingCount, refused } from './proof.ts';
import { proveRehearsal } from './rehearsal.ts';
import { gaveOnlyItsOwn, handedBack, isOwn } from './ring.ts';
import { compareByCoordinates } from './takeover-file.ts';
import type { StandbyLook } from './takeover-published.ts';
import { lastStandbyOf } from './takeover-published.ts';
import { describeUnique } from './unique.ts';

/**
 * Proof `TakeoverPoint`: the target does not log what it applied (lsu=0), so its binlog continues a replica only from
 * the one place where both had the same: the last transaction that the target applied from the old holder, followed by
 * the target's own first.
 */
export function proveTakeover(input: ProofInput): ProofResult {
  const { replica, holder, target, targetMemory } = input;
  if (!replica.drained && !input.stillReceiving) return notDrained(input);
  const seen = lastStandbyOf(targetMemory, holder.member, target);
  if (seen.kind === 'Disagree') {
    const message = `${seen.why}: one of the two is wrong, so where ${replica.pod} would go on there is not known. Find out which, or reseed ${replica.pod} from ${holder.member.name}`;
    return refused('Unproven', 'WitnessesDisagree', message);
  }
  const standby = seen.look;
  if (standby === null || standby.standby === null) {
    const message = `${holder.member.name} does not log what it applies, and mxr never saw it as a standby: where its own history begins is not known. Set log_slave_updates=1 on the members, let mxr watch the pair in calm before the next move, or run mxr publisher beside them; reseed ${replica.pod} from ${holder.member.name}`;
    return refused('Unproven', 'StandbyNeverSeen', message);
  }
  const place = comparePlaces(input, standby);
  if (place !== null && !(place.kind === 'Refused' && place.verdict === 'Behind')) return place;
  const restarted = sourceRestartDoubt(input);
  if (restarted !== null) return restarted;
  if (place !== null) return place;
  if (!replica.drained) return notDrained(input);
  const errant = beyond(standby.binlogState, replica.contains);
  if (errant.length > 0) return errantOnStandby(input, errant);
  const at = continuation(input, standby);
  if ('kind' in at) return at;
  const follow = ownHistoryFollows(input, standby, at);
  if (follow !== null) return follow;
  const gtidText = formatPosition(replica.position);
  const rehearsed = input.positioning === 'GTID' ? proveRehearsal(input, gtidText, null) : null;
  const doubt = rehearsed ?? beginsThere(input, standby, at);
  if (doubt !== null) return doubt;
  return {
    kind: 'Proven',
    proof: 'TakeoverPoint',
    gtid: replica.position,
    at,
    contains: replica.contains,
    because: `${holder.member.name} had applied exactly ${gtidText} when its own history went on at ${at.file}:${at.position}`,
  };
}

/**
 * Its gtid_slave_pos says what it applied only where it went by GTID and mxr saw that (handover.md). Where only a publisher
 * says so, what it had applied by coordinates must say the same.
 */
function comparePlaces(input: ProofInput, standby: StandbyLook): Refused | Undecided | Asking | null {
  if (standby.standby?.usingGtid !== true) return compareByCoordinates(input, standby);
  const there = compareByGtid(input, standby);
  // Its link was gone when the publisher looked last: a record that names no coordinates was made by GTID.
  const isSure = wasSeenByGtid(input) || standby.standby.applied.file === '';
  return there !== null || isSure ? there : compareByCoordinates(input, standby);
}

function wasSeenByGtid({ target, targetMemory }: ProofInput): boolean {
  const link = standbyLinkOf(target);
  if (link !== undefined) return link.usingGtid !== 'No';
  const looks = [targetMemory.lastStandby, ...looksAt(targetMemory)];
  return looks.findLast((look) => look?.standby != null)?.standby?.usingGtid === true;
}

function notDrained({ replica, holder }: ProofInput): Undecided {
  const message = `${replica.pod} applies what it received before it is compared with ${holder.member.name}: ${replica.link.sqlState || 'its SQL thread is stopped'}`;
  return { kind: 'Undecided', reason: 'HandingOver', message };
}

/** Where the target stood at its takeover, per domain: what it applied, or its own older transactions if those are later. */
function positionAtTakeover(input: ProofInput, standby: StandbyLook): GtidPosition {
  const position = new Map(input.target.gtidSlavePos);
  for (const [domain, own] of standby.binlogPos) {
    const applied = position.get(domain);
    if (applied === undefined || applied.seq < own.seq) position.set(domain, own);
  }
  return position;
}

function compareByGtid(input: ProofInput, standby: StandbyLook): Refused | Undecided | Asking | null {
  const there = positionAtTakeover(input, standby);
  if (samePosition(there, input.replica.position)) return null;
  return handedBack(input, standby).length === 0 ? notEqual(input, there) : compareInRing(input, standby);
}

/** Where its own writes that came back stand in its position, the old holder tells that it had applied nothing beyond the replica. */
function compareInRing(input: ProofInput, standby: StandbyLook): Refused | Undecided | Asking | null {
  const { replica, holder, target, source } = input;
  const [back, there] = [handedBack(input, standby), positionAtTakeover(input, standby)];
  const fromSource = standbyLinkOf(target)?.sourceServerId === source?.identity.serverId;
  const ring = fromSource ? gaveOnlyItsOwn(input, (old) => isWithin(stateOf(back), binlogStateOf(old))) : 'No';
  if (typeof ring !== 'string') return ring;
  if (ring === 'No') {
    if (input.stillReceiving || !replica.drained) return stillGets(input, there);
    const message = `${holder.member.name} has read its own ${back.map(formatGtid).join(', ')} back from the old primary, which hides what it had applied before it took over, and the old primary does not answer or has more than ${replica.pod}. Compare the data, then reseed ${replica.pod}; set log_slave_updates=1 on the members`;
    return refused('Unproven', 'TakeoverUnknown', message);
  }
  const unseen = notSeenApplied(input, standby).find(({ domain }) => domain !== target.gtidDomainId);
  if (unseen !== undefined) return notSeenSince(input, unseen);
  const told = new Map([...there].filter(([domain]) => !back.some((gtid) => gtid.domain === domain)));
  for (const { domain } of back) {
    const own = replica.position.get(domain);
    if (own !== undefined) told.set(domain, own);
  }
  return samePosition(told, replica.position) ? null : notEqual(input, told);
}

/** What the replica has of a domain in which only the target's own shows: that it applied it, its own first number tells. */
function notSeenApplied(input: ProofInput, standby: StandbyLook): readonly Gtid[] {
  const mine = handedBack(input, standby).flatMap(({ domain }) => input.replica.position.get(domain) ?? []);
  return mine.filter((gtid) => !isOwn(input, gtid) && !stateHas(stateOfPosition(standby.slavePos), gtid));
}

type Order = 'same' | 'behind' | 'ahead' | 'errant' | 'stale' | 'unclear';

/** One domain of the replica against the target at its takeover. A server id is part of it: numbers alone accuse wrongly. */
function orderOf({ target }: ProofInput, there: Gtid | undefined, own: Gtid | undefined): Order {
  if (sameGtid(there, own)) return 'same';
  const ownOfTarget = there?.serverId === target.identity.serverId;
  if (own === undefined) return ownOfTarget ? 'errant' : 'behind';
  const has = stateHas(stateOfServer(target), own);
  if (there === undefined || own.seq > there.seq) return has ? 'stale' : 'ahead';
  if (there.serverId !== own.serverId && !has) return own.seq === there.seq ? 'ahead' : 'unclear';
  return ownOfTarget ? 'errant' : 'behind';
}

function notEqual(input: ProofInput, there: GtidPosition): Refused | Undecided | Asking {
  const { replica, holder } = input;
  const domains = [...new Set([...there.keys(), ...replica.position.keys()])];
  const pairs = domains.map((domain) => {
    const [target, own] = [there.get(domain), replica.position.get(domain)];
    return { order: orderOf(input, target, own), target, own };
  });
  const of = (order: Order) => pairs.filter((pair) => pair.order === order);
  const ahead = of('ahead').flatMap(({ own }) => own ?? []);
  if (ahead.length > 0) return aheadOrAgain(input, there, ahead);
  const errant = of('errant').flatMap(({ target }) => target ?? []);
  if (errant.length > 0) return errantOnStandby(input, errant);
  const [doubt] = [...of('stale'), ...of('unclear')];
  if (doubt?.own !== undefined) return notSeenSince(input, doubt.own);
  if (input.stillReceiving || !replica.drained) return stillGets(input, there);
  const behind = of('behind').map(({ target, own }) => `${textOf(own)} of ${textOf(target)}`);
  const missing = missingCount(there, replica.position);
  const message = `${replica.pod} is ${missing ?? 'some'} transactions behind the place where ${holder.member.name} took over (${behind.join('; ')}); ${holder.member.name} does not log what it applied, so it cannot give them. Bring the old primary back, or reseed the replica`;
  const transactions = { count: missing, gtids: [...there.values()].map(formatGtid) };
  return { ...refused('Behind', 'Behind', message, transactions), fillTo: there };
}

function notSeenSince({ replica, holder }: ProofInput, gtid: Gtid): Refused {
  const message = `mxr has not seen ${holder.member.name} as a standby since ${replica.pod} got ${formatGtid(gtid)}: where its own history goes on for it is not known; reseed ${replica.pod}, or let mxr watch the pair in calm before the next move`;
  return refused('Unproven', 'TakeoverUnknown', message);
}

function stillGets({ replica }: ProofInput, there: GtidPosition): Undecided {
  const message = `${replica.pod} still gets what it lacks of ${formatPosition(there)} from the old holder`;
  return { kind: 'Undecided', reason: 'HandingOver', message };
}

function textOf(gtid: Gtid | undefined): string {
  return gtid === undefined ? 'nothing' : formatGtid(gtid);
}

function aheadOrAgain(input: ProofInput, there: GtidPosition, ahead: readonly Gtid[]): Refused | Asking {
  const { replica, holder } = input;
  const again = lookAgain(input, `before saying that ${replica.pod} is ahead`);
  if (again !== null) return again;
  const transactions = lacking(ahead, stateOfPosition(there), 'Position');
  const { count } = transactions;
  const list = ahead.map(formatGtid).join(', ');
  const message = `${replica.pod} has ${list}, ${holder.member.name} had applied only ${formatPosition(there) || 'nothing'} when it took over: ${count ?? 'some'} transactions exist on the replica only; salvage them, then reseed it`;
  return describeUnique(input, refused('Ahead', 'Ahead', message, transactions));
}

function errantOnStandby(input: ProofInput, errant: readonly Gtid[]): Refused {
  const { replica, holder } = input;
  const gtids = errant.map(formatGtid);
  const message = `${holder.member.name} had ${gtids.join(', ')} in its own binlog before it took over, which ${replica.pod} never had: writes on the standby. Find out what they are, then reseed the replica`;
  return refused('Unproven', 'NotPrefix', message, { count: null, gtids });
}

/**
 * The mandatory cross-check: applying D-S-N makes the server's next own transaction in that domain N+1. A smaller number
 * is an errant write that the last look missed. Nothing written yet: the first transaction is watched after attaching.
 */
function ownHistoryFollows(input: ProofInput, standby: StandbyLook, from: Coordinates): Refused | Asking | null {
  const { target, holder } = input;
  if (target.end === null || isWithin(binlogStateOf(target), standby.binlogState)) return null;
  const first = firstAt(input, from);
  if (first !== null && 'kind' in first) return first;
  if (first === null) {
    return refused(
      'Unproven',
      'TakeoverUnknown',
      `no transaction was found at ${from.file}:${from.position} on ${holder.member.name}`,
    );
  }
  const last = input.replica.position.get(first.domain);
  const expected = first.domain === target.gtidDomainId ? (last?.seq ?? 0n) + 1n : null;
  if (first.seq === expected) return null;
  if (expected === null) {
    const [unseen] = notSeenApplied(input, standby);
    return unseen === undefined ? null : notSeenSince(input, unseen);
  }
  const message = `the first transaction of ${holder.member.name} after it stopped applying is ${formatGtid(first)}, expected number ${expected}: ${first.seq < expected ? 'it was written while it was still a standby' : 'it had applied more than was seen'}`;
  return first.seq < expected
    ? refused('Unproven', 'NotPrefix', message, { count: null, gtids: [formatGtid(first)] })
    : refused('Unproven', 'TakeoverUnknown', message);
}

/** Where only a publisher saw that place, the target itself says what stands there: a replica has all before, and not the next. */
function beginsThere(input: ProofInput, standby: StandbyLook, at: Coordinates): Refused | Asking | null {
  const { replica, holder, target, targetMemory } = input;
  const seen = targetMemory.lastStandby;
  if (seen !== null && sameCoordinates(seen.end, standby.end)) return null;
  const { name } = holder.member;
  const answer = holderSays(input, at);
  if ('kind' in answer) return answer;
  const { there } = answer;
  const lacked = there === null ? [] : beyond(stateOfPosition(there), replica.contains);
  // An answer is kept: that nothing stands there is none before something was written.
  const next = isWithin(binlogStateOf(target), standby.binlogState) ? null : firstAt(input, at);
  if (next !== null && 'kind' in next) return next;
  const why: string[] = [];
  if (there === null) why.push(`${name} says that this is no place in its binlog`);
  if (lacked.length > 0) {
    why.push(`before it ${name} has ${lacked.map(formatGtid).join(', ')}, which ${replica.pod} would never get`);
  }
  if (next !== null && stateHas(replica.contains, next)) {
    why.push(`there ${name} has ${formatGtid(next)}, which ${replica.pod} has: it would come twice`);
  }
  if (why.length === 0) return null;
  const message = `the publisher of ${name} saw it end at ${at.file}:${at.position} as a standby, where ${replica.pod} would go on, and ${why.join('; ')}. Find out where it took over, or reseed ${replica.pod}`;
  return refused('Unproven', 'WitnessesDisagree', message);
}

function firstAt({ holder, evidence }: ProofInput, from: Coordinates): Gtid | Asking | null {
  const asked = { member: holder.member.name, incarnation: incarnationKey(holder.member) };
  const question: WalkQuestion = { kind: 'Walk', ...asked, from, through: from, firstOnly: true };
  const walk = answerTo(evidence, question);
  if (!walk.known) return asking(`reading the first own transaction of ${holder.member.name}`, question);
  return walk.value.transactions[0]?.gtid ?? null;
}

/** Where its own history goes on; the file may be purged by now without anything that a replica needs. */
function continuation(input: ProofInput, standby: StandbyLook): Coordinates | Refused | Asking {
  const { target } = input;
  const [oldest] = target.files;
  if (hasFile(target, standby.end.file) || oldest === undefined) return standby.end;
  const answer = headOf(input, oldest.name);
  if ('kind' in answer) return answer;
  const gone = beyond(answer.head.gtidList, standby.binlogState);
  return gone.length === 0 ? { file: oldest.name, position: 4 } : purgedSince(input, standby, gone);
}

function purgedSince({ replica, holder }: ProofInput, { end }: StandbyLook, gone: readonly Gtid[]): Refused {
  if (gone.every((gtid) => isPassed(replica.position, gtid))) {
    const gtids = gone.map(formatGtid);
    const message = `${holder.member.name} wrote ${gtids.join(', ')} after it had been seen at ${end.file}:${end.position}, and has purged that: whether ${replica.pod} has it, which stands behind it, nobody can read. Compare the data, or reseed ${replica.pod}`;
    return refused('Unproven', 'TakeoverUnknown', message, { count: null, gtids });
  }
  const message = `${replica.pod} needs what ${holder.member.name} wrote from ${end.file}:${end.position} on, where it took over, and that file is purged; reseed the replica, or restore the purged files`;
  return refused('Purged', 'Purged', message);
}
