import { answerTo } from './evidence.ts';
import type { Gtid } from './gtid.ts';
import { formatGtid, formatPosition, isWithin, sameGtid, stateOfPosition } from './gtid.ts';
import type { MemberMemory, ProvenRestart } from './memory.ts';
import { START_TIME_TOLERANCE_MS } from './memory.ts';
import { fileNumber } from './observation.ts';
import type { Asking, ContentInput, ProofInput, Refused } from './proof.ts';
import { asking, incarnationKey, proveContent, refused } from './proof.ts';
import { firstsAfter } from './kept.ts';
import { reconnected } from './restart.ts';
import { hadBefore, startsOf } from './reused.ts';

/**
 * A replica that has more than what a server had when it started again may have it from before a lost tail: the first
 * transaction that the server logged after its start (each, where nobody watched several) must then be the same on both.
 * Null: it is, or there is none.
 */
export function restartDoubt(input: ContentInput, { survived, later }: ProvenRestart): Refused | Asking | null {
  const { look } = input.holder;
  if (look === null) return null;
  const writer = { serverId: look.identity.serverId, applied: look.gtidSlavePos };
  const distinct = firstsAfter(input.replica.position.values(), [survived, ...later], writer);
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
    const applied = source.anchors.at(-1)?.slavePos ?? new Map<number, Gtid>();
    const writer = { serverId: source.identity.serverId, applied };
    return proveContent(input, firstsAfter(replica.position.values(), startsOf(source), writer));
  }
  if (bothHadItBefore(input, source, restart)) return null;
  if (!answers) return unknownSince(input, source);
  const server = { member: sourceObserved, look: sourceObserved.look.value };
  const doubt = restartDoubt({ replica, holder: server, evidence: input.evidence }, restart);
  // Which of the two the target has nobody can see.
  return doubt?.kind === 'Refused' ? unknownSince(input, source, `: ${doubt.message}`) : doubt;
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
