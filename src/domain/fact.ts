/**
 * Absence is data. Gathering never throws: it returns a fact that is known with its time, or unknown with its cause.
 * "Could not ask" is never "no" (docs/invariants.md, 5): an unknown fact can only make mxr wait or refuse.
 */
export interface Known<T> {
  readonly known: true;
  readonly value: T;
  /** Monotonic ms when the look *began*: evidence is never newer than its question. */
  readonly at: number;
}
export interface Unknown {
  readonly known: false;
  /** An error code (`Deadline`, `AccessDenied`, ...) or `NotAskedYet`. */
  readonly code: string;
  /** A sentence for people. */
  readonly why: string;
  /** Monotonic ms when the failed look began. */
  readonly at: number;
}
export type Fact<T> = Known<T> | Unknown;

export function known<T>(value: T, at: number): Known<T> {
  return { known: true, value, at };
}

export function unknown(code: string, why: string, at: number): Unknown {
  return { known: false, code, why, at };
}

/** What a fact is before the first look has answered: nothing is touched while one of these stands. */
export const NOT_ASKED_YET: Unknown = unknown('NotAskedYet', 'not asked yet', Number.NEGATIVE_INFINITY);

export function wasAsked(fact: Fact<unknown>): boolean {
  return fact.known || fact.code !== 'NotAskedYet';
}

const REFUSALS: readonly string[] = ['AccessDenied', 'GrantMissing', 'TlsRefused'];

/** The server is there and refuses mxr: that is an answer, though not to the question, and never silence. */
export function isRefusal(fact: Fact<unknown>): fact is Unknown {
  return !fact.known && REFUSALS.includes(fact.code);
}

export function valueOf<T>(fact: Fact<T> | undefined): T | undefined {
  return fact?.known === true ? fact.value : undefined;
}
