import type { Plan } from './plan.ts';
import { formatPosition } from './gtid.ts';
import { donorName, handoverId, isMoving } from './plan.ts';
import type { Picture } from './judge.ts';
import type { Decision } from './verdict.ts';

export interface Gates {
  readonly suspend: boolean;
  readonly handover: 'Auto' | 'Confirm' | 'Observe';
  readonly holdDownMs: number;
  /** Ids that a person has approved. */
  readonly approved: ReadonlySet<string>;
}

export interface Gated {
  /** What may be carried out now. */
  readonly plans: readonly Plan[];
  /** The decisions, with the verdicts of those that wait for a person or for time. */
  readonly decisions: readonly Decision[];
  /** The id of the handover that waits for an approval. */
  readonly awaiting: string | null;
  /** Ms until the hold-down ends; null when none is running. */
  readonly holdDownLeftMs: number | null;
}

/** What the user allows of a picture: Observe and suspend issue nothing, Confirm and hold-down let protective steps through. */
export function gate(picture: Picture, gates: Gates, now: number): Gated {
  if (gates.suspend || gates.handover === 'Observe') return unprepared(observeOnly(picture, gates));
  return gates.handover === 'Confirm' ? unprepared(moving(picture, gates, now)) : moving(picture, gates, now);
}

/** An intent stored ahead would make a person's own CHANGE look like one that mxr was allowed to make. */
function unprepared(gated: Gated): Gated {
  return { ...gated, decisions: gated.decisions.map((decision) => ({ ...decision, prepared: null })) };
}

function moving(picture: Picture, gates: Gates, now: number): Gated {
  const moves = picture.plans.filter(isMoving);
  const others = picture.plans.filter((plan) => !isMoving(plan));
  const holder = picture.diagnosis.holder;
  if (moves.length === 0 || holder === null) return { ...picture, awaiting: null, holdDownLeftMs: null };

  const startedAt = picture.memory.members.get(holder.member.name)?.identity.startedAt;
  const id = handoverId({ member: holder.member.name, startedAt }, moves);
  if (gates.handover === 'Confirm' && !gates.approved.has(id)) {
    const message = `proven and waiting for an approval: kubectl annotate mxr/<name> mxr.dev/approve=${id}`;
    const decisions = hold(picture.decisions, moves, {
      verdict: 'AwaitingApproval',
      reason: 'HandoverNeedsApproval',
      message,
    });
    return { plans: others, decisions, awaiting: id, holdDownLeftMs: null };
  }
  const left = picture.pair.holderSince + gates.holdDownMs - now;
  if (gates.holdDownMs > 0 && left > 0) {
    const message = `${holder.member.name} holds the VIP and is proven; holdDownSeconds ends in ${Math.ceil(left / 1000)} s`;
    const decisions = hold(picture.decisions, moves, { verdict: 'HandingOver', reason: 'HoldDown', message });
    return { plans: others, decisions, awaiting: null, holdDownLeftMs: left };
  }
  return { ...picture, awaiting: null, holdDownLeftMs: null };
}

function hold(
  decisions: readonly Decision[],
  plans: readonly Plan[],
  told: Pick<Decision, 'verdict' | 'reason' | 'message'>,
): readonly Decision[] {
  const held = new Set(plans.map((plan) => plan.pod));
  return decisions.map((decision) => (held.has(decision.pod) ? { ...decision, ...told, plan: null } : decision));
}

/** A verdict that says something is wrong stays; one that says mxr is busy would be a lie. */
const BUSY_VERDICTS = ['HandingOver', 'Filling', 'Reseeding', 'AwaitingApproval'];

function observeOnly(picture: Picture, gates: Gates): Gated {
  const why = gates.suspend ? 'spec.suspend is true' : 'policy.handover is Observe';
  const decisions = picture.decisions.map((decision): Decision => {
    if (
      decision.plan === null &&
      !BUSY_VERDICTS.includes(decision.verdict) &&
      !(gates.suspend && decision.verdict === 'Following')
    ) {
      return decision;
    }
    const would =
      decision.plan === null ? decision.message : `mxr would ${describe(decision.plan)}: ${decision.message}`;
    return {
      ...decision,
      verdict: verdictWhenObserving(decision),
      reason: 'ObserveOnly',
      message: `${why}; ${would}`,
      plan: null,
    };
  });
  return { plans: [], decisions, awaiting: null, holdDownLeftMs: null };
}

function verdictWhenObserving(decision: Decision): Decision['verdict'] {
  return BUSY_VERDICTS.includes(decision.verdict) || decision.verdict === 'Following' ? 'Suspended' : decision.verdict;
}

function describe(plan: Plan): string {
  const steps = plan.steps.map((step) => step.step).join(', ');
  if (plan.target === null) return steps;
  if (plan.fill !== undefined)
    return `${steps} to ${donorName(plan.fill.donor)} until ${formatPosition(plan.fill.upTo)}`;
  return `${steps} to ${plan.target.member} (${plan.target.host}:${plan.target.port})`;
}
