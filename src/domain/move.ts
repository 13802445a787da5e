import type { Trigger } from '../api/reasons.ts';
import type { Context, Policy } from './context.ts';
import { baselineMember, dialsStranger, dialsVip, linkTarget, memberOf } from './context.ts';
import { hasRestarted } from './crash.ts';
import type { Question } from './evidence.ts';
import { answerTo } from './evidence.ts';
import { valueOf, wasAsked } from './fact.ts';
import { mayHaveStrayed } from './fed.ts';
import { fillGap, filling } from './fill.ts';
import { hasOwnId } from './hidden.ts';
import type { Holder } from './holder.ts';
import type { GtidState } from './gtid.ts';
import { formatGtid, formatPosition, formatState, gtidsOf, mergeStates, seqIn, stateHas, stateOf } from './gtid.ts';
import { gotFromSource } from './got.ts';
import { sameCoordinates } from './observation.ts';
import { planApply, planMove, planRelink, planResume, planStopReceiving, sameDial } from './plan.ts';
import type { Asking, ProofInput, ProofResult, Proven, Refused } from './proof.ts';
import { asking, incarnationKey, refused } from './proof.ts';
import { mustStopReceiving, neverStandsStill } from './protect.ts';
import { prove } from './prove.ts';
import { refusedAlready } from './refusal.ts';
import { isCuredByRelink } from './relink.ts';
import type { ReplicaFacts } from './replica.ts';
import { restQuestion } from './replica.ts';
import type { Decision } from './verdict.ts';
import { decide } from './verdict.ts';

/** The replica is not where it should be: prove where it stands in the holder's history, then move or resume it. */
export function toBeMoved(context: Context): Decision {
  const { replica, diagnosis } = context;
  const holder = diagnosis.holder;
  const input = holder === null ? null : proofInput(context, holder);
  if (holder === null || input === null) {
    return decide(replica.pod, 'Waiting', diagnosis.situation, diagnosis.message);
  }
  const beingFilled = filling(context, holder);
  if (beingFilled !== null) return beingFilled;
  const broken = linkBroken(context, holder);
  if (broken !== null) return isCuredByRelink(context) ? stoppedForRelink(context, broken) : broken;
  const looked = lookedBefore(context, holder) ?? sourceLookedBefore(context, holder);
  const got = looked === null ? gotFromSource(context, holder) : null;
  if (got === null || 'kind' in got) return fromProof(context, holder, looked ?? got ?? prove(input), input);
  const known = { ...input, replica: { ...replica, contains: mergeStates(replica.contains, got) } };
  return { ...fromProof(context, holder, prove(known), known), has: ofOthers(got, input) };
}

/** Of what the target wrote itself a later number hides a hole: only a proof on it may say that the replica has that. */
function ofOthers(got: GtidState, { target }: ProofInput): GtidState {
  return stateOf(gtidsOf(got).filter(({ serverId }) => serverId !== target.identity.serverId));
}

