import type { Gtid, GtidState } from './gtid.ts';
import type { ProvenRestart } from './memory.ts';
import type { Asking, ContentInput, Refused } from './proof.ts';
import { proveContent } from './proof.ts';
import type { ReplicaFacts } from './replica.ts';

/**
 * A replica that has more than what a server had when it started again may have it from before a lost tail: the first
 * transaction that the server logged after its start must then be the same on both. Null: it is, or there is none.
 */
export function restartDoubt(input: ContentInput, restart: ProvenRestart): Refused | Asking | null {
  return proveContent(input, firstAfter(input.replica, restart.survived));
}

/** Per domain: the number that followed what survived, where the replica has got that far. */
function firstAfter(replica: ReplicaFacts, survived: GtidState): Gtid[] {
  return [...replica.position.values()].flatMap((gtid) => {
    const seq = survived.get(gtid.domain)?.get(gtid.serverId);
    return seq === undefined || gtid.seq <= seq ? [] : [{ ...gtid, seq: seq + 1n }];
  });
}
