import type { Trigger } from '../api/reasons.ts';
import { decideAdoption } from './adopt.ts';
import { restartDoubt } from './after-restart.ts';
import { attachmentOf, decideAttached } from './attached.ts';
import type { Context, DecisionInput, Policy } from './context.ts';
import { isContested } from './contested.ts';
import { dialsVip, factsOf, linkTarget } from './context.ts';
import { proveContained } from './contained.ts';
import { hasRestarted, startedUnproven } from './crash.ts';
import type { Question } from './evidence.ts';
import { answerTo } from './evidence.ts';
import { valueOf, wasAsked } from './fact.ts';
import type { Holder } from './holder.ts';
import type { MemberObservation, ReplicaObservation } from './observation.ts';
import { compareCoordinates, linkOf, sameCoordinates } from './observation.ts';
import type { Plan } from './plan.ts';
import { planApply, planMove, planResume, planStopReceiving } from './plan.ts';
import { beyond, formatPosition, isWithin, stateOfPosition, stateHas } from './gtid.ts';
import { binlogStateOf } from './memory.ts';
import type { Asking, ProofInput, ProofResult, Proven, Refused } from './proof.ts';
import { asking, lacking, refused } from './proof.ts';
import type { ReplicaFacts } from './replica.ts';
import { hiddenWrites, proveSameServer, reconnected } from './same-server.ts';
import { strayedByFile } from './stray.ts';
import { proveTakeover } from './takeover.ts';
import type { Decision } from './verdict.ts';
import { decide } from './verdict.ts';

type Check = (context: Context) => Decision | null;

