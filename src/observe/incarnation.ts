import { sameServer } from '../domain/memory.ts';
import type { Identity, ServerLook } from '../domain/observation.ts';

/** One life of a server, as this process sees it. */
export interface Incarnation {
  /** Never used again, not by another server under the same name either: evidence is filed under it. */
  readonly number: number;
  /** Monotonic ms of the look that first saw this life. */
  readonly since: number;
  readonly identity: Identity;
  readonly connectionId: number;
}

/**
 * A lower connection id, another start time or another identity than the look before makes a new incarnation. A start
 * time is exact to the second and does not move with the server's clock, so a restart can only hide within one second,
 * and then the connection ids begin anew.
 */
export function nextIncarnation(
  before: Incarnation | null,
  look: ServerLook,
  at: number,
  newNumber: () => number,
): Incarnation {
  const { identity, connectionId } = look;
  const same = before !== null && connectionId >= before.connectionId && sameIdentity(before.identity, identity);
  if (same) return { ...before, connectionId };
  return { number: newNumber(), since: at, identity, connectionId };
}

export function sameIdentity(a: Identity, b: Identity): boolean {
  return sameServer(a, b) && a.startedAt === b.startedAt;
}
