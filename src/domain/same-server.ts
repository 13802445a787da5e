import { placeByGtid } from './crash.ts';
import type { GtidPosition } from './gtid.ts';
import { beyond, formatPosition, isWithin, samePosition } from './gtid.ts';
import { appliedThere, hiddenWrites, unloggedByTarget } from './hidden.ts';
import { binlogStateOf } from './memory.ts';
import type { Coordinates } from './observation.ts';
import { compareCoordinates, sameCoordinates } from './observation.ts';
import type { Asking, ProofInput, ProofResult, Refused } from './proof.ts';
import { headOf, holderSays, lacking, lookAgain, proveContent, refused } from './proof.ts';
import { proveRehearsal } from './rehearsal.ts';
import type { ReplicaFacts } from './replica.ts';
import { placeOf } from './replica.ts';

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
    const again = lookAgain(input, `before saying that ${replica.pod} is ahead`);
    if (again !== null) return again;
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
    because: becauseOf(input),
  };
}

function becauseOf({ holder, baseline }: ProofInput): string {
  const [there, before] = [holder.member.name, baseline.member];
  if (there === before) return `${there} is the server that it followed, with the same binlog`;
  return `${there} runs on the storage of ${before}, with the same binlog: it is the server that it followed`;
}

const ER_MASTER_FATAL_ERROR_READING_BINLOG = 1236;

/** A server that refused a position may accept it later and skip transactions: what it has there is compared first. */
function afterRefusal(input: ProofInput): Refused | Asking | null {
  return input.replica.link.ioErrno === ER_MASTER_FATAL_ERROR_READING_BINLOG ? proveContent(input) : null;
}

type Located = Coordinates | Refused | Asking;

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

/** A donor has filled it: what was captured before is over, and only by its GTID the server can tell where it stands. */
function placeFromNowhere(input: ProofInput): Located {
  const { replica, holder } = input;
  const place = placeByGtid(input, replica.position);
  if (place !== null) return place;
  const message = `the link of ${replica.pod} names no place in the binlog of ${holder.member.name}, and its GTID position ${formatPosition(replica.position)} tells none; reseed ${replica.pod}, or use positioning: Auto`;
  return refused('Unproven', 'NotComparable', message);
}

/** File/position: the server must say that the replica's coordinates are the GTID captured before any reconnect. */
function provePlace(input: ProofInput): Located {
  const { replica, holder } = input;
  const at = placeOf(replica);
  if (at.file === '') return placeFromNowhere(input);
  const captured = gtidBefore(replica, at);
  if (isBaseline(input, at, captured)) return at;
  const answer = holderSays(input, at);
  if ('kind' in answer) return answer;
  if (answer.there !== null && formatPosition(answer.there) === formatPosition(captured)) return at;
  const byGtid = placeByGtid(input, captured);
  if (byGtid !== null) return byGtid;
  const later = answer.there === null ? beforeTheOldest(input, at) : null;
  if (later !== null) return later;
  const there = answer.there === null ? 'no place in its binlog' : formatPosition(answer.there);
  return refused(
    'Unproven',
    'LineageChanged',
    `${at.file}:${at.position} is ${there} on ${holder.member.name}, the replica had ${formatPosition(captured)} there`,
  );
}

/**
 * A file from before the oldest that there is was purged: that the server knows no such place says nothing of its history.
 * What the oldest begins with does, of what the replica lacks. Where it seems to lack nothing it is not resumed there: by
 * file a connect overwrites its GTID position with what was only received, and its relay log would be lost.
 */
function beforeTheOldest({ replica, holder, target, evidence }: ProofInput, at: Coordinates): Refused | Asking | null {
  const [oldest] = target.files;
  if (oldest === undefined || !(compareCoordinates(at, { file: oldest.name, position: 0 }) < 0)) return null;
  const answer = headOf({ holder, evidence }, oldest.name);
  if ('kind' in answer) return answer;
  if (isWithin(answer.head.gtidList, replica.contains)) return null;
  const message = `${replica.pod} stands at ${at.file}:${at.position}, before ${oldest.name}, the oldest binlog that ${holder.member.name} still has, and lacks what was logged in between: reseed ${replica.pod}, or restore the purged files there`;
  return refused('Purged', 'Purged', message);
}
