import type { Gtid, GtidPosition } from './gtid.ts';
import { formatPosition, sameGtid, stateHas } from './gtid.ts';
import { binlogStateOf } from './memory.ts';
import type { Coordinates } from './observation.ts';
import type { Asking, ProofInput, Refused } from './proof.ts';
import { holderSays, refused } from './proof.ts';
import { compareByCoordinates } from './takeover-file.ts';

/**
 * A member that was built from a copy and applied nothing yet, or whose filters left the last transaction out, stands exactly
 * there, although its binlog does not show it. By GTID only: a file/position connect sets gtid_slave_pos to what was read.
 */
export function isCopied(input: ProofInput, gtid: Gtid): boolean {
  return input.targetMemory.lastStandby?.standby?.usingGtid === true && isItsPosition(input, gtid);
}

export function isItsPosition({ target }: ProofInput, gtid: Gtid): boolean {
  return sameGtid(target.gtidSlavePos.get(gtid.domain), gtid);
}

/** By file and position its position says so where it had applied exactly as much of the old holder. */
export function passedByFile(input: ProofInput): boolean | Asking {
  const standby = input.targetMemory.lastStandby;
  if (standby?.standby == null || standby.standby.usingGtid) return false;
  const difference = compareByCoordinates(input, standby);
  return difference?.kind === 'Asking' ? difference : difference === null;
}

/** Where the target passed a transaction without logging it, the place before it in its binlog is the same place. */
function isPlaceOf(input: ProofInput, there: GtidPosition): boolean {
  const { position, contains } = input.replica;
  return [...new Set([...there.keys(), ...position.keys()])].every((domain) => {
    const [said, own] = [there.get(domain), position.get(domain)];
    if (sameGtid(said, own)) return true;
    const isPassed = own !== undefined && isItsPosition(input, own) && !stateHas(binlogStateOf(input.target), own);
    return isPassed && (said === undefined || stateHas(contains, said));
  });
}

/** An offset is used only if the target itself says that it is exactly the replica's position, in every domain. */
export function proveOffset(input: ProofInput, at: Coordinates): Refused | Asking | null {
  const { holder, replica } = input;
  const answer = holderSays(input, at);
  if ('kind' in answer) return answer;
  const { there } = answer;
  if (there !== null && isPlaceOf(input, there)) return null;
  const message = `${holder.member.name} says that ${at.file}:${at.position} is ${there === null ? 'no place in its binlog' : formatPosition(there)}, the replica is at ${formatPosition(replica.position)}`;
  return refused('Unproven', 'WitnessesDisagree', message);
}
