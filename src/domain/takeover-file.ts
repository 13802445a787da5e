import { answerTo } from './evidence.ts';
import type { GtidPosition } from './gtid.ts';
import {
  beyond,
  formatGtid,
  formatPosition,
  isWithin,
  mergeStates,
  sameGtid,
  samePosition,
  stateHas,
  stateOfPosition,
} from './gtid.ts';
import type { MemberMemory } from './memory.ts';
import { binlogStateOf, standbyLinkOf } from './memory.ts';
import type { Coordinates } from './observation.ts';
import { compareCoordinates, hasAppliedAll, sameCoordinates } from './observation.ts';
import type { Asking, ProofInput, Refused, Undecided } from './proof.ts';
import { asking, incarnationKey, lacking, missingCount, refused } from './proof.ts';
import type { ReplicaFacts } from './replica.ts';
import { placeOf } from './replica.ts';
import { gaveOnlyItsOwn, isOwn } from './ring.ts';
import type { StandbyLook } from './takeover-published.ts';
import { describeUnique } from './unique.ts';

/** A file/position standby: its gtid_slave_pos may be the read position, so only applied coordinates count. */
export function compareByCoordinates(input: ProofInput, standby: StandbyLook): Refused | Undecided | Asking | null {
  const { replica, holder, source, baseline } = input;
  const unseen = appliedUnseen(input, standby);
  if (unseen !== null) return unseen;
  const applied = appliedBy(input, standby);
  if (applied === null) {
    const message = `${holder.member.name} was last seen while it had not applied all that it had received from the old holder, and its link is gone now`;
    return refused('Unproven', 'TakeoverUnknown', message);
  }
  if (source === undefined || source.lineage !== baseline.lineage || appliedFromAnother(input, standby, source)) {
    const message = `${replica.pod} stands on another binlog history than the one ${holder.member.name} applied`;
    return refused('Unproven', 'LineageChanged', message);
  }
  if (readsAnother(replica, source)) {
    const message = `the link of ${replica.pod} went to another server through the VIP: its coordinates are not those of ${source.name} any more, so they cannot be compared with what ${holder.member.name} applied; reseed ${replica.pod}`;
    return refused('Unproven', 'LineageChanged', message);
  }
  const own = placeOf(replica);
  if (own.file === '') return compareByGtidAlone(input, applied);
  if (sameCoordinates(own, applied)) return confirmedByGtid(input);
  const order = compareCoordinates(own, applied);
  if (Number.isNaN(order)) {
    const message = `${own.file}:${own.position} and ${applied.file}:${applied.position} are not of one binlog`;
    return refused('Unproven', 'NotComparable', message);
  }
  if (order < 0 && (input.stillReceiving || !replica.drained)) {
    return {
      kind: 'Undecided',
      reason: 'HandingOver',
      message: `${replica.pod} still gets what it lacks from the old holder`,
    };
  }
  return orderOfGtids(input, own, applied, order);
}

/** By GTID, where its coordinates are not known: the old holder names what the target had applied, or the target does. */
function compareByGtidAlone(input: ProofInput, applied: Coordinates): Refused | Asking | null {
  const { replica, holder, target } = input;
  const asked = askSource(input, applied, applied);
  if (asked.kind === 'Asking') return asked;
  const there = asked.kind === 'Unknown' ? target.gtidSlavePos : asked.applied;
  if (samePosition(there, replica.position)) return confirmedByGtid(input);
  const behind = isWithin(stateOfPosition(replica.position), stateOfPosition(there));
  if (behind) return isBehind(input, applied, there, `${formatPosition(replica.position)} of ${formatPosition(there)}`);
  const message = `${replica.pod} is at ${formatPosition(replica.position)}, ${holder.member.name} had applied ${formatPosition(there)} when it took over, and the coordinates of ${replica.pod} are not known`;
  return refused('Unproven', 'NotComparable', message);
}

/** `applied`: where the target stands in the old holder's binlog, which is not before the replica's place. */
function isBehind(
  input: ProofInput,
  applied: Coordinates,
  there: GtidPosition,
  distance: string,
): Refused | Asking | null {
  const { replica, holder } = input;
  const ring = gaveOnlyItsOwn(input, ({ end }) => end !== null && compareCoordinates(end, applied) >= 0);
  if (ring === 'Yes') return confirmedByGtid(input);
  if (ring !== 'No') return ring;
  const message = `${replica.pod} is behind the place where ${holder.member.name} took over (${distance}); bring the old primary back, or reseed the replica`;
  const transactions = {
    count: missingCount(there, replica.position),
    gtids: [...there.values()].map(formatGtid),
  };
  return { ...refused('Behind', 'Behind', message, transactions), fillTo: there };
}

/** A link through the VIP reconnects by itself; its coordinates are then those of the server that it reads now. */
function readsAnother({ link }: ReplicaFacts, source: MemberMemory): boolean {
  return link.exec.file !== '' && link.sourceServerId !== 0 && link.sourceServerId !== source.identity.serverId;
}

