import type { GtidState } from './gtid.ts';
import { formatGtid, gtidsOf, seqIn } from './gtid.ts';
import type { Memory } from './memory.ts';
import { NEW_REPLICA } from './memory.ts';
import type { Observation, ServerLook } from './observation.ts';

/** What the replica's own binlog has; null where it says nothing: there is none, or the account may not read it. */
export function ownBinlogOf({ logBin, gtidBinlogState }: ServerLook): GtidState | null {
  return logBin ? gtidBinlogState : null;
}

/**
 * A replica that was given other data while its link was never seen to be gone: its own binlog began anew, so a server
 * that stood in it is missing there. (A crash may cost it its last numbers, but no server: each binlog file begins with
 * the list of all.) What was proven of the old data says nothing of the new: it is a first sight.
 */
export function forgetReplaced(memory: Memory, { replicas: observed }: Observation): Memory {
  const replicas = new Map(memory.replicas);
  for (const { pod, look } of observed) {
    const before = replicas.get(pod)?.ownBinlog ?? null;
    const now = look.known ? ownBinlogOf(look.value) : null;
    if (before === null || now === null) continue;
    const lost = gtidsOf(before).filter((gtid) => seqIn(now, gtid) === undefined);
    if (lost.length === 0) continue;
    const forgotten = `its own binlog began anew (${lost.map(formatGtid).join(', ')} was in it), so what was proven of its data before is forgotten`;
    replicas.set(pod, { ...NEW_REPLICA, pod, forgotten });
  }
  return { ...memory, replicas };
}
