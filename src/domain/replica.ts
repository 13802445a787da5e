import type { Evidence, RelayRestQuestion } from './evidence.ts';
import { answerTo } from './evidence.ts';
import type { GtidPosition, GtidState } from './gtid.ts';
import { formatPosition, mergeStates, samePosition, stateOf, stateOfPosition, withoutServer } from './gtid.ts';
import type { MemberMemory, ReplicaMemory, Standing } from './memory.ts';
import { containedByFollowing } from './memory.ts';
import type { Coordinates, Link, ReplicaObservation, ServerLook } from './observation.ts';
import { isDrained, mayHaveHalf } from './observation.ts';
import { incarnationKey } from './proof.ts';

/** One reachable replica with a link, and what follows from its look and from memory. */
export interface ReplicaFacts {
  readonly pod: string;
  readonly observed: ReplicaObservation;
  readonly look: ServerLook;
  /** Monotonic ms when the look began. */
  readonly lookAt: number;
  /**
   * When its present position was seen first (the pass that saw it, for the look may have read it at its very end): an
   * accusation needs a look at the target that began since then.
   */
  readonly standing: Standing;
  readonly link: Link;
  readonly memory: ReplicaMemory;
  /** Applied: gtid_slave_pos. */
  readonly position: GtidPosition;
  /** Applied or waiting in the relay log: what may be the only copy. */
  readonly received: GtidState;
  readonly drained: boolean;
  /** What its own logs say that it has, without its own local writes. */
  readonly logged: GtidState;
  /** Everything that it is proven to have. */
  readonly contains: GtidState;
}

interface Parts {
  readonly look: ServerLook;
  readonly link: Link;
  readonly memory: ReplicaMemory;
  readonly source: MemberMemory | undefined;
  readonly evidence: Evidence | undefined;
}

export function replicaFacts(
  observed: ReplicaObservation,
  { lookAt, seenAt }: { readonly lookAt: number; readonly seenAt: number },
  parts: Parts,
): ReplicaFacts {
  const { look, link, memory } = parts;
  const applied = stateOfPosition(look.gtidSlavePos);
  const relayed = link.usingGtid === 'No' ? stateOf([]) : stateOfPosition(link.gtidIoPos);
  const logged = mergeStates(applied, ownLog(look));
  const followed = followedTo(parts);
  return {
    pod: observed.pod,
    observed,
    look,
    lookAt,
    standing: standingOf(look, link, { seenAt, before: memory.standing }),
    link,
    memory,
    position: look.gtidSlavePos,
    received: mergeStates(applied, relayed),
    drained: isDrained(look, link) || hasHalfOnly(observed, { look, link, evidence: parts.evidence }),
    logged,
    contains: mergeStates(followed, logged),
  };
}

/** What its source had tells nothing of a replica that another server led to where it stands. */
function followedTo({ look, link, memory: { baseline }, source }: Parts): GtidState {
  if (baseline === null) return stateOf([]);
  const isSource = source?.lineage === baseline.lineage && [0, source.identity.serverId].includes(link.sourceServerId);
  return isSource ? containedByFollowing(baseline, look.gtidSlavePos, source) : baseline.contains;
}

type Applying = Pick<ReplicaFacts, 'look' | 'link'>;

/** What is left to ask whether a replica has applied all that it ever can; null: nothing. */
export function restQuestion(observed: ReplicaObservation, { look, link }: Applying): RelayRestQuestion | null {
  if (!mayHaveHalf(look, link)) return null;
  const asked = { pod: observed.pod, incarnation: incarnationKey(observed) };
  return { kind: 'RelayRest', ...asked, applied: link.exec, received: link.read };
}

function hasHalfOnly(
  observed: ReplicaObservation,
  applying: Applying & { readonly evidence: Evidence | undefined },
): boolean {
  const question = restQuestion(observed, applying);
  const rest = question === null ? null : answerTo(applying.evidence ?? new Map(), question);
  return rest?.known === true && rest.value === 'Half';
}

function standingOf(look: ServerLook, link: Link, seen: { seenAt: number; before: Standing | null }): Standing {
  const { file, position: offset } = link.read;
  const position = `${formatPosition(look.gtidSlavePos)} ${formatPosition(link.gtidIoPos)} ${file}:${offset}`;
  return seen.before?.position === position ? seen.before : { position, since: seen.seenAt };
}

/** The replica's binlog shows what it applied only when it logs it; its own writes are nobody else's history. */
function ownLog(look: ServerLook): GtidState {
  if (!look.logSlaveUpdates || look.gtidBinlogState === null) return stateOf([]);
  return withoutServer(look.gtidBinlogState, look.identity.serverId);
}

/**
 * Where it has applied to. After CHANGE and before START, and while it dials a donor, a link names no place: then what was
 * captured stands, as long as nothing came since. An empty file: nobody knows.
 */
export function placeOf({ link, memory, position }: ReplicaFacts): Coordinates {
  const { captured } = memory;
  if (link.exec.file !== '' || captured === null) return link.exec;
  // By file a connect overwrites the position, but such a link names its place.
  return samePosition(captured.gtid, position) ? captured.exec : link.exec;
}
