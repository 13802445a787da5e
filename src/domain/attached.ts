import type { Gtid } from './gtid.ts';
import { beyond, isWithin, sameGtid, stateHas, stateOfPosition } from './gtid.ts';
import type { Holder } from './holder.ts';
import type { MemberMemory } from './memory.ts';
import { binlogStateOf } from './memory.ts';
import type { Observation, ServerLook } from './observation.ts';
import type { ReplicaFacts } from './replica.ts';
import { hasOwnId, hiddenWrites } from './hidden.ts';
import type { Decision } from './verdict.ts';
import { decide } from './verdict.ts';
import type { Memory } from './memory.ts';
import type { Context, Policy } from './context.ts';
import { lacking } from './proof.ts';

export const CATCHING_UP_SECONDS = 5;

interface Input {
  readonly policy: Policy;
  readonly observation: Observation;
  readonly memory: Memory;
}

/**
 * Who really feeds the replica. `Dump`: the holder has a Binlog Dump from this replica's address. `ServerId`: the address
 * is translated on the way, but the IO thread names the holder's server id, which no other member has.
 */
export function attachmentOf(input: Input, replica: ReplicaFacts, holder: Holder): 'Dump' | 'ServerId' | 'No' {
  const { link, observed } = replica;
  if (link.io !== 'Yes' || link.sql !== 'Yes' || !pointsAt(input.policy, replica, holder)) return 'No';
  const others = input.observation.members.filter((member) => member.name !== holder.member.name);
  const dialsMember = link.host === holder.member.host;
  const age = newestDump(holder.look, observed.ip, Number.POSITIVE_INFINITY);
  const elsewhere = others.flatMap(({ look }) => newestDump(look.known ? look.value : null, observed.ip, 0) ?? []);
  // A dump outlives its replica for a while: of a link that dials the VIP and is seen on two members, the later one lives.
  const isLast = elsewhere.every((other) => age !== null && other - age >= AGE_TOLERANCE_SECONDS);
  if (age !== null && (dialsMember || isLast)) return 'Dump';
  const holderId = holder.look?.identity.serverId;
  const ambiguous = others.some((member) => !member.look.known || member.look.value.identity.serverId === holderId);
  if (link.sourceServerId !== holderId) return 'No';
  return dialsMember || !ambiguous ? 'ServerId' : 'No';
}

/** Ages are in whole seconds, and the two were not read at the same moment. */
const AGE_TOLERANCE_SECONDS = 2;

/** Seconds since the last dump connection from this address began; null: there is none. */
function newestDump(look: ServerLook | null, address: string | null, whereUnknown: number): number | null {
  const dumps = (look?.dumps ?? []).filter((dump) => dump.address === address);
  return dumps.length === 0 ? null : Math.min(...dumps.map(({ ageSeconds }) => ageSeconds ?? whereUnknown));
}

function pointsAt(policy: Policy, replica: ReplicaFacts, holder: Holder): boolean {
  const { host, port } = replica.link;
  return (
    (host === holder.member.host && port === holder.member.port) ||
    (host === policy.vip.host && port === policy.vip.port)
  );
}

/** Attached to the holder, on the lineage that it was proven on. */
export function isAttachedTo(context: Context, holder: Holder): boolean {
  const { replica, memory } = context;
  const baseline = replica.memory.baseline;
  const target = memory.members.get(holder.member.name);
  if (baseline?.member !== holder.member.name || target?.lineage !== baseline.lineage || target.inQuestion)
    return false;
  // The VIP went back to the donor: its link would end where the other member had taken over.
  if (replica.link.until !== undefined && context.intended.get(replica.pod)?.fill !== undefined) return false;
  return attachmentOf(context, replica, holder) !== 'No';
}

/** The replica is attached to the holder at a proven position: is that still true, and how late is it? */
export function decideAttached(input: Input, replica: ReplicaFacts, holder: Holder): Decision {
  const { pod } = replica;
  const target = holder.look;
  const memory = input.memory.members.get(holder.member.name);
  if (target === null || memory === undefined) {
    return decide(pod, 'Following', 'Following', `attached to ${holder.member.name}`);
  }
  const hidden = hiddenWrites({ replica, holder, target, hasOwnId: hasOwnId(input, holder) });
  if (hidden !== null)
    return decide(pod, hidden.verdict, hidden.reason, hidden.message, { transactions: hidden.transactions });
  const ahead =
    holder.lookAt > replica.standing.since ? beyond(stateOfPosition(replica.position), binlogStateOf(target)) : [];
  const foreign = ahead.filter((gtid) => !hasPassed(target, gtid) && !isForgotten(memory, target, gtid));
  if (foreign.length > 0) {
    const transactions = lacking(foreign, binlogStateOf(target));
    const message = `${pod} has ${transactions.gtids.join(', ')}, which ${holder.member.name} lacks although it feeds it`;
    return decide(pod, 'Ahead', 'Ahead', message, { transactions });
  }
  const lagSeconds = lagOf(replica, memory, input.observation.wallNow);
  // What a user made late on purpose is not late.
  const { delay } = replica.link;
  if (lagSeconds !== null && lagSeconds > delay + CATCHING_UP_SECONDS) {
    const wanted = delay > 0 ? ` (it has MASTER_DELAY=${delay})` : '';
    const message = `attached to ${holder.member.name}, ${Math.round(lagSeconds)} s behind${wanted}`;
    return decide(pod, 'CatchingUp', 'CatchingUp', message, { lagSeconds });
  }
  return decide(pod, 'Following', 'Following', `follows ${holder.member.name}`, { lagSeconds });
}

/**
 * What it applied itself and does not log, the replica got before it was moved there. One that logs what it applies has
 * passed its last transaction without logging it where a filter left that out, or a copy brought it.
 */
function hasPassed({ logSlaveUpdates, gtidSlavePos }: ServerLook, gtid: Gtid): boolean {
  if (!logSlaveUpdates) return stateHas(stateOfPosition(gtidSlavePos), gtid);
  return sameGtid(gtidSlavePos.get(gtid.domain), gtid);
}

/** FLUSH BINARY LOGS DELETE_DOMAIN_ID there: it was seen in this very history, and no transaction is gone. */
function isForgotten({ anchors }: MemberMemory, target: ServerLook, gtid: Gtid): boolean {
  const isGone = !binlogStateOf(target).has(gtid.domain);
  return isGone && anchors.some(({ binlogState }) => stateHas(binlogState, gtid));
}

/** Seconds since the replica last had everything that the holder was seen to have; null when that was never seen. */
function lagOf(replica: ReplicaFacts, holder: MemberMemory, wallNow: number): number | null {
  const reached = stateOfPosition(replica.position);
  const index = holder.anchors.findLastIndex((anchor) => isWithin(stateOfPosition(anchor.binlogPos), reached));
  if (index === holder.anchors.length - 1) return 0;
  const anchor = holder.anchors[index];
  if (anchor !== undefined) return Math.max(0, wallNow - anchor.at) / 1000;
  // Older than everything remembered: at least so late, or as late as the replica itself says.
  const oldest = holder.anchors[0];
  const atLeast = oldest === undefined ? 0 : Math.max(0, wallNow - oldest.at) / 1000;
  return Math.max(atLeast, replica.link.secondsBehind ?? 0);
}
