import type { RehearsalQuestion } from './evidence.ts';
import { answerTo } from './evidence.ts';
import type { Gtid, GtidPosition, GtidState } from './gtid.ts';
import {
  beyond,
  formatGtid,
  formatPosition,
  gtidsOf,
  isWithin,
  sameGtid,
  stateHas,
  stateOf,
  stateOfPosition,
} from './gtid.ts';
import { valueOf } from './fact.ts';
import type { MemberMemory, ProvenRestart } from './memory.ts';
import { binlogStateOf, START_TIME_TOLERANCE_MS } from './memory.ts';
import type { MemberObservation } from './observation.ts';
import { fileNumber } from './observation.ts';
import type { Asking, ContentInput, ProofInput, Refused } from './proof.ts';
import { asking, incarnationKey, proveContent, refused } from './proof.ts';
import { firstsAfter, writerOf } from './kept.ts';
import { reconnected } from './restart.ts';
import { hadBefore, startsOf } from './reused.ts';
import { leavesOut } from './skipped.ts';

/**
 * A replica that has more than what a server had when it started again may have it from before a lost tail: the first
 * transaction that the server logged after its start (each, where nobody watched several) must then be the same on both.
 * Null: it is, or there is none.
 */
export function restartDoubt(input: ContentInput, { survived, later }: ProvenRestart): Refused | Asking | null {
  const { look } = input.holder;
  if (look === null) return null;
  const distinct = firstsAfter(input.replica.position.values(), [survived, ...later], writerOf(look));
  const relayed = relayedFirst(input, distinct);
  if (relayed === 'Same') return null;
  return relayed ?? proveContent(input, distinct);
}

/**
 * The server that the replica followed last may have lost a tail at a start and given its numbers again: then the replica
 * may have one transaction and the target another under a number that both show. Null: nothing of what the replica has is
 * from after such a start, both had it before, or the first one after it is the same.
 */
export function sourceRestartDoubt(input: ProofInput): Refused | Asking | null {
  const { replica, source, sourceObserved, target } = input;
  if (source === undefined || !mayHaveLost(input, source)) return null;
  const answers = sourceObserved?.look.known === true;
  if (answers && source.inQuestion)
    return asking(`finding out whether ${source.name} lost anything when it started again`);
  const { restart } = source;
  if (restart === null || source.inQuestion) return unknownSince(input, source);
  if (target.logSlaveUpdates) {
    const seen = sourceObserved === undefined ? undefined : valueOf(sourceObserved.look);
    const applied = source.anchors.at(-1)?.slavePos ?? new Map<number, Gtid>();
    // Whether one that does not answer logs what it applies is not known.
    const writer = seen === undefined ? { serverId: source.identity.serverId, applied, logged: null } : writerOf(seen);
    return proveContent(input, firstsAfter(replica.position.values(), startsOf(source), writer));
  }
  if (bothHadItBefore(input, source, restart)) return null;
  if (!answers) return unknownSince(input, source);
  const server = { member: sourceObserved, look: sourceObserved.look.value };
  const doubt = restartDoubt({ replica, holder: server, evidence: input.evidence }, restart);
  // Which of the two the target has nobody can see.
  return doubt?.kind === 'Refused' ? unknownSince(input, source, `: ${doubt.message}`) : doubt;
}

/**
 * A server that logs what it applies may have lost the end of its binlog and not the rows: once it has applied more, nothing
 * shows that hole, and a replica that stands before it never gets what was in there. Numbers of a domain follow one another,
 * so what was logged first after the start tells; where it jumps, the old source says whether anything lies between.
 */
export function holeAtStart(input: ProofInput): Refused | Asking | null {
  const { replica, target, targetMemory } = input;
  if (!target.logSlaveUpdates || leavesOut(target)) return null;
  for (const survived of startsOf(targetMemory)) {
    const loggedSince = stateOf(beyond(binlogStateOf(target), survived));
    for (const last of lastOf(survived).values()) {
      const isBehind = (replica.position.get(last.domain)?.seq ?? 0n) <= last.seq;
      const hole = isBehind && loggedSince.has(last.domain) ? holeBehind(input, last) : null;
      if (hole !== null) return hole;
    }
  }
  return null;
}

/** `last`: the last that survived of its domain. */
function holeBehind(input: ProofInput, last: Gtid): Refused | Asking | null {
  const { replica, target, holder, evidence } = input;
  // In the other domains the target has nothing newer to say.
  const at = new Map([...target.gtidBinlogPos, [last.domain, last] as const]);
  const question = rehearsalAt(holder.member, at);
  const there = answerTo(evidence, question);
  if (!there.known) return asking(`finding out what ${holder.member.name} logged first after its start`, question);
  const next = there.value.accepted ? there.value.next : null;
  if (next?.domain !== last.domain || next.seq <= last.seq + 1n || stateHas(replica.contains, next)) return null;
  const here = sourceSays(input, last);
  if (here?.kind === 'Asking') return here;
  if (here !== null && sameGtid(here.next, next)) return null;
  const message = `${holder.member.name} started again with ${formatGtid(last)} as the last in its binlog and went on there with ${formatGtid(next)}: what lies between it applied and lost from its binlog, and ${replica.pod} would never get it. Reseed ${replica.pod}; set sync_binlog=1 on the members`;
  return refused('Unproven', 'LostTail', message, { count: null, gtids: [formatGtid(next)] });
}

