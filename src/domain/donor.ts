import type { Context, Policy } from './context.ts';
import { factsOf } from './context.ts';
import type { Answers, Question, Span } from './evidence.ts';
import { answerTo } from './evidence.ts';
import { isRefusal, valueOf, wasAsked } from './fact.ts';
import type { GtidPosition, GtidState } from './gtid.ts';
import { formatGtid, formatPosition, mergeStates, sameGtid, seqIn, stateHas, stateOfPosition } from './gtid.ts';
import type { ReplicaMemory } from './memory.ts';
import { binlogStateOf, sameIncarnation } from './memory.ts';
import type { MemberObservation, Observation, ReplicaObservation, ServerLook } from './observation.ts';
import { fileNumber } from './observation.ts';
import type { Dial, Donor, Fill } from './plan.ts';
import { donorName, sameDial } from './plan.ts';
import type { ProofInput } from './proof.ts';
import { incarnationKey } from './proof.ts';
import { restartedBetween, siblingDoubt, startBetween, startsOf } from './reused.ts';

/**
 * Who can give a replica what the new holder cannot, up to exactly the place where it took over: the old member while it
 * lives, then a replica that logs what it applied, at last the binlog files that a dead one left on its disk. Each is asked,
 * as the replica would ask it, before anything is touched.
 */
export type Offer =
  | { readonly kind: 'Usable'; readonly fill: Fill; readonly because: string }
  /** `questions`: what could not be asked is asked again, not at every pass. */
  | { readonly kind: 'Unusable'; readonly why: string; readonly questions: readonly Question[] }
  | { readonly kind: 'Asking'; readonly questions: readonly Question[] };

export interface Gap {
  readonly context: Context;
  readonly input: ProofInput;
  /**
   * The place where the target took over, in the domains that the replica lacks something of. UNTIL sends nothing of a domain
   * that it does not name, and waits for ever for one that the donor does not have.
   */
  readonly upTo: GtidPosition;
}

/** In the order in which they are preferred; lazily, for whoever comes first is enough. */
export function* offers(gap: Gap): Generator<Offer> {
  yield fromOldMember(gap);
  for (const observed of gap.context.observation.replicas) {
    if (observed.pod !== gap.input.replica.pod) yield fromSibling(gap, observed);
  }
  yield fromFiles(gap);
}

function unusable(donor: Donor, why: string, questions: readonly Question[] = []): Offer {
  return { kind: 'Unusable', why: `${donorName(donor)} ${why}`, questions };
}

/** Of a server id that its binlog does not know in that domain UNTIL finds no end at all. */
function missingIn({ upTo }: Gap, state: GtidState): string {
  return [...upTo.values()]
    .filter((gtid) => !stateHas(state, gtid))
    .map(formatGtid)
    .join(', ');
}

/** The very history that the replica followed, read on from where it stands: nothing else can be in between. */
function fromOldMember(gap: Gap): Offer {
  const { source, sourceObserved: observed, baseline, replica } = gap.input;
  const donor: Donor = { kind: 'Member', member: baseline.member };
  if (observed === undefined || source === undefined) return unusable(donor, 'is no member any more');
  if (!observed.look.known) return unusable(donor, `does not answer (${observed.look.why})`);
  const look = observed.look.value;
  const isSame = source.lineage === baseline.lineage && !source.inQuestion;
  if (!isSame || !sameIncarnation(source.identity, look.identity)) {
    return unusable(donor, `restarted, and that its binlog is the one which ${replica.pod} followed is not proven`);
  }
  const missing = missingIn(gap, binlogStateOf(look));
  if (missing !== '') return unusable(donor, `does not have ${missing} in its binlog`);
  const asked = { member: observed.name, incarnation: incarnationKey(observed) };
  const gtid = formatPosition(replica.position);
  const answer = answered(gap, donor, { kind: 'Rehearsal', ...asked, gtid } as const);
  if ('kind' in answer) return answer;
  const rehearsal = answer.value;
  if (!rehearsal.accepted) return unusable(donor, `would refuse ${gtid}: ${rehearsal.errno} ${rehearsal.text}`);
  if (rehearsal.next !== null && stateHas(replica.contains, rehearsal.next)) {
    return unusable(donor, `would begin with ${formatGtid(rehearsal.next)}, which ${replica.pod} has`);
  }
  const starts = startsFrom(gap, donor, { observed, look, file: rehearsal.at.file });
  if ('kind' in starts) return starts;
  if (startBetween(gap, starts)) return unusable(donor, restartedBetween(gap));
  return usable(gap, donor, look.identity.startedAt);
}

const MAX_FILES = 256;

