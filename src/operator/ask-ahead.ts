import type { Question } from '../domain/evidence.ts';
import { formatPosition } from '../domain/gtid.ts';
import type { Picture } from '../domain/judge.ts';
import type { Observation } from '../domain/observation.ts';
import { incarnationKey } from '../domain/proof.ts';

/**
 * A holder that has turned read-only is being demoted. Once a replica and another member stand where it stopped, that
 * member is asked whether it would continue the replica there: when the VIP answers on it nothing is left to ask.
 */
export function rehearsalsAhead({ diagnosis }: Picture, { members, replicas }: Observation): readonly Question[] {
  const { situation, holder } = diagnosis;
  if (situation !== 'HolderReadOnly' || holder === null || holder.look === null) return [];
  const gtid = formatPosition(holder.look.gtidBinlogPos);
  const waiting = replicas.some(({ look }) => look.known && formatPosition(look.value.gtidSlavePos) === gtid);
  if (gtid === '' || !waiting) return [];
  return members.flatMap((member): Question[] => {
    if (member.name === holder.member.name || !member.look.known) return [];
    const { logSlaveUpdates, gtidBinlogPos, gtidSlavePos } = member.look.value;
    if (formatPosition(logSlaveUpdates ? gtidBinlogPos : gtidSlavePos) !== gtid) return [];
    return [{ kind: 'Rehearsal', member: member.name, incarnation: incarnationKey(member), gtid }];
  });
}
