import { decideAdoption } from './adopt.ts';
import { restartDoubt } from './after-restart.ts';
import { decideAttached, isAttachedTo } from './attached.ts';
import type { Context, DecisionInput } from './context.ts';
import { baselineMember, factsOf } from './context.ts';
import { standsBack } from './contested.ts';
import { hasRestarted, startedUnproven } from './crash.ts';
import { wasAsked } from './fact.ts';
import { filtered } from './filters.ts';
import { formatPosition, stateHas } from './gtid.ts';
import { mayHaveStrayed } from './fed.ts';
import type { Holder } from './holder.ts';
import { localConflict } from './local-conflict.ts';
import { toBeMoved } from './move.ts';
import type { ReplicaObservation } from './observation.ts';
import { compareCoordinates, linkOf } from './observation.ts';
import { planStopReceiving } from './plan.ts';
import { protect } from './protect.ts';
import type { ReplicaFacts } from './replica.ts';
import { hiddenBefore, hiddenUnwatched } from './hidden.ts';
import { relinked } from './relink.ts';
import { reconnected } from './restart.ts';
import { areOneServer, twiceMessage, usedTwice } from './shared.ts';
import type { Decision } from './verdict.ts';
import { decide, isReady } from './verdict.ts';
import { candidates, frozen, hiddenBySource, prepareElsewhere, waiting } from './wait.ts';

type Check = (context: Context) => Decision | null;

/** First match wins: what cannot be judged, what is stopped by an error, what must wait, then the position itself. */
const CHECKS: readonly Check[] = [
  incomplete,
  beingMoved,
  applierFailed,
  filtered,
  storageUsedTwice,
  notAdopted,
  wentBack,
  crashUnsafe,
  contested,
  frozen,
  stoppedByHand,
  waiting,
  comparedAfterRestart,
  strayed,
  mayLackHidden,
  onHolder,
  toBeMoved,
];

export function decideReplica(input: DecisionInput, observed: ReplicaObservation): Decision {
  const unseen = cannotJudge(input, observed);
  if (unseen !== null) return unseen;
  const replica = factsOf(input, observed);
  if (replica === null)
    return decide(observed.pod, 'Unseeded', 'Unseeded', 'the replica has no replication link and no position');
  for (const check of CHECKS) {
    const decision = check({ ...input, replica });
    if (decision !== null) return decision;
  }
  return decide(observed.pod, 'Unproven', 'NotComparable', 'no check matched');
}

function cannotJudge(input: DecisionInput, observed: ReplicaObservation): Decision | null {
  const { look, pod } = observed;
  if (!wasAsked(look)) return decide(pod, 'Unreachable', 'NotLookedYet', 'not asked yet');
  if (!look.known) return decide(pod, 'Unreachable', 'Unreachable', `the replica does not answer: ${look.why}`);
  if (linkOf(look.value, input.policy.channel) !== undefined) return null;
  if (look.value.gtidSlavePos.size === 0)
    return decide(
      pod,
      'Unseeded',
      'Unseeded',
      'it has no replication link and no position: it waits for its first data',
    );
  const text = 'it has a position but no replication link; point it at the source once, mxr adopts it then';
  return decide(pod, 'StoppedByHand', 'StoppedByHand', text);
}

/** Nothing is touched before every look has answered once. */
function incomplete({ diagnosis, replica }: Context): Decision | null {
  if (diagnosis.complete) return null;
  return decide(replica.pod, 'Waiting', 'NotLookedYet', 'not everything has answered once since mxr started');
}

/** Receiving is being stopped in a freeze: that is no handover. */
function beingMoved(context: Context): Decision | null {
  const moving = underWay(context);
  const freeze = moving === null ? null : frozen(context);
  return freeze === null ? moving : { ...freeze, plan: null };
}

function underWay({ busy, actedAt, replica, observation, diagnosis, intended }: Context): Decision | null {
  const verdict = intended.get(replica.pod)?.fill === undefined ? 'HandingOver' : 'Filling';
  const task = busy.get(replica.pod);
  if (task === undefined) {
    const acted = actedAt.get(replica.pod) ?? Number.NEGATIVE_INFINITY;
    const seenSince = replica.lookAt > acted && (diagnosis.holder === null || diagnosis.holder.lookAt > acted);
    return seenSince ? null : decide(replica.pod, verdict, verdict, 'looking at it after the last step');
  }
  const slow = observation.now - task.since > DRAIN_SLOW_MS;
  return decide(replica.pod, verdict, slow ? 'DrainSlow' : verdict, task.what);
}

