import type { AcceptedReason } from '../../api/reasons.ts';

export type RefusalReason = Exclude<AcceptedReason, 'Accepted' | 'SpecInvalid'>;

/** Why a resource cannot be acted upon, and what to do about it. A result, not an error. */
export interface Refusal {
  readonly reason: RefusalReason;
  readonly message: string;
}

const MAX_NAMED = 3;

/** One sentence for several findings of one kind: the first are told, the others counted. */
export function together(messages: readonly string[]): string {
  const more = messages.length - MAX_NAMED;
  // Some end with a statement.
  const told = messages.slice(0, MAX_NAMED).join('; ').replaceAll(';;', ';');
  return more > 0 ? `${told}; and ${more} more` : told;
}
