import { standsBack } from './contested.ts';
import type { Context } from './context.ts';
import { baselineMember, dialsStranger, dialsVip, memberOf } from './context.ts';
import { isRefusal } from './fact.ts';
import { fillOf, isBeingFilled } from './fill.ts';
import { beyond, ofServer, stateOf } from './gtid.ts';
import type { Holder } from './holder.ts';
import type { ServerLook } from './observation.ts';
import type { Plan } from './plan.ts';
import { planStopReceiving } from './plan.ts';

export const WAITING = [
  'VipSilent',
  'AllDown',
  'DatabaseDown',
  'HolderRestarted',
  'HolderReadOnly',
  'HolderStillApplying',
];

/**
 * Before MariaDB's own reconnect can end elsewhere, or on another lineage of the same server. On a Member link receiving
 * goes on while the old holder's server lives and is the incarnation that the replica follows: it is the fill.
 */
export function mustStopReceiving(context: Context): boolean {
  const { replica, policy, diagnosis } = context;
  if (replica.link.io === 'No') return false;
  // From a donor it cannot get too much, whoever holds the VIP meanwhile.
  if (isBeingFilled(context)) return false;
  if (dialsVip(replica, policy) || replica.link.io !== 'Yes' || dialsStranger(replica.link, context)) return true;
  const source = memberOf(context, baselineMember(replica));
  if (source === undefined || !source.look.known) return true;
  if (neverStandsStill(context)) return true;
  const restarted = diagnosis.situation === 'HolderRestarted' && diagnosis.holder?.member.name === source.name;
  return restarted || context.memory.members.get(source.name)?.inQuestion === true;
}

/**
 * Frozen: in a split nobody receives. A server that nobody knows stops what dials the VIP; one that refuses mxr may be the
 * one that it always was, so there only a link that would reconnect is stopped.
 */
export function mustFreeze(context: Context): boolean {
  const { diagnosis, replica, policy, observation } = context;
  if (replica.link.io === 'No') return false;
  if (diagnosis.situation === 'SplitBrain') return true;
  if (diagnosis.situation !== 'HolderUnknown') return false;
  if (fillOf(context) !== null) return true;
  return isRefusal(observation.vip.look) ? replica.link.io !== 'Yes' : dialsVip(replica, policy);
}

/** It receives from the old holder what the new one writes, and a proof would be made for a place that it has left. */
export function neverStandsStill(context: Context): boolean {
  const { replica, diagnosis } = context;
  const source = memberOf(context, baselineMember(replica));
  if (replica.link.io === 'No' || source === undefined || !source.look.known) return false;
  return givesWritesOf(source.look.value, source.name, diagnosis.holder) || hasOvertaken(context);
}

/**
 * In a dual-primary pair the old holder hands on what the new one writes: there is no end at which its replicas would stand
 * still to be proven. What they lack of it the new holder gives them itself, if it logs what it applied.
 */
function givesWritesOf(source: ServerLook, name: string, holder: Holder | null): boolean {
  if (holder === null || holder.look === null || holder.member.name === name) return false;
  const { identity, logSlaveUpdates } = holder.look;
  const follows = source.links.some(
    (link) => link.sql === 'Yes' && (link.host === holder.member.host || link.sourceServerId === identity.serverId),
  );
  return logSlaveUpdates && source.logSlaveUpdates && follows;
}

/**
 * A holder that does not log what it applied gives a replica only its own writes, so the old one fills it up to the
 * takeover. Once it hands on writes from after that, the replica has all from before, and would never stand still.
 */
function hasOvertaken({ diagnosis: { holder }, memory, replica }: Context): boolean {
  if (holder === null || holder.look === null || replica.memory.baseline?.member === holder.member.name) return false;
  const { serverId } = holder.look.identity;
  const before = memory.members.get(holder.member.name)?.lastStandby?.binlogState;
  const own = ofServer(replica.position.values(), serverId);
  return before !== undefined && beyond(stateOf(own), before).length > 0;
}

/** Its applier failed, and still it does not go on receiving from whoever answers next; once it applies, it is resumed. */
export function protect(context: Context): Plan | null {
  const { replica, diagnosis } = context;
  const { situation, holder } = diagnosis;
  const source = baselineMember(replica);
  if (source === null || replica.link.io === 'No' || standsBack(context)) return null;
  const isCalm = situation === 'HolderReadOnly' && holder?.member.name === source;
  const stop = mustFreeze(context) || (WAITING.includes(situation) && !isCalm && mustStopReceiving(context));
  return stop ? planStopReceiving(replica.pod, source) : null;
}
