import type { Gtid, GtidState } from './gtid.ts';
import { formatGtid, gtidsOf, seqIn } from './gtid.ts';
import type { Memory, OwnBinlog } from './memory.ts';
import { NEW_REPLICA } from './memory.ts';
import type { Observation, ServerLook } from './observation.ts';

/** What the replica's own binlog has; null where it says nothing: there is none, or the account may not read it. */
export function ownBinlogOf({ logBin, logBinBasename, gtidBinlogState }: ServerLook): OwnBinlog | null {
  return logBin && gtidBinlogState !== null ? { basename: logBinBasename, state: gtidBinlogState } : null;
}

/**
 * A replica that was given other data while its link was never seen to be gone: its own binlog began anew, so a server
 * that stood in it is missing there. What was proven of the old data says nothing of the new: it is a first sight. That
 * rows may have been applied twice is still held against it, until its link is configured anew.
 */
export function forgetReplaced(memory: Memory, { replicas: observed }: Observation): Memory {
  const replicas = new Map(memory.replicas);
  for (const { pod, look } of observed) {
    const before = replicas.get(pod);
    const now = look.known ? ownBinlogOf(look.value) : null;
    if (before === undefined || before.ownBinlog === null || now === null) continue;
    const lost = lostFrom(before.ownBinlog, now);
    if (lost.length === 0) continue;
    const forgotten = `its own binlog began anew (${lost.map(formatGtid).join(', ')} was in it), so what was proven of its data before is forgotten`;
    replicas.set(pod, { ...NEW_REPLICA, pod, forgotten, unsafeSince: before.unsafeSince });
  }
  return { ...memory, replicas };
}

/** Under another name a binlog begins with nothing, whatever the data is. */
function lostFrom(before: OwnBinlog, now: OwnBinlog): readonly Gtid[] {
  if (before.basename !== now.basename) return [];
  const lost = gtidsOf(before.state).filter((gtid) => seqIn(now.state, gtid) === undefined);
  return isCutTail(before.state, now.state) ? [] : lost;
}

/**
 * A crash without sync_binlog=1 costs the end of the last file, and with it a server that stood only there. What is left is
 * then what was there before; a binlog that began anew has nothing, or newer numbers.
 */
function isCutTail(before: GtidState, now: GtidState): boolean {
  const left = gtidsOf(now);
  return left.length > 0 && left.every((gtid) => (seqIn(before, gtid) ?? -1n) >= gtid.seq);
}
