import type { Gap } from './donor.ts';
import type { GtidPosition, GtidState } from './gtid.ts';
import { formatPosition, isWithin, stateHas, stateOfPosition } from './gtid.ts';
import type { MemberMemory, ProvenRestart } from './memory.ts';
import { fileNumber } from './observation.ts';
import type { ReplicaFacts } from './replica.ts';
import { reconnected } from './restart.ts';

/**
 * The numbers of a tail that was lost at a start are given again, and the target may have the ones from before it. `starts`:
 * what had survived at each. Where such a start lies between the replica and the takeover point, equal numbers prove nothing.
 */
export function startBetween({ input, upTo }: Gap, starts: readonly GtidState[]): boolean {
  return starts.some((survived) =>
    [...upTo.values()].some((gtid) => {
      const own = input.replica.position.get(gtid.domain);
      return !stateHas(survived, gtid) && (own === undefined || stateHas(survived, own));
    }),
  );
}

/** What had survived at the last start that mxr proved, and at those before it that it had not watched. */
export function startsOf({ restart }: MemberMemory): readonly GtidState[] {
  return restart === null ? [] : [restart.survived, ...restart.later];
}

export function restartedBetween({ input, upTo }: Gap): string {
  const { replica, holder } = input;
  const [from, to] = [formatPosition(replica.position), formatPosition(upTo)];
  return `restarted between ${from} and ${to}: it may have lost what ${holder.member.name} had applied of that, and given its numbers to other transactions`;
}

/** Another replica may have got other transactions than the target has; but where it was proven on the target, the same. */
export function siblingDoubt(gap: Gap, sibling: ReplicaFacts | null): string | null {
  const { source, targetMemory } = gap.input;
  if (source === undefined || sibling?.memory.baseline?.lineage === targetMemory.lineage) return null;
  const what = `may have something else under these numbers: ${source.name}`;
  if (source.inQuestion) return `${what} restarted, and what it lost then is not known yet`;
  const { restart, broken } = source;
  if (restart === null) return broken?.reason === 'LostTail' ? `${what} lost the end of its binlog` : null;
  if (!startBetween(gap, startsOf(source))) return null;
  return sibling !== null && hadItBefore(gap, sibling, restart) ? null : `${what} ${restartedBetween(gap)}`;
}

/** Both the target and this replica had all of it before the server started again. */
function hadItBefore({ input, upTo }: Gap, sibling: ReplicaFacts, restart: ProvenRestart): boolean {
  return !reconnected(sibling, restart) && hadBefore(input.targetMemory, upTo, restart);
}

/** As a standby it was seen to have applied all of it before its source started again. */
export function hadBefore({ lastStandby }: MemberMemory, upTo: GtidPosition, restart: ProvenRestart): boolean {
  if (lastStandby?.standby == null || restart.later.length > 0) return false;
  const { file } = lastStandby.standby.applied;
  const isBefore = file !== '' && fileNumber(file) < fileNumber(restart.file);
  return isBefore && isWithin(stateOfPosition(upTo), stateOfPosition(lastStandby.slavePos));
}
