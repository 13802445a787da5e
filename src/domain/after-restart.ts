import type { Gtid, GtidState } from './gtid.ts';
import { formatGtid } from './gtid.ts';
import type { ProvenRestart } from './memory.ts';
import type { Asking, ContentInput, Refused } from './proof.ts';
import { proveContent } from './proof.ts';

/**
 * A replica that has more than what a server had when it started again may have it from before a lost tail: the first
 * transaction that the server logged after its start (each, where nobody watched several) must then be the same on both.
 * Null: it is, or there is none.
 */
export function restartDoubt(input: ContentInput, { survived, later }: ProvenRestart): Refused | Asking | null {
  const firsts = [survived, ...later].flatMap((state) => firstAfter(input, state));
  const distinct = new Map(firsts.map((gtid) => [formatGtid(gtid), gtid]));
  return proveContent(input, [...distinct.values()]);
}

/** Per domain: the server's own first number after all that survived, whoever wrote that, where the replica has got so far. */
function firstAfter({ replica, holder }: ContentInput, survived: GtidState): Gtid[] {
  const { look } = holder;
  if (look === null) return [];
  return [...replica.position.values()].flatMap(({ domain, seq }) => {
    const applied = look.gtidSlavePos.get(domain)?.seq ?? 0n;
    const last = [...(survived.get(domain)?.values() ?? [])].reduce((most, one) => (one > most ? one : most), applied);
    return last === 0n || seq <= last ? [] : [{ domain, serverId: look.identity.serverId, seq: last + 1n }];
  });
}