/** What had survived at each start in the binlog that it would send, as the files themselves say: memory has the last only. */
function startsFrom(
  gap: Gap,
  donor: Donor,
  { observed, look, file }: { observed: MemberObservation; look: ServerLook; file: string },
): readonly GtidState[] | Offer {
  const names = [...look.files.map(({ name }) => name), look.end?.file ?? file, file];
  const files = [...new Set(names)]
    .filter((name) => fileNumber(name) >= fileNumber(file))
    .toSorted((a, b) => fileNumber(a) - fileNumber(b));
  const starts: GtidState[] = [];
  for (const name of files.slice(0, MAX_FILES)) {
    const asked = { member: observed.name, incarnation: incarnationKey(observed), file: name };
    const answer = answered(gap, donor, { kind: 'FileHeader', ...asked } as const);
    if ('kind' in answer) return answer;
    const { byServerStart, gtidList } = answer.value;
    if (missingIn(gap, gtidList) === '') return starts;
    if (byServerStart) starts.push(gtidList);
  }
  if (files.length <= MAX_FILES) return starts;
  return unusable(
    donor,
    `has more than ${MAX_FILES} binlog files in between: too many to tell whether it restarted there`,
  );
}

/**
 * It logs what it applied, so it can hand it on: exactly the transactions of the old holder, without a hole and without one
 * of its own. That it stands further on is no harm, for the replica is stopped at the takeover point.
 */
function fromSibling(gap: Gap, observed: ReplicaObservation): Offer {
  const { replica } = gap.input;
  const donor: Donor = { kind: 'Sibling', pod: observed.pod };
  if (!observed.look.known) return unusable(donor, 'does not answer');
  const look = observed.look.value;
  const doubt = doubtOf(gap, observed, look) ?? siblingDoubt(gap, factsOf(gap.context, observed));
  if (doubt !== null) return unusable(donor, doubt);
  const [from, upTo] = [formatPosition(replica.position), formatPosition(gap.upTo)];
  const asked = { pod: observed.pod, incarnation: incarnationKey(observed) };
  const answer = answered(gap, donor, { kind: 'Span', ...asked, from, upTo } as const);
  if ('kind' in answer) return answer;
  const wrong = spanDoubt(gap, look, answer.value);
  return wrong === null ? usable(gap, donor, look.identity.startedAt) : unusable(donor, wrong);
}

function doubtOf(gap: Gap, observed: ReplicaObservation, look: ServerLook): string | null {
  const memory = gap.context.memory.replicas.get(observed.pod);
  if (memory === undefined || !isProven(gap, memory)) return 'is not proven itself';
  if (observed.ip === null) return 'has no address';
  const { settings, gtidBinlogState: state } = look;
  if (!look.logBin || !look.logSlaveUpdates) return 'does not log what it applies (log_slave_updates=0)';
  if (state === null) return 'does not show what its binlog has';
  if (settings.slaveSkipErrors !== 'OFF') return 'skips replication errors (slave_skip_errors)';
  if (settings.binlogDoDb !== '' || settings.binlogIgnoreDb !== '') return 'filters its binlog';
  const missing = missingIn(gap, state);
  return missing === '' ? null : `does not have ${missing} in its binlog`;
}

/** Short of the takeover point or beyond it, by what the old holder wrote: the link is given an end. */
const NO_HARM: readonly string[] = ['Behind', 'Ahead'];

/** It was proven on the history that the replica followed, or on what the target made of it, and nothing else is known of it. */
function isProven({ input }: Gap, { baseline, unsafeSince, refusal }: ReplicaMemory): boolean {
  if (baseline === null || unsafeSince !== null) return false;
  if (refusal !== null && !NO_HARM.includes(refusal.reason)) return false;
  return [input.baseline.lineage, input.targetMemory.lineage].includes(baseline.lineage);
}

function isRefusedBy({ context, input }: Gap, donor: Donor): boolean {
  const { link } = input.replica;
  // What mxr itself hands out is proven anew each time, and the refusal said what was not as it should be.
  if (donor.kind === 'Files') return false;
  const seen = donorAt(context.observation, donor, context.policy);
  return link.ioErrno === 1236 && seen !== null && sameDial(link, seen.dial);
}

/** Number by number from where the replica stands to the takeover point, and nothing that the old holder did not have. */
function spanDoubt(gap: Gap, look: ServerLook, span: Span): string | null {
  const { replica, source } = gap.input;
  if (!span.accepted) return `would refuse ${formatPosition(replica.position)}: ${span.errno} ${span.text}`;
  if (span.truncated !== null) return `has too much in between to be read (cut by ${span.truncated})`;
  const had = mergeStates(replica.contains, stateOfPosition(gap.upTo), ...(source?.anchors ?? []).map(stateOfAnchor));
  const reached = new Map(replica.position);
  for (const { domain, serverId, first, last } of span.runs) {
    if (serverId === look.identity.serverId || seqIn(had, { domain, serverId }) === undefined) {
      return `has ${formatGtid({ domain, serverId, seq: first })} in between, which is not of the old holder`;
    }
    const before = reached.get(domain)?.seq ?? 0n;
    if (first !== before + 1n) return `lacks what comes before ${formatGtid({ domain, serverId, seq: first })}`;
    reached.set(domain, { domain, serverId, seq: last });
  }
  const short = [...gap.upTo.values()].filter((gtid) => !sameGtid(reached.get(gtid.domain), gtid));
  return short.length === 0 ? null : `would not bring it to ${short.map(formatGtid).join(', ')}`;
}