/** Stopped it is proven like any other, and its link written anew. */
function stoppedForRelink({ replica }: Context, { message }: Decision): Decision {
  const plan = planStopReceiving(replica.pod, baselineMember(replica));
  return decide(replica.pod, 'HandingOver', 'HandingOver', `${message}; the Secret has another account by now`, {
    plan,
  });
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

/** What a replica without a binlog got from its source is known by what the source had: it is looked at once more. */
function sourceLookedBefore(context: Context, holder: Holder): Asking | null {
  const { replica } = context;
  const source = memberOf(context, baselineMember(replica));
  if (replica.look.logSlaveUpdates || source === undefined || source.name === holder.member.name) return null;
  if (!source.look.known || source.look.at >= replica.standing.since) return null;
  return asking(`looking at ${source.name} again for what ${replica.pod} got from it`, {
    kind: 'LiveLook',
    target: { member: source.name },
    after: replica.standing.since,
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

function fromProof(context: Context, holder: Holder, result: ProofResult, input: ProofInput): Decision {
  const { replica } = context;
  const stop = mustStopReceiving(context) ? planStopReceiving(replica.pod, baselineMember(replica)) : null;
  switch (result.kind) {
    case 'Refused': {
      const { verdict, reason, message, transactions, questions } = result;
      if (result.fillTo !== undefined && context.policy.onGap === 'Fill' && stop === null)
        return fillGap(context, holder, input, result);
      return decide(replica.pod, verdict, reason, message, { transactions, questions, plan: stop });
    }
    case 'Undecided': {
      const applying = stop === null ? applyWhatWaits(context) : null;
      const rest = restQuestion(replica.observed, replica);
      const questions = rest === null ? [] : [rest];
      return applying ?? decide(replica.pod, 'HandingOver', result.reason, result.message, { questions, plan: stop });
    }
    case 'Asking': {
      const { questions } = result;
      const before = refusedAlready(replica, holder);
      if (before !== null) {
        const { verdict, reason, message, transactions } = before;
        return decide(replica.pod, verdict, reason, message, { transactions, questions, plan: stop });
      }
      const message = result.message + failures(context, questions);
      return decide(replica.pod, 'HandingOver', 'HandingOver', message, { questions, plan: stop });
    }
    case 'Proven': {
      const doubt = positionDoubt(replica, holder, result);
      if (doubt !== null) return decide(replica.pod, doubt.verdict, doubt.reason, doubt.message, { plan: stop });
      if (neverStandsStill(context)) {
        const message = `it gets what ${holder.member.name} writes through its old source: it is stopped there, and proven where it stands`;
        return decide(replica.pod, 'HandingOver', 'HandingOver', message, { plan: stop });
      }
      return decide(replica.pod, 'HandingOver', 'HandingOver', result.because, {
        plan: planFor(context, holder, result, input),
      });
    }
    default:
      return result satisfies never;
  }
}

/**
 * By file a connect writes the place that was read into gtid_slave_pos: a crash soon after leaves it ahead of the rows. The
 * replica's own binlog says what they are. On the server that it came from its coordinates are compared instead.
 */
function positionDoubt(
  { pod, link, look, memory, position }: ReplicaFacts,
  { member }: Holder,
  { proof }: Proven,
): Refused | null {
  const own = look.logSlaveUpdates ? look.gtidBinlogState : null;
  if (link.usingGtid !== 'No' || own === null || memory.baseline?.member === member.name) return null;
  if (proof === 'SameServer') return null;
  if (!hasRestarted({ memory, look })) return null;
  const ahead = [...position.values()].filter((gtid) => seqIn(own, gtid) !== gtid.seq);
  if (ahead.length === 0) return null;
  const message = `its server restarted, and its position ${formatPosition(position)} is not what its own binlog ends with (${formatState(own)}): by file/position it may be what was received, not applied. Let the VIP go back to the server that it replicated from, or reseed ${pod}`;
  return refused('Unproven', 'ReplicaRestarted', message);
}

/** By file a stopped SQL thread goes on where its position file says; after a restart that may be behind its rows. */
function applyWhatWaits(context: Context): Decision | null {
  const { replica } = context;
  const { link, pod } = replica;
  if (link.usingGtid !== 'No' || link.sql !== 'No' || replica.drained) return null;
  const doubt = hasRestarted(replica) ? placeDoubt(context) : null;
  if (doubt === null) {
    const message = `${pod} applies what it received before its server restarted or mxr stopped it`;
    return decide(pod, 'HandingOver', 'HandingOver', message, { plan: planApply(pod, baselineMember(replica)) });
  }
  if (doubt.kind === 'Asking')
    return decide(pod, 'HandingOver', 'HandingOver', doubt.message, { questions: doubt.questions });
  return decide(pod, doubt.verdict, doubt.reason, doubt.message);
}

/** What the relay log has there must be new to the replica's own binlog, the witness of its rows. Null: it is. */
function placeDoubt({ replica, evidence }: Context): Refused | Asking | null {
  const { link, pod, look } = replica;
  const place = `${link.exec.file}:${link.exec.position}`;
  const cure = `by file/position it could be applied twice. Let the VIP go back to the server that it replicated from, where it can be continued, or reseed ${pod}`;
  const logged = look.logSlaveUpdates ? look.gtidBinlogState : null;
  if (logged === null) {
    const message = `its server restarted with received transactions that are not applied, and without a binlog of its own nothing tells whether its rows are at ${place}: ${cure}; set log_slave_updates=1 on it`;
    return refused('Unproven', 'ReplicaRestarted', message);
  }
  const question = { kind: 'RelayNext', pod, incarnation: incarnationKey(replica.observed), at: link.exec } as const;
  const next = answerTo(evidence, question);
  if (!next.known) return asking(`reading what ${pod} would apply next`, question);
  if (next.value !== null && !stateHas(logged, next.value)) return null;
  const what =
    next.value === null
      ? 'no transaction begins there'
      : `${formatGtid(next.value)} comes next there, which it has logged already`;
  const message = `its server restarted, and its position file says ${place}, which is not where its rows are (${what}): ${cure}`;
  return refused('Unproven', 'ReplicaRestarted', message);
}

/** Asking again and again for the same thing is for a person to see. */
function failures({ evidence }: Context, questions: readonly Question[]): string {
  const answers = questions.map((question) => answerTo(evidence, question));
  const [failed] = answers.flatMap((answer) => (wasAsked(answer) && !answer.known ? [answer.why] : []));
  return failed === undefined ? '' : `; the last try failed: ${failed}`;
}

export function planFor(context: Context, holder: Holder, proven: Proven, input: ProofInput) {
  const { replica, policy } = context;
  const target = linkTarget(context, replica, holder);
  const rightPlace = sameDial(replica.link, target);
  const common = { pod: replica.pod, from: baselineMember(replica), proven, target, received: replica.received };
  const isRelink = proven.proof === 'SameServer' && rightPlace && context.relink.has(replica.pod);
  if (isRelink) return planRelink({ ...common, trigger: triggerOf(input), positioning: policy.positioning }, null);
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

export function proofInput(context: Context, holder: Holder): ProofInput | null {
  const { replica, memory, observation, evidence, policy, approved } = context;
  const baseline = replica.memory.baseline;
  const targetMemory = memory.members.get(holder.member.name);
  if (baseline === null || targetMemory === undefined || holder.look === null) return null;
  const sourceObserved = observation.members.find((member) => member.name === baseline.member);
  return {
    replica,
    baseline,
    holder,
    target: holder.look,
    hasOwnId: hasOwnId(context, holder),
    targetMemory,
    source: memory.members.get(baseline.member),
    sourceObserved,
    stillReceiving:
      replica.link.io === 'Yes' && valueOf(sourceObserved?.look) !== undefined && !dialsStranger(replica.link, context),
    viaVip: dialsVip(replica, policy),
    strayed: mayHaveStrayed(context, replica, holder),
    positioning: policy.positioning,
    evidence,
    approved,
  };
}