const DRAIN_SLOW_MS = 60_000;

function applierFailed(context: Context): Decision | null {
  const { link, pod } = context.replica;
  if (link.sql === 'Yes' || link.sqlErrno === 0) return null;
  const message = `the SQL thread stopped with ${link.sqlErrno}: ${link.sqlError}`;
  const conflict = localConflict(context, message);
  if (conflict?.verdict === 'LocalConflict') return conflict;
  const replaced = sourceBuiltAnew(context);
  if (replaced !== null) {
    const text = `${message}. ${replaced}: a replica that went on there by itself passes over what it lacks. Skip nothing; compare the data, or reseed it`;
    return decide(pod, 'Unproven', 'LineageChanged', text, { plan: protect(context) });
  }
  return conflict ?? decide(pod, 'ApplierFailed', 'ApplierFailed', message, { plan: protect(context) });
}

/** The history on which it was proven is over: an error of its applier may be what a hole in its rows looks like. */
function sourceBuiltAnew({ replica, memory }: Context): string | null {
  const { baseline } = replica.memory;
  const source = baseline === null ? undefined : memory.members.get(baseline.member);
  if (source === undefined || source.inQuestion || source.lineage === baseline?.lineage) return null;
  return source.broken?.reason === 'LineageChanged' ? source.broken.message : null;
}

/** Two servers on one data directory destroy it: what arrives from either may be damaged, and both wrote. */
function storageUsedTwice({ policy, memory, observation, replica }: Context): Decision | null {
  const twice = usedTwice(policy.topology, memory, observation);
  const { baseline } = replica.memory;
  if (twice === null || (!twice.now && (baseline === null || baseline.at > twice.at))) return null;
  const plan = baseline === null || replica.link.io === 'No' ? null : planStopReceiving(replica.pod, baseline.member);
  return decide(replica.pod, 'Unproven', 'SharedStorageTwice', twiceMessage(twice), { plan });
}

function notAdopted(context: Context): Decision | null {
  return context.replica.memory.baseline === null ? decideAdoption(context, context.replica) : null;
}

/** By file its GTID position is what its source says of the coordinates: without log_slave_updates there it may be older. */
function goesByFile({ link, memory }: ReplicaFacts): boolean {
  const proven = memory.baseline?.coordinates ?? null;
  if (link.usingGtid !== 'No' || proven === null) return false;
  return link.exec.file === '' || compareCoordinates(link.exec, proven) >= 0;
}

/**
 * Behind what was proven of it: restored from an older copy, or its position was overwritten by a file/position connect.
 * Nothing that was known of it holds. By GTID from the holder it catches up by itself, and is proven again then.
 */
function wentBack(context: Context): Decision | null {
  const { replica } = context;
  const { gtid: proven, contains } = replica.memory.baseline ?? {};
  const lost = [...(proven?.values() ?? [])].filter((gtid) => {
    const here = replica.position.get(gtid.domain);
    // Two servers that write to one domain count on from each other's numbers: a smaller one that is new is no step back.
    const isNew = here !== undefined && contains !== undefined && !stateHas(contains, here);
    return here === undefined || (here.seq < gtid.seq && !isNew);
  });
  if (proven === undefined || lost.length === 0 || goesByFile(replica)) return null;
  const here = formatPosition(replica.position) || 'no position';
  const message = `it stands at ${here} and was proven at ${formatPosition(proven)}: it was restored from an older copy, or its position was overwritten; let it catch up by GTID from the holder, or reseed it`;
  return decide(replica.pod, 'Unproven', 'WitnessesDisagree', message, { plan: protect(context) });
}

/** It stays so until the replica gets other data: what was applied twice cannot be seen from its position. */
function crashUnsafe(context: Context): Decision | null {
  const { replica } = context;
  if (replica.memory.unsafeSince === null && !startedUnproven(replica)) return null;
  const message = `its server restarted and started the link by itself: by file/position transactions may have been applied twice. Set skip-slave-start on it (mxr starts the link once the position is proven) or link.positioning: GTID, then reseed it; or compare its data, RESET SLAVE ALL and configure its link again`;
  return decide(replica.pod, 'Unproven', 'CrashUnsafePosition', message, { plan: protect(context) });
}

