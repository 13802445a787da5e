import type { Context } from './context.ts';
import { baselineMember, memberOf } from './context.ts';
import type { WalkQuestion } from './evidence.ts';
import { answerTo } from './evidence.ts';
import type { GtidState } from './gtid.ts';
import { beyond, mergeStates, stateOf } from './gtid.ts';
import type { Holder } from './holder.ts';
import { binlogStateOf } from './memory.ts';
import type { MemberMemory } from './memory.ts';
import type { MemberObservation } from './observation.ts';
import { compareCoordinates, hasFile } from './observation.ts';
import type { Asking } from './proof.ts';
import { asking, incarnationKey } from './proof.ts';
import { placeOf } from './replica.ts';

/**
 * What a replica without a binlog got from its old source, where that has something which the holder lacks (errant writes,
 * a tail): numbers of others hide it, but all that the source logged up to the replica's place is in the replica. Null:
 * there is nothing to be read, or it cannot be.
 */
export function gotFromSource(context: Context, holder: Holder): GtidState | Asking | null {
  const { replica, memory, evidence } = context;
  const source = memberOf(context, baselineMember(replica));
  const remembered = source === undefined ? undefined : memory.members.get(source.name);
  if (source === undefined || remembered === undefined || replica.look.logSlaveUpdates) return null;
  const question = walkOf(context, { source, remembered, holder });
  if (question === null) return null;
  const walk = answerTo(evidence, question);
  if (!walk.known) return asking(`reading in the binlog of ${source.name} what ${replica.pod} got from it`, question);
  return stateOf(walk.value.transactions.map(({ gtid }) => gtid));
}

interface Source {
  readonly source: MemberObservation;
  readonly remembered: MemberMemory;
  readonly holder: Holder;
}

function walkOf({ replica }: Context, { source, remembered, holder }: Source): WalkQuestion | null {
  const { baseline } = replica.memory;
  const { look } = source;
  if (!look.known || holder.look === null || source.name === holder.member.name) return null;
  if (remembered.inQuestion || remembered.lineage !== baseline?.lineage || baseline.coordinates === null) return null;
  const [from, through] = [baseline.coordinates, placeOf(replica)];
  const another = ![0, look.value.identity.serverId].includes(replica.link.sourceServerId);
  const isAhead = compareCoordinates(through, from) > 0;
  if (another || !isAhead || !hasFile(look.value, from.file) || !hasFile(look.value, through.file)) return null;
  const known = mergeStates(replica.contains, binlogStateOf(holder.look));
  if (beyond(binlogStateOf(look.value), known).length === 0) return null;
  const asked = { member: source.name, incarnation: incarnationKey(source) };
  return { kind: 'Walk', ...asked, from, through, firstOnly: false };
}
