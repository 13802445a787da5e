import type { Gtid } from './gtid.ts';
import { beyond, stateHas } from './gtid.ts';
import { binlogStateOf } from './memory.ts';
import type { ServerLook } from './observation.ts';
import type { Asking, ProofInput } from './proof.ts';
import { asking } from './proof.ts';
import type { StandbyLook } from './takeover-published.ts';

/**
 * In a ring the old holder hands the target's own transactions back. The target only notes them: its coordinates and its
 * gtid_slave_pos move on with them, and what it had applied when it took over shows there no more.
 */
export function handedBack(input: ProofInput, standby: StandbyLook): readonly Gtid[] {
  const back = [...input.target.gtidSlavePos.values()].filter((gtid) => isOwn(input, gtid));
  return back.filter((gtid) => !stateHas(standby.binlogState, gtid));
}

export function isOwn({ target, hasOwnId }: ProofInput, { serverId }: Gtid): boolean {
  return hasOwnId && serverId === target.identity.serverId;
}

/**
 * Whether all that the old holder has logged by now, but for what the target wrote, is in the replica: then the target has
 * applied no more than that from there. `covers`: that look has seen all that the target has read.
 */
export function gaveOnlyItsOwn(input: ProofInput, covers: (old: ServerLook) => boolean): 'Yes' | 'No' | Asking {
  const { replica, holder, source, sourceObserved, hasOwnId } = input;
  if (!hasOwnId || source === undefined || source.inQuestion || sourceObserved?.look.known !== true) return 'No';
  const { value: old } = sourceObserved.look;
  if (beyond(binlogStateOf(old), replica.contains).some((gtid) => !isOwn(input, gtid))) return 'No';
  if (covers(old)) return 'Yes';
  const question = { kind: 'LiveLook', target: { member: source.name }, after: holder.lookAt } as const;
  return asking(`looking at ${source.name} again for what it gave ${holder.member.name} last`, question);
}
