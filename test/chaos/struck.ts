import type { Field } from './field.ts';
import type { Fault } from './plan.ts';

/** Undoes a fault, as far as somebody has to. */
export type Heal = () => Promise<void>;

/** What a fault was, once it was struck. */
export interface Struck {
  /** Whether it really happened, by its effect: seen at once, or when it is about to be healed. */
  readonly made: boolean | (() => Promise<boolean>);
  readonly heal: Heal;
}
export type Strike = (field: Field, fault: Fault) => Promise<Struck>;

export async function nothing(): Promise<void> {
  // There is nothing to heal.
}

/** What it would be done to is not there, or is in that state already. */
export const NOT_MADE: Struck = { made: false, heal: nothing };
