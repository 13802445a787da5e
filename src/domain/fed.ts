import type { Context } from './context.ts';
import { dialsVip } from './context.ts';
import type { Fed } from './memory.ts';
import type { Holder } from './holder.ts';
import type { DumpThread } from './observation.ts';
import { seqIn, stateHas } from './gtid.ts';
import type { ReplicaFacts } from './replica.ts';

/** The holder's sessions that feed a replica; where addresses are translated several replicas may share them. */
export function dumpsOf({ observed }: Pick<ReplicaFacts, 'observed'>, { look }: Holder): readonly DumpThread[] {
  return (look?.dumps ?? []).filter((dump) => dump.address === observed.ip);
}

/** What to remember of the session that feeds a replica now. */
export function fedNow(replica: ReplicaFacts, holder: Holder): Fed {
  const connectionIds = dumpsOf(replica, holder).map((dump) => dump.connectionId);
  return { incarnation: holder.member.incarnation, connectionIds, seenAt: holder.lookAt };
}

/**
 * A link that dials the VIP reconnects by itself, to whoever answers there. Where nobody watched (mxr was down, or it was
 * silent for a moment) the replica may have been fed by another server meanwhile and be back on this one: that it is
 * attached to the right server says nothing of what it got or skipped there.
 */
export function mayHaveStrayed(context: Context, replica: ReplicaFacts, holder: Holder): boolean {
  const { baseline, fed } = replica.memory;
  if (baseline?.member !== holder.member.name || !dialsVip(replica, context.policy) || fed === 'Ours') return false;
  const news = [...replica.position.values()].filter((gtid) => !stateHas(baseline.contains, gtid));
  if (news.length === 0 || isSameSession(context, replica, holder)) return false;
  if (fed === null) return true;
  const { answersSince } = context.observation.vip;
  if (answersSince !== null && answersSince <= fed.seenAt) return false;
  return gotFromAnother(replica, holder);
}

/** One session that was there all the time since the replica was proven: it cannot have been elsewhere. */
function isSameSession({ observation }: Context, replica: ReplicaFacts, holder: Holder): boolean {
  const dumps = dumpsOf(replica, holder);
  const { baseline, fed } = replica.memory;
  if (baseline === null || replica.link.io !== 'Yes') return false;
  if (fed !== null && fed !== 'Ours' && fed.incarnation === holder.member.incarnation) {
    return dumps.some((dump) => fed.connectionIds.includes(dump.connectionId));
  }
  const [only] = dumps;
  if (dumps.length !== 1 || only === undefined || only.ageSeconds === null) return false;
  return only.ageSeconds * 1000 > observation.wallNow - baseline.at + AGE_TOLERANCE_MS;
}

/** Ages are in whole seconds, and the clocks of two machines differ. */
const AGE_TOLERANCE_MS = 3_000;

/** Since it was proven it got transactions of a server that is not the one which it follows. */
function gotFromAnother({ memory, contains }: ReplicaFacts, { look, member }: Holder): boolean {
  const own = look?.identity.serverId;
  const baseline = memory.baseline;
  if (baseline?.member !== member.name) return false;
  return [...contains].some(([domain, servers]) =>
    [...servers].some(([serverId, seq]) => {
      const before = seqIn(baseline.contains, { domain, serverId });
      return serverId !== own && (before === undefined || before < seq);
    }),
  );
}

/** Whole seconds: by then its relay log is of this connection. */
const CONNECTED_SECONDS = 1;

/** The life of the holder that is seen to feed the replica; else what was seen before. */
export function connectedNow(replica: ReplicaFacts, holder: Holder): number | null {
  const isFed = dumpsOf(replica, holder).some(({ ageSeconds }) => (ageSeconds ?? 0) >= CONNECTED_SECONDS);
  return isFed && replica.link.io === 'Yes' ? holder.member.incarnation : replica.memory.connectedTo;
}