/** No error, or one of connecting, which a STOP SLAVE leaves there: none of them stops the SQL thread too. */
const STOPPABLE: readonly number[] = [0, 1040, 1045, 1130, 1158, 1159, 1160, 1161, 2002, 2003, 2005, 2006, 2013, 2026];

/** Both threads stopped, no restart, no handover of ours that left them so, and no error: a person did that. */
function stoppedByHand({ replica, intended }: Context): Decision | null {
  const { link, pod, memory } = replica;
  if (link.io !== 'No' || link.sql !== 'No' || !STOPPABLE.includes(link.ioErrno)) return null;
  if (intended.has(pod) || memory.haltedSince !== null || hasRestarted(replica)) return null;
  return decide(pod, 'StoppedByHand', 'StoppedByHand', 'somebody stopped replication; START SLAVE lets mxr go on');
}

function onHolder(context: Context): Decision | null {
  const { diagnosis, replica } = context;
  const holder = diagnosis.holder ?? heldUntilNow(context);
  if (holder !== null && isAttachedTo(context, holder)) {
    const decision = relinked(context, holder, decideAttached(context, replica, holder));
    return isReady(decision.verdict) ? { ...decision, ...prepareElsewhere(context) } : decision;
  }
  return diagnosis.holder === null ? decide(replica.pod, 'Waiting', 'VipSilent', diagnosis.message) : null;
}

/** Attached to the right server, but perhaps not all the time: it is stopped where it is and proven like one that is moved. */
function strayed(context: Context): Decision | null {
  const { replica, diagnosis } = context;
  const { holder } = diagnosis;
  if (holder === null || replica.link.io === 'No' || !isAttachedTo(context, holder)) return null;
  if (!mayHaveStrayed(context, replica, holder)) return null;
  const message = `its link dials the VIP and reconnected while nobody watched it: what it got since is compared with ${holder.member.name}`;
  return decide(replica.pod, 'HandingOver', 'HandingOver', message, {
    plan: planStopReceiving(replica.pod, holder.member.name),
  });
}

/** A holder that does not log what it applies may have taken in what another member wrote while nobody watched. */
function mayLackHidden(context: Context): Decision | null {
  const { replica, diagnosis, memory } = context;
  const { holder } = diagnosis;
  // What the holder is seen to have applied is more than what may have been written until this process began to look.
  const before =
    holder === null ? null : (hiddenBefore(replica, holder, memory) ?? hiddenUnwatched(replica, holder, memory));
  const hidden = hiddenBySource(context) ?? before;
  return hidden === null ? null : decide(replica.pod, hidden.verdict, hidden.reason, hidden.message, hidden);
}

/** One failed probe is no silence yet: a replica that goes on replicating from where it was proven is judged by that. */
function heldUntilNow(context: Context): Holder | null {
  if (context.diagnosis.situation !== 'Stable') return null;
  return candidates(context).find(({ member }) => member.name === baselineMember(context.replica)) ?? null;
}

/** Until a person has decided. Before whatever would stop the link: that would be one more change of it. */
function contested(context: Context): Decision | null {
  if (!standsBack(context)) return null;
  const { link, pod } = context.replica;
  const { host, port } = link;
  const message = `somebody else changed its link twice within ten minutes (now ${host}:${port}); mxr leaves it alone for ten minutes after the last change. End the other management, or take the pod out of the selector`;
  return decide(pod, 'Unproven', 'Contested', message);
}

/** It reconnected by itself to a server that had restarted: MariaDB may have gone on over a lost tail. */
function comparedAfterRestart(context: Context): Decision | null {
  const { replica, diagnosis, memory } = context;
  const holder = diagnosis.holder;
  const restart = holder === null ? null : (memory.members.get(holder.member.name)?.restart ?? null);
  const source = replica.memory.baseline?.member;
  if (holder === null || restart === null || source === undefined) return null;
  if (!areOneServer(memory, source, holder.member.name)) return null;
  if (replica.memory.clearedFor === restart.file || !reconnected(replica, restart)) return null;
  const doubt = restartDoubt({ replica, holder, evidence: context.evidence }, restart);
  if (doubt === null) return null;
  const plan = replica.link.io === 'No' ? null : planStopReceiving(replica.pod, holder.member.name);
  if (doubt.kind === 'Asking') {
    return decide(replica.pod, 'Waiting', 'HolderRestarted', doubt.message, { questions: doubt.questions, plan });
  }
  return decide(replica.pod, doubt.verdict, doubt.reason, doubt.message, { transactions: doubt.transactions, plan });
}