/** First match wins: what cannot be judged, what is stopped by an error, what must wait, then the position itself. */
const CHECKS: readonly Check[] = [
  incomplete,
  beingMoved,
  applierFailed,
  notAdopted,
  wentBack,
  crashUnsafe,
  frozen,
  waiting,
  stoppedByHand,
  contested,
  comparedAfterRestart,
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

function underWay({ busy, actedAt, replica, observation, diagnosis }: Context): Decision | null {
  const task = busy.get(replica.pod);
  if (task === undefined) {
    const acted = actedAt.get(replica.pod) ?? Number.NEGATIVE_INFINITY;
    const seenSince = replica.lookAt > acted && (diagnosis.holder === null || diagnosis.holder.lookAt > acted);
    return seenSince ? null : decide(replica.pod, 'HandingOver', 'HandingOver', 'looking at it after the last step');
  }
  const slow = observation.now - task.since > DRAIN_SLOW_MS;
  return decide(replica.pod, 'HandingOver', slow ? 'DrainSlow' : 'HandingOver', task.what);
}

const DRAIN_SLOW_MS = 60_000;

function applierFailed(context: Context): Decision | null {
  const { link, pod } = context.replica;
  if (link.sql === 'Yes' || link.sqlErrno === 0) return null;
  const message = `the SQL thread stopped with ${link.sqlErrno}: ${link.sqlError}`;
  return decide(pod, 'ApplierFailed', 'ApplierFailed', message, { plan: protect(context) });
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
function wentBack({ replica }: Context): Decision | null {
  const proven = replica.memory.baseline?.gtid;
  const lost = [...(proven?.values() ?? [])].filter((gtid) => {
    const here = replica.position.get(gtid.domain);
    return here === undefined || here.seq < gtid.seq;
  });
  if (proven === undefined || lost.length === 0 || goesByFile(replica)) return null;
  const here = formatPosition(replica.position) || 'no position';
  const message = `it stands at ${here} and was proven at ${formatPosition(proven)}: it was restored from an older copy, or its position was overwritten; let it catch up by GTID from the holder, or reseed it`;
  return decide(replica.pod, 'Unproven', 'WitnessesDisagree', message);
}

/** It stays so until the replica gets other data: what was applied twice cannot be seen from its position. */
function crashUnsafe(context: Context): Decision | null {
  const { replica } = context;
  if (replica.memory.unsafeSince === null && !startedUnproven(replica)) return null;
  const message = `its server restarted and started the link by itself: by file/position transactions may have been applied twice. Set skip-slave-start on it (mxr starts the link once the position is proven) or link.positioning: GTID, then reseed it; or compare its data, RESET SLAVE ALL and configure its link again`;
  return decide(replica.pod, 'Unproven', 'CrashUnsafePosition', message, { plan: protect(context) });
}

function frozen(context: Context): Decision | null {
  const { diagnosis, replica, policy } = context;
  const { situation, message } = diagnosis;
  if (situation !== 'SplitBrain' && situation !== 'HolderUnknown') return null;
  const stop = situation === 'SplitBrain' || dialsVip(replica, policy);
  const plan = stop && replica.link.io !== 'No' ? planStopReceiving(replica.pod, baselineMember(replica)) : null;
  const hidden = hiddenBySource(context);
  if (hidden !== null) {
    return decide(replica.pod, hidden.verdict, hidden.reason, hidden.message, {
      transactions: hidden.transactions,
      plan,
    });
  }
  return decide(replica.pod, 'Frozen', situation, message, { plan });
}

/** A holder that takes the other side's writes in and does not log them: what the replica lacks is known, split or not. */
function hiddenBySource({ diagnosis, replica }: Context): Refused | null {
  const { holder } = diagnosis;
  if (holder === null || holder.look === null || replica.memory.baseline?.member !== holder.member.name) return null;
  return hiddenWrites({ replica, holder, target: holder.look });
}

const WAITING = ['VipSilent', 'AllDown', 'DatabaseDown', 'HolderRestarted', 'HolderReadOnly', 'HolderStillApplying'];

/** Nothing is wrong here, the source is not ready. What must not go on receiving is stopped; it can always be resumed. */
function waiting(context: Context): Decision | null {
  const { diagnosis, replica } = context;
  if (!WAITING.includes(diagnosis.situation)) return null;
  const holder = diagnosis.holder;
  const calmReadOnly = diagnosis.situation === 'HolderReadOnly' && holder !== null && isAttachedTo(context, holder);
  if (calmReadOnly) return null;
  const plan = mustStopReceiving(context) ? planStopReceiving(replica.pod, baselineMember(replica)) : null;
  return decide(replica.pod, 'Waiting', diagnosis.situation, diagnosis.message, { plan, ...prepare(context) });
}

/**
 * Uses the time of waiting: for each member that may hold the VIP next the proof is asked for ahead, so that a rehearsed
 * position and three statements remain when the VIP answers. A plan that fails here decides nothing.
 */
function prepare(context: Context): Pick<Decision, 'questions' | 'prepared'> {
  const results = candidates(context).flatMap((holder) => {
    const input = proofInput(context, holder);
    return input === null ? [] : [{ holder, input, result: prove(input) }];
  });
  const questions = results.flatMap(({ result }) => (result.kind === 'Asking' ? result.questions : []));
  const moves = results.flatMap(({ holder, input, result }) =>
    result.kind === 'Proven' ? [planFor(context, holder, result, input)] : [],
  );
  const [only] = moves.filter((plan) => plan.kind === 'Move');
  const asked = questions.filter((question) => question.kind !== 'LiveLook');
  return { questions: asked, prepared: moves.length === 1 && only !== undefined ? only : null };
}

/** The holder where it is known, else every member that answers. */
function candidates({ diagnosis, observation, memory }: Context): readonly Holder[] {
  if (diagnosis.situation === 'HolderRestarted') return [];
  if (diagnosis.holder !== null) return [diagnosis.holder];
  return observation.members.flatMap((member) => {
    const { look } = member;
    if (!look.known || memory.members.get(member.name)?.inQuestion !== false) return [];
    const { readOnly } = look.value;
    return [{ member, knownBy: 'Identity', look: look.value, lookAt: look.at, readOnly } as const];
  });
}

/**
 * Before MariaDB's own reconnect can end elsewhere, or on another lineage of the same server. On a Member link receiving
 * goes on while the old holder's server lives and is the incarnation that the replica follows: it is the fill.
 */
function mustStopReceiving(context: Context): boolean {
  const { replica, policy, diagnosis } = context;
  if (replica.link.io === 'No') return false;
  if (dialsVip(replica, policy) || replica.link.io !== 'Yes') return true;
  const source = memberOf(context, baselineMember(replica));
  if (source === undefined || !source.look.known) return true;
  const restarted = diagnosis.situation === 'HolderRestarted' && diagnosis.holder?.member.name === source.name;
  return restarted || context.memory.members.get(source.name)?.inQuestion === true;
}

/** Its applier failed, and still it does not go on receiving from whoever answers next; once it applies, it is resumed. */
function protect(context: Context): Plan | null {
  const { replica, diagnosis, policy } = context;
  const { situation, holder } = diagnosis;
  const source = baselineMember(replica);
  if (source === null || replica.link.io === 'No') return null;
  const isCalm = situation === 'HolderReadOnly' && holder?.member.name === source;
  const isSplit = situation === 'SplitBrain' || (situation === 'HolderUnknown' && dialsVip(replica, policy));
  const stop = isSplit || (WAITING.includes(situation) && !isCalm && mustStopReceiving(context));
  return stop ? planStopReceiving(replica.pod, source) : null;
}

/** Both threads stopped, no restart, no intent of ours and no error: a person did that. */
function stoppedByHand({ replica, intended }: Context): Decision | null {
  const { link, pod } = replica;
  if (link.io !== 'No' || link.sql !== 'No' || link.ioErrno !== 0 || intended.has(pod)) return null;
  if (hasRestarted(replica)) return null;
  return decide(pod, 'StoppedByHand', 'StoppedByHand', 'somebody stopped replication; START SLAVE lets mxr go on');
}

function onHolder(context: Context): Decision | null {
  const { diagnosis, replica } = context;
  const holder = diagnosis.holder ?? heldUntilNow(context);
  if (holder !== null && isAttachedTo(context, holder)) return decideAttached(context, replica, holder);
  return diagnosis.holder === null ? decide(replica.pod, 'Waiting', 'VipSilent', diagnosis.message) : null;
}

/** One failed probe is no silence yet: a replica that goes on replicating from where it was proven is judged by that. */
function heldUntilNow(context: Context): Holder | null {
  if (context.diagnosis.situation !== 'Stable') return null;
  return candidates(context).find(({ member }) => member.name === baselineMember(context.replica)) ?? null;
}

/** Two who change one link in turn help nobody: mxr stands back until a person has decided. */
function contested({ replica, observation }: Context): Decision | null {
  if (!isContested(replica.memory, observation.wallNow)) return null;
  const { host, port } = replica.link;
  const message = `somebody else changed its link twice within ten minutes (now ${host}:${port}); mxr leaves it alone for ten minutes after the last change. End the other management, or take the pod out of the selector`;
  return decide(replica.pod, 'Unproven', 'Contested', message);
}

/** It reconnected by itself to a server that had restarted: MariaDB may have gone on over a lost tail. */
function comparedAfterRestart(context: Context): Decision | null {
  const { replica, diagnosis, memory } = context;
  const holder = diagnosis.holder;
  const restart = holder === null ? null : (memory.members.get(holder.member.name)?.restart ?? null);
  if (holder === null || restart === null || replica.memory.baseline?.member !== holder.member.name) return null;
  if (replica.memory.clearedFor === restart.file || !reconnected(replica, restart)) return null;
  const doubt = restartDoubt({ replica, holder, evidence: context.evidence }, restart);
  if (doubt === null) return null;
  const plan = replica.link.io === 'No' ? null : planStopReceiving(replica.pod, holder.member.name);
  if (doubt.kind === 'Asking') {
    return decide(replica.pod, 'Waiting', 'HolderRestarted', doubt.message, { questions: doubt.questions, plan });
  }
  return decide(replica.pod, doubt.verdict, doubt.reason, doubt.message, { transactions: doubt.transactions, plan });
}

function isAttachedTo(context: Context, holder: Holder): boolean {
  const { replica, memory } = context;
  const baseline = replica.memory.baseline;
  const target = memory.members.get(holder.member.name);
  if (baseline?.member !== holder.member.name || target?.lineage !== baseline.lineage || target.inQuestion)
    return false;
  return attachmentOf(context, replica, holder) !== 'No';
}

/** The replica is not where it should be: prove where it stands in the holder's history, then move or resume it. */
function toBeMoved(context: Context): Decision {
  const { replica, diagnosis } = context;
  const holder = diagnosis.holder;
  const input = holder === null ? null : proofInput(context, holder);
  if (holder === null || input === null) {
    return decide(replica.pod, 'Waiting', diagnosis.situation, diagnosis.message);
  }
  const broken = linkBroken(context, holder);
  if (broken !== null) return broken;
  return fromProof(context, holder, lookedBefore(context, holder) ?? prove(input), input);
}

/** What was seen of the holder before the VIP answered there is of another time: it may have applied more since. */
function lookedBefore({ observation, replica }: Context, holder: Holder): Asking | null {
  const after = observation.vip.answersSince;
  if (after === null || holder.lookAt >= after) return null;
  const { name } = holder.member;
  return asking(`looking at ${name} since the VIP answers there before ${replica.pod} is moved`, {
    kind: 'LiveLook',
    target: { member: name },
    after,
  });
}

/** The replica dials the right server, which does not let it in or cannot be reached from there. */
function linkBroken(context: Context, holder: Holder): Decision | null {
  const { link, pod, memory } = context.replica;
  if (memory.baseline?.member !== holder.member.name || link.io !== 'Connecting') return null;
  // Where it cannot reach the member it is to dial the VIP instead: that cures it.
  const wanted = linkTarget(context, context.replica, holder);
  if (link.host !== wanted.host || link.port !== wanted.port) return null;
  const reason = [1045, 1044, 1597].includes(link.ioErrno)
    ? 'LinkAuthentication'
    : link.ioErrno === 2026
      ? 'LinkTls'
      : 'LinkNetwork';
  const message = `the link to ${holder.member.name} (${link.host}:${link.port}) cannot connect: ${link.ioErrno} ${link.ioError}`;
  return decide(pod, 'LinkBroken', reason, message);
}

function prove(input: ProofInput): ProofResult {
  const lost = lostTail(input);
  if (lost !== null) return lost;
  const same =
    input.baseline.member === input.holder.member.name && input.baseline.lineage === input.targetMemory.lineage;
  if (same) return proveSameServer(input);
  const strayed = strayedByFile(input);
  if (strayed !== null) return strayed;
  if (input.target.logSlaveUpdates) return proveContained(input);
  return standsInItsBinlog(input) ? (hiddenWrites(input) ?? proveContained(input)) : proveTakeover(input);
}

/**
 * Without log_slave_updates there the replica may already have transactions of the target's own: it got them through the
 * old holder, which became its standby and logs what it applies. Then it stands in the target's binlog like any other.
 */
function standsInItsBinlog({ replica, target }: ProofInput): boolean {
  const own = [...replica.position.values()].filter((gtid) => gtid.serverId === target.identity.serverId);
  return own.length > 0 && isWithin(stateOfPosition(replica.position), binlogStateOf(target));
}

/**
 * A lost tail concerns every replica of the pair, whatever it followed since: rows may have stayed in the engine that no
 * binlog has, and the numbers of what was lost are given again.
 */
function lostTail(input: ProofInput): Refused | null {
  const { replica, baseline, target, targetMemory } = input;
  if (baseline.lineage === targetMemory.lineage) return null;
  if (targetMemory.broken?.reason !== 'LostTail') return null;
  // Measured by what survived: the numbers that were lost are given out again.
  const state = targetMemory.restart?.survived ?? binlogStateOf(target);
  const own = target.identity.serverId;
  // What others wrote it can have got again from them: only its own numbers are given out again.
  const ahead = beyond(replica.received, state).filter(
    (gtid) => gtid.serverId === own || !stateHas(binlogStateOf(target), gtid),
  );
  const message = `${targetMemory.broken.message}. Compare the data, then reseed ${replica.pod}; set sync_binlog=1 on the members`;
  return ahead.length > 0
    ? refused('Ahead', 'LostTail', message, lacking(ahead, state))
    : refused('Unproven', 'LostTail', message);
}

function fromProof(context: Context, holder: Holder, result: ProofResult, input: ProofInput): Decision {
  const { replica } = context;
  const stop = mustStopReceiving(context) ? planStopReceiving(replica.pod, baselineMember(replica)) : null;
  switch (result.kind) {
    case 'Refused': {
      const { verdict, reason, message, transactions, questions } = result;
      return decide(replica.pod, verdict, reason, message, { transactions, questions, plan: stop });
    }
    case 'Undecided':
      return decide(replica.pod, 'HandingOver', result.reason, result.message, {
        plan: stop ?? applyWhatWaits(replica),
      });
    case 'Asking':
      return decide(replica.pod, 'HandingOver', 'HandingOver', result.message + failures(context, result.questions), {
        questions: result.questions,
        plan: stop,
      });
    case 'Proven':
      return decide(replica.pod, 'HandingOver', 'HandingOver', result.because, {
        plan: planFor(context, holder, result, input),
      });
    default:
      return result satisfies never;
  }
}

function applyWhatWaits(replica: ReplicaFacts): Plan | null {
  const { link, pod } = replica;
  const waits = link.usingGtid === 'No' && link.sql === 'No' && !replica.drained;
  return waits ? planApply(pod, baselineMember(replica)) : null;
}

/** Asking again and again for the same thing is for a person to see. */
function failures({ evidence }: Context, questions: readonly Question[]): string {
  const answers = questions.map((question) => answerTo(evidence, question));
  const [failed] = answers.flatMap((answer) => (wasAsked(answer) && !answer.known ? [answer.why] : []));
  return failed === undefined ? '' : `; the last try failed: ${failed}`;
}

function planFor(context: Context, holder: Holder, proven: Proven, input: ProofInput) {
  const { replica, policy } = context;
  const target = linkTarget(context, replica, holder);
  const rightPlace = replica.link.host === target.host && replica.link.port === target.port;
  const common = { pod: replica.pod, from: baselineMember(replica), proven, target, received: replica.received };
  const asItIs = replica.link.usingGtid !== 'No' || continuesByFile(replica, proven);
  if (
    proven.proof === 'SameServer' &&
    rightPlace &&
    replica.link.ioErrno === 0 &&
    isConverted(replica, policy) &&
    asItIs
  ) {
    return planResume({ ...common, trigger: triggerOf(input) });
  }
  return planMove({ ...common, trigger: triggerOf(input), positioning: policy.positioning });
}

/** After a crash the relay log may end behind or before what the position files say: it is fetched anew. */
function continuesByFile(replica: ReplicaFacts, { at }: Proven): boolean {
  return !hasRestarted(replica) && at !== null && sameCoordinates(at, replica.link.exec);
}

function triggerOf({ baseline, holder, targetMemory, replica }: ProofInput): Trigger {
  if (baseline.member !== holder.member.name) return 'VipMoved';
  const { restart } = targetMemory;
  return restart !== null && restart.file !== replica.memory.clearedFor ? 'HolderRestarted' : 'Resume';
}

function isConverted(replica: ReplicaFacts, policy: Policy): boolean {
  return (replica.link.usingGtid === 'Slave_Pos') === (policy.positioning === 'GTID');
}

function proofInput(context: Context, holder: Holder): ProofInput | null {
  const { replica, memory, observation, evidence, policy } = context;
  const baseline = replica.memory.baseline;
  const targetMemory = memory.members.get(holder.member.name);
  if (baseline === null || targetMemory === undefined || holder.look === null) return null;
  const sourceObserved = observation.members.find((member) => member.name === baseline.member);
  return {
    replica,
    baseline,
    holder,
    target: holder.look,
    targetMemory,
    source: memory.members.get(baseline.member),
    sourceObserved,
    stillReceiving: replica.link.io === 'Yes' && valueOf(sourceObserved?.look) !== undefined,
    positioning: policy.positioning,
    evidence,
  };
}

function baselineMember(replica: ReplicaFacts): string | null {
  return replica.memory.baseline?.member ?? null;
}

function memberOf(context: Context, name: string | null): MemberObservation | undefined {
  return context.observation.members.find((member) => member.name === name);
}