/** The GTID of a file/position standby proves nothing by itself, but another one says that its data is not what was seen. */
function confirmedByGtid(input: ProofInput): Refused | null {
  const { replica, holder, target } = input;
  const applied = [...target.gtidSlavePos.values()].filter((gtid) => !isOwn(input, gtid));
  const more = applied.some((gtid) => !stateHas(replica.contains, gtid));
  const less = [...replica.position.values()].some((gtid) => {
    const there = target.gtidSlavePos.get(gtid.domain);
    return there !== undefined && there.serverId === gtid.serverId && there.seq < gtid.seq;
  });
  if (!more && !less) return null;
  const message = `${holder.member.name} was seen to have applied as much as ${replica.pod} (${formatPosition(replica.position)}), and says now that it has applied ${formatPosition(target.gtidSlavePos)}`;
  return refused('Unproven', 'WitnessesDisagree', message);
}

/**
 * Different coordinates can still be the same place (a clean restart lies between them): the GTIDs decide, asked of the
 * old server while it lives. When it is dead: the same GTID on both, with the target drained.
 */
function orderOfGtids(
  input: ProofInput,
  own: Coordinates,
  applied: Coordinates,
  order: number,
): Refused | Asking | null {
  const { replica, holder, target } = input;
  const asked = askSource(input, own, applied);
  if (asked.kind === 'Same') return confirmedByGtid(input);
  if (asked.kind === 'Asking') return asked;
  const sameGtids = [...replica.position].every(([domain, gtid]) => sameGtid(target.gtidSlavePos.get(domain), gtid));
  // A clean restart begins a file: within one, a GTID that says that two places are the same may be what was only received.
  const mayBeSame = own.file !== applied.file;
  if (asked.kind === 'Unknown' && sameGtids && mayBeSame) return null;
  const distance = `${own.file}:${own.position} against ${applied.file}:${applied.position}`;
  const ahead = `${replica.pod} has applied more than ${holder.member.name} had when it took over (${distance}); salvage, then reseed it`;
  const has = stateOfPosition(target.gtidSlavePos);
  if (order < 0) {
    const there = asked.kind === 'Different' ? asked.applied : target.gtidSlavePos;
    return isBehind(input, applied, there, distance);
  }
  const unique = beyond(stateOfPosition(replica.position), mergeStates(has, binlogStateOf(target)));
  return describeUnique(input, refused('Ahead', 'Ahead', ahead, lacking(unique, has, 'Position')));
}

type AskedSource =
  | Asking
  | { readonly kind: 'Unknown' }
  /** `applied`: what the old holder had logged up to where the target had applied it. */
  | { readonly kind: 'Same' | 'Different'; readonly applied: GtidPosition };

function askSource(
  { source, sourceObserved, evidence }: ProofInput,
  own: Coordinates,
  applied: Coordinates,
): AskedSource {
  if (source === undefined || source.inQuestion || sourceObserved?.look.known !== true) return { kind: 'Unknown' };
  const ask = { kind: 'GtidAt', member: source.name, incarnation: incarnationKey(sourceObserved) } as const;
  const questions = [
    { ...ask, at: own },
    { ...ask, at: applied },
  ];
  const [here, there] = questions.map((question) => answerTo(evidence, question));
  if (here?.known !== true || there?.known !== true) {
    return asking(`asking ${source.name} whether both places are the same`, ...questions);
  }
  if (here.value === null || there.value === null) return { kind: 'Unknown' };
  return { kind: samePosition(here.value, there.value) ? 'Same' : 'Different', applied: there.value };
}

/** Coordinates of a third server, which may have the same file names. 0: not connected since the target started. */
function appliedFromAnother({ target }: ProofInput, standby: StandbyLook, source: MemberMemory): boolean {
  const ids = [standbyLinkOf(target)?.sourceServerId, standby.standby?.sourceServerId];
  return ids.some((id) => id !== undefined && id !== 0 && id !== source.identity.serverId);
}

/**
 * Live while its link still shows them and it applies no more: what it received and did not apply (half a transaction, where
 * its source died) is not in its rows. Else as it was last seen, drained.
 */
function appliedBy({ target }: ProofInput, standby: StandbyLook): Coordinates | null {
  const link = standbyLinkOf(target);
  const standsStill = link?.sql === 'No' || (link !== undefined && hasAppliedAll(target, link));
  if (link !== undefined && link.exec.file !== '' && standsStill) return link.exec;
  return standby.standby?.drained === true ? standby.standby.applied : null;
}

/** Its link is gone, and it applied more before that than was ever seen: where it stopped nobody knows. */
function appliedUnseen({ holder, target, replica }: ProofInput, standby: StandbyLook): Refused | null {
  const link = standbyLinkOf(target);
  if (link !== undefined && link.exec.file !== '') return null;
  const more = beyond(stateOfPosition(target.gtidSlavePos), stateOfPosition(standby.slavePos)).map(formatGtid);
  if (more.length === 0) return null;
  const { name } = holder.member;
  const message = `${name} shows ${more.join(', ')} as applied, which it was not seen to apply as a standby, and it follows nobody now: by file/position that may be what it received. Run mxr publisher beside the members, which sees it; promote without RESET SLAVE ALL; reseed ${replica.pod} from ${name}`;
  return refused('Unproven', 'TakeoverUnknown', message);
}
