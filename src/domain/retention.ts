import type { MemberMemory } from './memory.ts';
import type { Coordinates, ServerLook } from './observation.ts';
import { fileNumber } from './observation.ts';

/**
 * Seconds until a member may purge the binlog file that a replica stands in; null: it never does by age, or nobody can
 * tell. A file is purged by the time of its last change, which is when the next one was begun; where that is not known
 * its own begin is the earlier, safer one. The newest file is not purged before it has been followed by another.
 */
export function retentionHeadroom(
  at: Coordinates,
  member: { readonly look: ServerLook; readonly memory: Pick<MemberMemory, 'files'> },
  wallNow: number,
): number | null {
  const { end, settings } = member.look;
  const expireSeconds = settings.binlogExpireSeconds ?? 0;
  if (expireSeconds === 0 || end === null) return null;
  if (at.file === end.file) return expireSeconds;
  const { files } = member.memory;
  const index = files.findIndex(({ name }) => name === at.file);
  const next = files[index + 1];
  const follows = next !== undefined && fileNumber(next.name) === fileNumber(at.file) + 1;
  const changedAt = (follows ? next.createdAt : null) ?? files[index]?.createdAt ?? null;
  if (index < 0 || changedAt === null) return null;
  return Math.max(0, expireSeconds - (wallNow - changedAt) / 1000);
}
