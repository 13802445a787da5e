import type { Baseline, Captured, ReplicaStatus } from '../api/status.ts';
import { attachmentOf } from '../domain/attached.ts';
import type { Policy } from '../domain/context.ts';
import { factsOf, withOwnPlaces } from '../domain/context.ts';
import { valueOf } from '../domain/fact.ts';
import { formatGtid, formatPosition, formatState } from '../domain/gtid.ts';
import type { Picture } from '../domain/judge.ts';
import type * as domain from '../domain/memory.ts';
import type { Link, Observation, ReplicaObservation, ServerLook } from '../domain/observation.ts';
import { linkOf } from '../domain/observation.ts';
import { retentionHeadroom } from '../domain/retention.ts';
import type { Decision } from '../domain/verdict.ts';
import { isReady } from '../domain/verdict.ts';
import type { Histories } from '../observe/histories.ts';
import type { SalvageState } from '../salvage/salvager.ts';
import { salvageText } from './salvage.ts';
import { bounded, iso, MAX_MESSAGE, steady, transactionsOf } from './status-parts.ts';

interface ReplicaInput {
  readonly policy: Policy;
  readonly observation: Observation;
  readonly picture: Picture;
  readonly serving: ReadonlySet<string>;
  readonly before: ReplicaStatus | undefined;
  readonly histories: Pick<Histories, 'of'>;
  readonly salvage: (pod: string) => SalvageState | 'Off' | null;
}

export function replicaStatus(input: ReplicaInput, observed: ReplicaObservation, decision: Decision): ReplicaStatus {
  const { pod, podUid } = observed;
  const { verdict, reason, message, lagSeconds, transactions } = decision;
  const attachedTo = feederOf(input, observed);
  return {
    pod,
    podUid,
    verdict,
    reason,
    message: saying(bounded(message, MAX_MESSAGE), salvageText(decision, valueOf(observed.look), input.salvage(pod))),
    ...salvaged(input, decision),
    ...(transactions === null
      ? {}
      : { transactions: transactionsOf(transactions, input.histories.of({ pod }, transactions.unique)) }),
    ...(attachedTo === undefined ? {} : { attachedTo }),
    ready: isReady(verdict),
    ...place(input, observed),
    ...retention(input, observed, attachedTo),
    ...(lagSeconds === null ? {} : { lagSeconds: Math.max(0, Math.round(lagSeconds)) }),
    serving: input.serving.has(pod),
    ...remembered(input.picture.memory.replicas.get(pod), input.before),
    foreignChanges: (input.picture.memory.replicas.get(pod)?.foreignChanges ?? []).map(iso),
    lacks: (input.picture.memory.replicas.get(pod)?.lacks ?? []).map(formatGtid),
    since: since(input, decision),
  };
}

function saying(message: string, salvage: string): string {
  return salvage === '' ? message : `${message}. ${salvage}`;
}

/** As long as it is not proven again: whoever repairs it must find the file, also while the pod is down. */
function salvaged({ salvage, before }: ReplicaInput, { pod, verdict }: Decision): Pick<ReplicaStatus, 'salvage'> {
  if (isReady(verdict)) return {};
  const state = salvage(pod);
  if (state === null || state === 'Off' || state.kind !== 'Saved') {
    return before?.salvage === undefined ? {} : { salvage: before.salvage };
  }
  const { file, savedAt, sha256, count } = state.manifest;
  return { salvage: { file, at: savedAt, sha256, count } };
}

/** Who really feeds it, told from the servers and not from its own word. */
function feederOf({ policy, observation, picture }: ReplicaInput, observed: ReplicaObservation): string | undefined {
  const holder = picture.diagnosis.holder;
  const facts = factsOf({ policy, observation, memory: picture.memory }, observed);
  if (facts === null) return undefined;
  if (holder !== null && attachmentOf({ policy, observation, memory: picture.memory }, facts, holder) !== 'No') {
    return holder.member.name;
  }
  if (facts.link.io !== 'Yes') return undefined;
  return observation.members.find((member) => valueOf(member.look)?.dumps?.some((dump) => dump.address === observed.ip))
    ?.name;
}

