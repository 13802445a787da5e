import type { Reason, Verdict } from '../api/reasons.ts';
import { VERDICTS } from '../api/reasons.ts';
import type { Question } from './evidence.ts';
import type { GtidState } from './gtid.ts';
import type { Plan } from './plan.ts';
import type { Proven, Transactions } from './proof.ts';

/** What mxr says of one replica, and what it wants to do or know next. */
export interface Decision {
  readonly pod: string;
  readonly verdict: Verdict;
  readonly reason: Reason;
  /** A sentence that a person can act on. */
  readonly message: string;
  readonly transactions: Transactions | null;
  readonly plan: Plan | null;
  readonly questions: readonly Question[];
  /** A move that is proven already and waits for the source: its intent can be stored ahead. Never carried out as it is. */
  readonly prepared: Plan | null;
  /** A position that was proven without changing anything (the link is already as it should be). */
  readonly proven: Proven | null;
  readonly lagSeconds: number | null;
  /** Of a replica without a binlog: what it was found to have beyond what its position shows; null: nothing. */
  readonly has: GtidState | null;
}

type Extra = Partial<
  Pick<Decision, 'transactions' | 'plan' | 'questions' | 'prepared' | 'proven' | 'lagSeconds' | 'has'>
>;

export function decide(pod: string, verdict: Verdict, reason: Reason, message: string, extra: Extra = {}): Decision {
  return {
    pod,
    verdict,
    reason,
    message,
    transactions: null,
    plan: null,
    questions: [],
    prepared: null,
    proven: null,
    lagSeconds: null,
    has: null,
    ...extra,
  };
}

/** The worse of two verdicts, in the contract's order. */
export function worst(verdicts: readonly Verdict[]): Verdict | null {
  const ranks = verdicts.map((verdict) => VERDICTS.indexOf(verdict));
  return ranks.length === 0 ? null : (VERDICTS[Math.min(...ranks)] ?? null);
}

export function isReady(verdict: Verdict): boolean {
  return verdict === 'Following' || verdict === 'CatchingUp';
}
