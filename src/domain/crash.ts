import type { Evidence } from './evidence.ts';
import { answerTo } from './evidence.ts';
import type { GtidPosition } from './gtid.ts';
import { formatPosition, samePosition, seqIn } from './gtid.ts';
import { START_TIME_TOLERANCE_MS } from './memory.ts';
import type { Coordinates } from './observation.ts';
import type { Asking, ProofInput } from './proof.ts';
import { asking, incarnationKey } from './proof.ts';
import type { ReplicaFacts } from './replica.ts';

/** Whether the replica's server started again since its link was last seen to run. */
export function hasRestarted({ memory, look }: Pick<ReplicaFacts, 'memory' | 'look'>): boolean {
  if (memory.startedAt === null) return true;
  return Math.abs(look.identity.startedAt - memory.startedAt) > START_TIME_TOLERANCE_MS;
}

/**
 * By file/position a server that starts its link by itself may apply rows twice after a crash: its position file is not
 * written together with the rows (handover.md, Crash of a replica).
 */
export function startedUnproven(replica: ReplicaFacts): boolean {
  const { link, memory } = replica;
  if (memory.baseline === null || memory.startedAt === null || link.usingGtid !== 'No') return false;
  return (link.io !== 'No' || link.sql !== 'No') && hasRestarted(replica);
}

/**
 * The holder's coordinates of the replica's GTID, where the replica's own are behind: after a crash the position file may
 * lag the rows. Believed only if the replica's own binlog says the same GTID, and the holder says it of the place. Null:
 * they cannot be told.
 */
export function placeByGtid(input: ProofInput, position: GtidPosition): Coordinates | Asking | null {
  const { replica, holder, evidence } = input;
  const own = replica.look.logSlaveUpdates ? replica.look.gtidBinlogState : null;
  const logged = own !== null && [...position.values()].every((gtid) => seqIn(own, gtid) === gtid.seq);
  if (!logged || position.size === 0) return null;
  const asked = { member: holder.member.name, incarnation: incarnationKey(holder.member) };
  return placeOnHolder(asked, position, evidence);
}

function placeOnHolder(
  asked: { readonly member: string; readonly incarnation: string },
  position: GtidPosition,
  evidence: Evidence,
): Coordinates | Asking | null {
  const gtid = formatPosition(position);
  const rehearsal = { kind: 'Rehearsal', ...asked, gtid } as const;
  const begins = answerTo(evidence, rehearsal);
  if (!begins.known) return asking(`asking ${asked.member} where ${gtid} is`, rehearsal);
  if (!begins.value.accepted) return null;
  const { at } = begins.value;
  const question = { kind: 'GtidAt', ...asked, at } as const;
  const there = answerTo(evidence, question);
  if (!there.known) return asking(`asking ${asked.member} for the GTID at ${at.file}:${at.position}`, question);
  return there.value !== null && samePosition(there.value, position) ? at : null;
}
