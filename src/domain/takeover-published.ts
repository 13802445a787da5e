import { isWithin, stateOfPosition } from './gtid.ts';
import type { Anchor, MemberMemory, StandbyFacts } from './memory.ts';
import { binlogStateOf, sameIncarnation } from './memory.ts';
import type { MemberObservation, ServerLook } from './observation.ts';
import { compareCoordinates, hasFile } from './observation.ts';
import type { PublishedTakeover, PublisherLook } from './published.ts';
import { comparable } from './published.ts';

/**
 * The takeover record of a member's publisher is a look at it as a standby, made on the spot, also while no process of mxr
 * ran. It has the rank of mxr's own last look: the later of the two counts, and two that contradict each other prove
 * nothing. Whatever it says is compared with the live server by the proof that rests on it, which refuses each single lie;
 * and it is never stored, so that a publisher which is mended later is believed then.
 */
export type Standby =
  /** Null: neither of them saw it as a standby. */
  { readonly kind: 'Seen'; readonly look: StandbyLook | null } | { readonly kind: 'Disagree'; readonly why: string };

export type StandbyLook = Omit<Anchor, 'at' | 'since'>;

export function lastStandbyOf(memory: MemberMemory, observed: Seen, target: ServerLook): Standby {
  const witness = witnessOf(memory, observed, target);
  if (witness.kind === 'Disagrees') return { kind: 'Disagree', why: witness.why };
  return { kind: 'Seen', look: witness.kind === 'Later' ? witness.record : memory.lastStandby };
}

type Witness =
  | { readonly kind: 'None' }
  | { readonly kind: 'Later'; readonly record: PublishedTakeover }
  | { readonly kind: 'Disagrees'; readonly why: string };

const NONE: Witness = { kind: 'None' };

type Seen = Pick<MemberObservation, 'name' | 'look' | 'publisher'>;

function witnessOf(memory: MemberMemory, observed: Seen, look: ServerLook): Witness {
  const { publisher, name } = observed;
  if (publisher?.known !== true || memory.inQuestion) return NONE;
  const record = publisher.value.takeover;
  if (record === null || !isOfThisLife(publisher.value, memory, look)) return NONE;
  // The look may have begun before the publisher was asked: then it need not have that yet.
  const isOlder = !observed.look.known || observed.look.at <= publisher.at;
  if (!isWithin(record.binlogState, binlogStateOf(look))) {
    const why = `the publisher of ${name} says that its binlog had transactions which it does not have`;
    return isOlder ? NONE : { kind: 'Disagrees', why };
  }
  const doubt = posFileDoubt(record, publisher.value.imported, name);
  if (doubt !== null) return { kind: 'Disagrees', why: doubt };
  if (look.end === null || !hasFile(look, record.end.file)) return NONE;
  return compareCoordinates(record.end, look.end) <= 0 ? against(memory.lastStandby, record, name) : NONE;
}

/**
 * The `.pos` files of older scripts lie on the same host, so their times are those of the record. No binlog becomes shorter:
 * a file that was written after the record can say more than it, never less.
 */
function posFileDoubt(record: PublishedTakeover, imported: PublisherLook['imported'], member: string): string | null {
  const files = [
    { name: 'mysql-bin-slave-end.pos', of: member, said: imported.slaveEnd, seen: record.end },
    { name: 'mysql-bin-master-end.pos', of: 'the old primary', said: imported.masterEnd, seen: record.standby.applied },
  ];
  for (const { name, of, said, seen } of files) {
    if (said === null || said.at <= record.at || !(compareCoordinates(said, seen) < 0)) continue;
    const written = `${said.file}:${said.position} (written ${new Date(said.at).toISOString()})`;
    return `${name} on the host of ${member} says that the binlog of ${of} ended at ${written}, and the publisher there had seen ${seen.file}:${seen.position} before that (a file that was copied late does that: remove it)`;
  }
  return null;
}

/** The same start of the same server: a record of an earlier life says nothing of what a crash has left. */
function isOfThisLife({ identity }: PublisherLook, memory: MemberMemory, look: ServerLook): boolean {
  if (identity === null) return false;
  return [memory.identity, look.identity].every((one) => sameIncarnation(comparable(identity, one), one));
}

/** The later of two looks at one history: its binlog had more, or the same, and more was applied. */
function against(last: Anchor | null, record: PublishedTakeover, member: string): Witness {
  if (last === null) return { kind: 'Later', record };
  const order = compareCoordinates(record.end, last.end);
  const hasAll = isWithin(last.binlogState, record.binlogState);
  const hasNoMore = isWithin(record.binlogState, last.binlogState);
  if (order > 0 && hasAll && !hasNoMore) return { kind: 'Later', record };
  if (order < 0 && hasNoMore) return NONE;
  if (order >= 0 && hasAll && hasNoMore) return isLaterStandby(last, record) ? { kind: 'Later', record } : NONE;
  const [here, there] = [`${record.end.file}:${record.end.position}`, `${last.end.file}:${last.end.position}`];
  const why = `the publisher of ${member} saw the binlog of ${member} end at ${here} when it was a standby last, and mxr at ${there}, with transactions that do not fit together`;
  return { kind: 'Disagrees', why };
}

function isLaterStandby(last: Anchor, record: PublishedTakeover): boolean {
  const [before, now] = [last.standby, record.standby];
  if (before === null) return true;
  if (now.usingGtid !== before.usingGtid) return false;
  return now.usingGtid ? hasAppliedMore(last, record) : isFurther(before, now);
}

function hasAppliedMore(last: Anchor, record: PublishedTakeover): boolean {
  const [before, now] = [stateOfPosition(last.slavePos), stateOfPosition(record.slavePos)];
  return isWithin(before, now) && !isWithin(now, before);
}

/** By file what was applied is told by the coordinates; a look that had drained says more than one that had not. */
function isFurther(before: StandbyFacts, now: StandbyFacts): boolean {
  const order = compareCoordinates(now.applied, before.applied);
  return order > 0 || (order === 0 && now.drained && !before.drained);
}
