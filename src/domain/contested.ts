import type { Context } from './context.ts';
import type { ReplicaMemory } from './memory.ts';
import type { Link } from './observation.ts';

/** A link that somebody else changes twice within this time is contested, and left alone. */
const CONTEST_MS = 600_000;
const CONTESTED_AT = 2;
const MAX_CHANGES = 8;

/** What a link points at, as far as a change of it by somebody else matters. */
function pointOf(link: Link): string {
  return `${link.host}:${link.port} ${link.usingGtid}`;
}

/**
 * Takes notice of a link that is not what it was: mxr's own changes clear `link` first (`ownLink`), so what differs was
 * done by somebody else.
 */
export function noticeLink(
  before: ReplicaMemory,
  link: Link,
  wallNow: number,
): Pick<ReplicaMemory, 'link' | 'foreignChanges'> {
  const now = pointOf(link);
  const recent = before.foreignChanges.filter((at) => wallNow - at < CONTEST_MS);
  const foreign = before.baseline !== null && before.link !== null && before.link !== now;
  return { link: now, foreignChanges: (foreign ? [...recent, wallNow] : recent).slice(-MAX_CHANGES) };
}

export function isContested(memory: ReplicaMemory, wallNow: number): boolean {
  return memory.foreignChanges.filter((at) => wallNow - at < CONTEST_MS).length >= CONTESTED_AT;
}

/** Two who change one link in turn help nobody: mxr stands back, also from what would protect the replica. */
export function standsBack({ replica: { memory, link }, observation }: Context): boolean {
  // The change that this very look shows counts, too: it is remembered only after everything was decided.
  const noticed = noticeLink(memory, link, observation.wallNow);
  return isContested({ ...memory, ...noticed }, observation.wallNow);
}