/**
 * The old member's own binlog, where its server is dead and its disk is not. Its publisher hands the files out; mxr reads them
 * up to the takeover point, and serves exactly that.
 */
function fromFiles(gap: Gap): Offer {
  const { source, sourceObserved: observed, baseline, replica } = gap.input;
  const { policy } = gap.context;
  const donor: Donor = { kind: 'Files', member: baseline.member };
  const without = (why: string) => unusable(donor, why);
  if (observed === undefined || source === undefined) return without('are those of no member any more');
  if (observed.look.known) return without('are not read while their server answers');
  if (observed.publisher === undefined) return without('cannot be had: it has no publisher');
  if (policy.files === undefined || 'why' in policy.files) {
    return without(`are not read: ${policy.files?.why ?? 'MXR_FILL_PORT is not set'}`);
  }
  if (source.lineage !== baseline.lineage || source.inQuestion) {
    return without(`are not known to be those which ${replica.pod} followed`);
  }
  const { serverId, startedAt } = source.identity;
  const places = {
    from: formatPosition(replica.position),
    upTo: formatPosition(new Map([...replica.position, ...gap.upTo])),
  };
  const asked = { member: observed.name, lineage: source.lineage, serverId };
  const answer = answered(gap, donor, { kind: 'Files', ...asked, ...places } as const);
  if ('kind' in answer) return answer;
  if (!answer.value.accepted) return without(`do not do: ${answer.value.why}`);
  // The files know of starts that nobody saw, memory of those whose files were removed.
  const starts = [...(answer.value.starts ?? []), ...startsOf(source)];
  return startBetween(gap, starts)
    ? without(`do not do: their server ${restartedBetween(gap)}`)
    : usable(gap, donor, startedAt);
}

function stateOfAnchor({ binlogState }: { readonly binlogState: GtidState }): GtidState {
  return binlogState;
}

function usable(gap: Gap, donor: Donor, startedAt: number): Offer {
  const { context, input, upTo } = gap;
  const seen = donorAt(context.observation, donor, context.policy);
  if (isRefusedBy(gap, donor)) return unusable(donor, 'has refused it (error 1236)');
  const failed = failedLately(context, donor, input.replica.pod);
  if (failed !== null) return unusable(donor, failed);
  if (seen === null) return unusable(donor, 'has no address');
  const from = context.intended.get(input.replica.pod)?.fill?.from ?? input.replica.position;
  const because = `${donorName(donor)} (${seen.dial.host}:${seen.dial.port}) ${donor.kind === 'Files' ? 'have' : 'has'} what lies between ${formatPosition(input.replica.position)} and ${formatPosition(upTo)}`;
  return { kind: 'Usable', fill: { donor, dial: seen.dial, startedAt, upTo, from }, because };
}

const FAILED_OFTEN = 3;
const FAILED_LATELY_MS = 60_000;

/** What mxr can reach the replica may not: then the next donor is tried, and this one again after a while. */
function failedLately({ failures, observation }: Context, donor: Donor, pod: string): string | null {
  const failed = failures?.get(pod);
  if (failed?.donor !== donorName(donor) || failed.times < FAILED_OFTEN) return null;
  return observation.now - failed.at < FAILED_LATELY_MS ? `was tried ${failed.times} times: ${failed.last}` : null;
}

const ASK_AGAIN_MS = 10_000;
/** A replica follows its donor by the account that it has for the source. */
const ACCOUNT = 'create the account of replicationUsername there, with REPLICATION SLAVE';

/** What could not be asked is no answer: this donor is of no use now, and is asked again later. */
function answered<Q extends Question>(
  { context: { evidence, observation } }: Gap,
  donor: Donor,
  question: Q,
): { readonly value: Answers[Q['kind']] } | Offer {
  const answer = answerTo(evidence, question);
  if (answer.known) return { value: answer.value };
  if (!wasAsked(answer)) return { kind: 'Asking', questions: [question] };
  const cure = isRefusal(answer) ? `; ${ACCOUNT}` : '';
  const again = observation.now - answer.at < ASK_AGAIN_MS ? [] : [question];
  return unusable(donor, `could not be asked (${answer.why}${cure})`, again);
}

/** Where a donor is dialled, and what is seen of it; null: it is not there any more. */
export function donorAt(
  { members, replicas }: Observation,
  donor: Donor,
  { replicaPort, files }: Pick<Policy, 'replicaPort' | 'files'>,
): { readonly dial: Dial; readonly look: ServerLook | undefined; readonly incarnation: number } | null {
  if (donor.kind === 'Member') {
    const member = members.find(({ name }) => name === donor.member);
    if (member === undefined) return null;
    const { host, port, look, incarnation } = member;
    return { dial: { host, port }, look: valueOf(look), incarnation };
  }
  if (donor.kind === 'Files') {
    return files === undefined || 'why' in files ? null : { dial: files.dial, look: undefined, incarnation: 0 };
  }
  const replica = replicas.find(({ pod }) => pod === donor.pod);
  if (replica === undefined || replica.ip === null) return null;
  const { ip, look, incarnation } = replica;
  return { dial: { host: ip, port: replicaPort }, look: valueOf(look), incarnation };
}