/** Per domain. */
function lastOf(survived: GtidState): ReadonlyMap<number, Gtid> {
  const last = new Map<number, Gtid>();
  for (const gtid of gtidsOf(survived)) {
    if (gtid.seq > (last.get(gtid.domain)?.seq ?? -1n)) last.set(gtid.domain, gtid);
  }
  return last;
}

function rehearsalAt(member: MemberObservation, at: GtidPosition): RehearsalQuestion {
  return { kind: 'Rehearsal', member: member.name, incarnation: incarnationKey(member), gtid: formatPosition(at) };
}

/** What the server that the replica followed logged next; null: it cannot be asked, or does not have that place. */
function sourceSays(input: ProofInput, last: Gtid): { kind: 'Next'; next: Gtid | undefined } | Asking | null {
  const { source, sourceObserved, baseline, holder, evidence } = input;
  const look = sourceObserved === undefined ? undefined : valueOf(sourceObserved.look);
  if (source === undefined || sourceObserved === undefined || look === undefined) return null;
  if (source.name === holder.member.name || source.inQuestion || source.lineage !== baseline.lineage) return null;
  const question = rehearsalAt(sourceObserved, new Map([...look.gtidBinlogPos, [last.domain, last] as const]));
  const answer = answerTo(evidence, question);
  if (!answer.known) return asking(`asking ${source.name} what it logged after ${formatGtid(last)}`, question);
  return answer.value.accepted ? { kind: 'Next', next: answer.value.next ?? undefined } : null;
}

function unknownSince({ replica, holder }: ProofInput, { name }: MemberMemory, found = ''): Refused {
  const { pod, position } = replica;
  const message = `${name} started again while ${pod} followed it and may have lost the end of its binlog: the last transactions of ${pod} (${formatPosition(position)}) need not be those that ${holder.member.name} has under these numbers${found}. Compare the data and reseed ${pod}, or let ${name} have the VIP again; set sync_binlog=1 on the members`;
  return refused('Unproven', 'TakeoverUnknown', message);
}

/** Each was seen to have it before the server started again: then it is what that server had before. */
function bothHadItBefore(
  { replica, baseline, targetMemory }: ProofInput,
  { identity, lineage }: MemberMemory,
  restart: ProvenRestart,
): boolean {
  const isOlder = baseline.lineage === lineage && baseline.at < identity.startedAt - START_TIME_TOLERANCE_MS;
  if (!isOlder || !isWithin(stateOfPosition(replica.position), stateOfPosition(baseline.gtid))) return false;
  return hadBefore(targetMemory, replica.position, restart);
}

function mayHaveLost({ replica, baseline }: ProofInput, source: MemberMemory): boolean {
  const { restart, lineage, broken, inQuestion, files } = source;
  if (inQuestion) return fileNumber(replica.link.read.file) > fileNumber(files.at(-1)?.name ?? '');
  const isBroken = baseline.lineage !== lineage && broken?.reason === 'LostTail';
  if (restart === null) return isBroken;
  const wentOn = baseline.lineage === lineage && reconnected(replica, restart);
  if (replica.memory.clearedFor === restart.file || (!isBroken && !wentOn)) return false;
  return !startsOf(source).every((survived) => isWithin(stateOfPosition(replica.position), survived));
}

/**
 * A replica without a log of what it applies shows with what its relay log begins: the first transaction that it was sent
 * when it connected last, and this life of the server was seen to feed it. By GTID a server sends what comes after the
 * replica's position, so a replica that was sent the first one after the start had nothing beyond what survived. Null: it
 * does not say so.
 */
function relayedFirst({ replica, holder, evidence }: ContentInput, firsts: readonly Gtid[]): 'Same' | Asking | null {
  const { look, link, pod, memory } = replica;
  const [first, another] = firsts;
  if (first === undefined || another !== undefined || look.logSlaveUpdates || link.usingGtid === 'No') return null;
  if (memory.connectedTo !== holder.member.incarnation || link.sql === 'No') return null;
  if (!replica.drained) return asking(`${pod} applies what it received before its relay log is read`);
  const asked = { pod, incarnation: incarnationKey(replica.observed), because: formatGtid(first) };
  const question = { kind: 'Relayed', ...asked } as const;
  const answer = answerTo(evidence, question);
  if (!answer.known) return asking(`reading in the relay log of ${pod} what it was sent first`, question);
  return answer.value !== null && sameGtid(answer.value, first) ? 'Same' : null;
}
