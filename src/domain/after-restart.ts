import { answerTo } from './evidence.ts';
import type { Gtid, GtidState } from './gtid.ts';
import { formatGtid, sameGtid } from './gtid.ts';
import type { ProvenRestart } from './memory.ts';
import type { Asking, ContentInput, Refused } from './proof.ts';
import { asking, incarnationKey, proveContent } from './proof.ts';

/**
 * A replica that has more than what a server had when it started again may have it from before a lost tail: the first
 * transaction that the server logged after its start (each, where nobody watched several) must then be the same on both.
 * Null: it is, or there is none.
 */
export function restartDoubt(input: ContentInput, { survived, later }: ProvenRestart): Refused | Asking | null {
  const firsts = [survived, ...later].flatMap((state) => firstAfter(input, state));
  const distinct = [...new Map(firsts.map((gtid) => [formatGtid(gtid), gtid])).values()];
  const relayed = relayedFirst(input, distinct);
  if (relayed === 'Same') return null;
  return relayed ?? proveContent(input, distinct);
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