/** How long the member that feeds it, or fed it last, keeps what it needs. */
function retention(
  input: ReplicaInput,
  { pod, look }: ReplicaObservation,
  attachedTo: string | undefined,
): Pick<ReplicaStatus, 'retentionHeadroomSeconds'> {
  const { observation, picture } = input;
  const name = attachedTo ?? picture.memory.replicas.get(pod)?.baseline?.member ?? '';
  const member = valueOf(observation.members.find((one) => one.name === name)?.look);
  const memory = picture.memory.members.get(name);
  const link = look.known ? ownLinkOf(input, look.value) : undefined;
  if (member === undefined || memory === undefined || link === undefined || link.exec.file === '') return {};
  const seconds = retentionHeadroom(link.exec, { look: member, memory }, observation.wallNow);
  return seconds === null ? {} : { retentionHeadroomSeconds: Math.round(seconds) };
}

/** A donor's coordinates are no place in the binlog of a member. */
function ownLinkOf(input: ReplicaInput, look: ServerLook): Link | undefined {
  const link = linkOf(look, input.policy.channel);
  return link === undefined ? undefined : withOwnPlaces(link, input);
}

type Place = Pick<ReplicaStatus, 'gtid' | 'file' | 'position' | 'positioning'>;

/** Where it stands; while it does not answer, where it stood. */
function place(input: ReplicaInput, observed: ReplicaObservation): Place {
  const { before } = input;
  const look = valueOf(observed.look);
  if (look === undefined) {
    if (before === undefined) return {};
    const { gtid, file, position, positioning } = before;
    return { gtid, file, position, positioning };
  }
  const link = ownLinkOf(input, look);
  return {
    gtid: formatPosition(look.gtidSlavePos),
    ...(link === undefined || link.exec.file === '' ? {} : { file: link.exec.file, position: link.exec.position }),
    ...(link === undefined ? {} : { positioning: link.usingGtid === 'No' ? 'FilePosition' : 'GTID' }),
  };
}

type Remembered = Pick<
  ReplicaStatus,
  | 'startedAt'
  | 'captured'
  | 'unsafeSince'
  | 'haltedSince'
  | 'through'
  | 'baseline'
  | 'clearedFor'
  | 'ownBinlog'
  | 'knownSince'
  | 'followed'
>;

function remembered(memory: domain.ReplicaMemory | undefined, before: ReplicaStatus | undefined): Remembered {
  if (memory === undefined) return {};
  const {
    startedAt,
    captured,
    unsafeSince,
    haltedSince,
    through,
    baseline,
    clearedFor,
    ownBinlog,
    knownSince,
    followed,
  } = memory;
  return {
    ...(startedAt === null ? {} : { startedAt: steady(startedAt, before?.startedAt) }),
    ...(captured === null ? {} : { captured: capturedStatus(captured) }),
    ...(unsafeSince === null ? {} : { unsafeSince: iso(unsafeSince) }),
    ...(haltedSince === null ? {} : { haltedSince: iso(haltedSince) }),
    ...(through === null ? {} : { through }),
    ...(baseline === null ? {} : { baseline: baselineStatus(baseline) }),
    ...(clearedFor === null ? {} : { clearedFor }),
    ...(ownBinlog === null ? {} : { ownBinlog: { basename: ownBinlog.basename, gtids: formatState(ownBinlog.state) } }),
    ...(knownSince === null ? {} : { knownSince: iso(knownSince) }),
    ...(followed === null ? {} : { followed: { ...followed, contains: formatState(followed.contains) } }),
  };
}

function capturedStatus({ at, exec, read, gtid, gtidIoPos }: domain.Captured): Captured {
  return {
    at: iso(at),
    file: exec.file,
    position: exec.position,
    readFile: read.file,
    readPosition: read.position,
    gtid: formatPosition(gtid),
    gtidIoPos: formatPosition(gtidIoPos),
  };
}

function baselineStatus({ by, member, lineage, coordinates, gtid, contains, at }: domain.Baseline): Baseline {
  return {
    by,
    member,
    lineage,
    ...(coordinates === null ? {} : { file: coordinates.file, position: coordinates.position }),
    gtid: formatPosition(gtid),
    contains: formatState(contains),
    at: iso(at),
  };
}

/** Since when the verdict is what it is. */
function since({ before, observation }: ReplicaInput, { verdict, reason }: Decision): string {
  if (before !== undefined && before.verdict === verdict && before.reason === reason) return before.since;
  return iso(observation.wallNow);
}
