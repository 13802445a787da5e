import type { Decision } from './verdict.ts';
import { donorName, isAttaching } from './plan.ts';
import type { Plan } from './plan.ts';

/** Plans of one replica towards one member that stopped at a surprise, one after the other. */
export interface Failures {
  readonly member: string;
  /** Of a fill: from whom. */
  readonly donor?: string | undefined;
  readonly times: number;
  /** Monotonic ms at which the last one ended. */
  readonly at: number;
  /** What the first and the last one stopped at. */
  readonly first: string;
  readonly last: string;
}

/** A first surprise is ordinary: the position moved on, the VIP flapped. */
const AT_ONCE = 1;
const PAUSE_MS = 500;
const MAX_PAUSE_MS = 30_000;

export function failedAgain(
  before: Failures | undefined,
  { member, donor, at, why }: Pick<Failures, 'member' | 'donor' | 'at'> & { readonly why: string },
): Failures {
  const again = before?.member === member && before.donor === donor ? before : undefined;
  return { member, donor, at, times: (again?.times ?? 0) + 1, first: again?.first ?? why, last: why };
}

function isPaused({ times, at }: Failures, now: number): boolean {
  if (times <= AT_ONCE) return false;
  return now - at < Math.min(MAX_PAUSE_MS, PAUSE_MS * 2 ** (times - AT_ONCE - 1));
}

/**
 * What stops at a surprise again and again is tried more and more seldom, and says what it stops at. Stopping to receive
 * never waits, and neither does a plan towards another member.
 */
export function paused(decision: Decision, failures: Failures | undefined, now: number): Decision {
  const { plan } = decision;
  if (plan === null || failures === undefined || !concerns(failures, plan)) return decision;
  const { times, first, last } = failures;
  const stoppedAt = first === last ? last : `${last} (the first one: ${first})`;
  const message = times <= AT_ONCE ? decision.message : `${decision.message}; ${times} tries stopped: ${stoppedAt}`;
  if (!isPaused(failures, now)) return { ...decision, message };
  // Still under way: what it has stopped already, or what a server carries out late, must not be forgotten meanwhile.
  return { ...decision, verdict: 'HandingOver', reason: 'HandingOver', message, plan: null };
}

function concerns({ member, donor }: Failures, plan: Plan): boolean {
  const from = plan.fill === undefined ? undefined : donorName(plan.fill.donor);
  return isAttaching(plan) && plan.target?.member === member && from === donor;
}
