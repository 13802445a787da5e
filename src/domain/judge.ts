import { noticeLink } from './contested.ts';
import type { Context, Policy } from './context.ts';
import { factsOf } from './context.ts';
import { decideReplica } from './decide.ts';
import type { Evidence, Question } from './evidence.ts';
import { answerTo } from './evidence.ts';
import { followedNow, noticeMixed, readMixed } from './errant.ts';
import { connectedNow, fedNow } from './fed.ts';
import type { Gtid } from './gtid.ts';
import { mergeStates, parseGtid, sameGtid, stateHas } from './gtid.ts';
import { seenHidden } from './hidden.ts';
import type { ReplicaFacts } from './replica.ts';
import { findHolder } from './holder.ts';
import { settleIntents } from './intent.ts';
import { isLate, rememberMember, seenAsStandby } from './lineage.ts';
import type { Baseline, MemberMemory, Memory, ReplicaMemory } from './memory.ts';
import { NEW_REPLICA } from './memory.ts';
import type { MemberObservation, Observation, ReplicaObservation } from './observation.ts';
import type { Failures } from './pause.ts';
import { paused } from './pause.ts';
import type { Plan } from './plan.ts';
import { incarnationKey } from './proof.ts';
import { refusalOf } from './refusal.ts';
import { forgetReplaced, ownBinlogOf } from './replaced.ts';
import { settleLineage } from './settle.ts';
import { declared, parted, standingOf, stillAlive } from './shared.ts';
import type { SeenMember } from './shared.ts';
import type { Diagnosis, PairMemory } from './situation.ts';
import { diagnosePair, rememberPair } from './situation.ts';
import { readUnread } from './unread.ts';
import type { Decision } from './verdict.ts';
import { isReady } from './verdict.ts';

export interface JudgeInput {
  readonly policy: Policy;
  readonly observation: Observation;
  readonly memory: Memory;
  readonly pair: PairMemory;
  readonly evidence: Evidence;
  readonly busy: Context['busy'];
  readonly actedAt: Context['actedAt'];
  readonly intended: Context['intended'];
  readonly relink: Context['relink'];
  /** Ids that a person has approved. */
  readonly approved: ReadonlySet<string>;
  /** Plans that stopped at a surprise lately, by pod. */
  readonly failures: ReadonlyMap<string, Failures>;
}

/** Everything that one pass concludes. A value: nothing has been done yet. */
export interface Picture {
  readonly diagnosis: Diagnosis;
  readonly decisions: readonly Decision[];
  /** Plans that may be carried out now, before the policy's gates. */
  readonly plans: readonly Plan[];
  readonly questions: readonly Question[];
  readonly memory: Memory;
  readonly pair: PairMemory;
}

/** One pass of deciding: remember what was seen, say what is going on, then decide for each replica. Pure. */
export function judge(input: JudgeInput): Picture {
  const { memory: seen, questions } = rememberMembers(input);
  const memory = settleIntents({ ...input, memory: forgetReplaced(seen, input.observation) });
  const diagnosis = diagnosePair({ ...input, memory });
  const pair = rememberPair(input.pair, diagnosis, input.observation);
  const decisions = input.observation.replicas.map((replica) => {
    const decision = decideReplica({ ...input, memory, diagnosis }, replica);
    return paused(decision, input.failures.get(replica.pod), input.observation.now);
  });
  return {
    diagnosis,
    decisions,
    plans: oneAdoptionAtATime(input, decisions),
    questions: [...questions, ...decisions.flatMap((decision) => decision.questions)],
    memory: overcome(rememberReplicas({ ...input, memory }, diagnosis, decisions), input.observation),
    pair,
  };
}

function rememberMembers(input: JudgeInput): { memory: Memory; questions: readonly Question[] } {
  const { observation, policy } = input;
  const alive = stillAlive(input.memory.alive ?? new Map(), observation);
  let members = new Map(input.memory.members);
  const questions: Question[] = [];
  for (const seen of looksAtMembers(input)) {
    const { observed, look } = seen;
    const shared = { observation, members, alive, topology: policy.topology };
    const standing = standingOf(shared, seen);
    if (standing.kind === 'Later') {
      questions.push(...standing.questions);
      continue;
    }
    if (standing.kind === 'Beside') members = parted(shared, seen, standing.other);
    const known = standing.kind === 'Heir' ? standing.memory : members.get(observed.name);
    const before = asStandby(input, known, observed);
    const remembered = declared(rememberMember(before, observed.name, look, observation.wallNow), policy.topology);
    const dated = dateFiles(input, remembered, observed);
    const read = readUnread(dated.memory, observed, { ...input, wallNow: observation.wallNow });
    members.set(observed.name, 'memory' in read ? read.memory : dated.memory);
    questions.push(...dated.questions, ...('questions' in read ? read.questions : []));
    questions.push(...vipAgain(input, remembered, seen.lookAt));
    if (remembered.inQuestion) {
      const settled = settleLineage({ ...input, ...shared, members }, remembered, seen);
      if ('questions' in settled) questions.push(...settled.questions);
      else for (const [name, memory] of settled.members) members.set(name, memory);
    }
    const own = ownWrites(input, { before, after: members.get(observed.name) }, seen);
    if (own === null) continue;
    members.set(observed.name, own.memory);
    // Nobody waits for it but a proof that needs it, and that asks itself.
    if (input.pair.situation === 'Stable') questions.push(...own.questions);
  }
  return { memory: { ...input.memory, members, alive }, questions };
}

/** Whether it wrote anything by itself that its peers never got. */
function ownWrites(
  { observation, memory, evidence }: JudgeInput,
  { before, after }: { readonly before: MemberMemory | undefined; readonly after: MemberMemory | undefined },
  { observed, look }: SeenMember,
) {
  // Behind the VIP alone its binlog cannot be read.
  if (after === undefined || after.inQuestion || !observed.look.known) return null;
  const others = observation.members.filter(({ name }) => name !== observed.name);
  const around = { observed, look, others, evidence };
  // Most passes see the look of the one before.
  if (after.lastLook === before?.lastLook) return readMixed(after, around);
  const found = findHolder(observation, memory);
  const last = before?.lineage === after.lineage ? before.anchors.at(-1) : undefined;
  const held = found.kind === 'Found' && found.holder.member.name === observed.name;
  const now = { held, late: isLate(last, observation.wallNow), ...followedNow(others, after, look) };
  return readMixed(noticeMixed(after, last, now), around);
}

/**
 * A member that has just become a standby counts as one only once the VIP was seen elsewhere after that: asked at once, for
 * the next failover may come within the second. Once per look at the member: each pass would ask again until it is answered.
 */
function vipAgain({ observation, memory }: JudgeInput, member: MemberMemory, lookAt: number): Question[] {
  const { name, anchors, lastStandby, inQuestion } = member;
  const found = findHolder(observation, memory);
  const isStandby = found.kind === 'Found' && found.holder.member.name !== name && anchors.at(-1)?.standby != null;
  if (!isStandby || inQuestion) return [];
  const isNew = lastStandby === null || anchors.some(({ standby, at }) => standby === null && at > lastStandby.at);
  return isNew ? [{ kind: 'LiveLook', target: 'vip', after: lookAt }] : [];
}

/** Each member that was looked at: directly, or behind the VIP where only that is routed and the member holds it. */
function looksAtMembers({ observation, memory }: JudgeInput): SeenMember[] {
  const found = findHolder(observation, memory);
  const holder = found.kind === 'Found' ? found.holder : null;
  return observation.members.flatMap((observed) => {
    if (observed.look.known) return { observed, look: observed.look.value, lookAt: observed.look.at };
    const behindVip = holder?.member.name === observed.name ? holder.look : null;
    if (holder === null || behindVip === null) return [];
    return { observed: holder.member, look: behindVip, lookAt: holder.lookAt };
  });
}

/** What earlier passes saw of a member was seen of a standby where a newer connection to the VIP ended on another one. */
function asStandby(
  { observation, memory }: JudgeInput,
  before: MemberMemory | undefined,
  { name }: MemberObservation,
): MemberMemory | undefined {
  const found = findHolder(observation, memory);
  const vip = observation.vip.look;
  if (before === undefined || found.kind !== 'Found' || !vip.known || found.holder.member.name === name) return before;
  return seenAsStandby(before, observation.wallNow - (observation.now - vip.at));
}

/**
 * The creation time of the newest file, read once per file in calm: a file of the same name that was created at another
 * time is another history. Asked with the replication account, so a missing grant shows before the night it is needed.
 */
function dateFiles(
  input: JudgeInput,
  memory: MemberMemory,
  observed: MemberObservation,
): { memory: MemberMemory; questions: readonly Question[] } {
  const newest = memory.files.at(-1);
  if (newest === undefined || newest.createdAt !== null || memory.inQuestion) return { memory, questions: [] };
  const question = {
    kind: 'FileHeader',
    member: observed.name,
    incarnation: incarnationKey(observed),
    file: newest.name,
  } as const;
  const header = answerTo(input.evidence, question);
  if (!header.known) return { memory, questions: input.pair.situation === 'Stable' ? [question] : [] };
  const files = [...memory.files.slice(0, -1), { ...newest, createdAt: header.value.createdAt }];
  return { memory: { ...memory, files }, questions: [] };
}

const ADOPTION_BLOCKED_AFTER_MS = 5_000;

/** Adoption, and a link that is written anew, go one replica at a time, so that a surprise concerns one; a blocked one does not hold the others. */
function oneAdoptionAtATime(input: JudgeInput, decisions: readonly Decision[]): readonly Plan[] {
  const plans = decisions.flatMap((decision) => decision.plan ?? []);
  const [first] = plans.filter(isOneByOne);
  const adopting = [...input.busy].some(([pod, task]) => {
    const isAdoption = input.memory.replicas.get(pod)?.baseline == null;
    return isAdoption && input.observation.now - task.since < ADOPTION_BLOCKED_AFTER_MS;
  });
  return plans.filter((plan) => !isOneByOne(plan) || (plan === first && !(plan.kind === 'Adopt' && adopting)));
}

function isOneByOne({ kind }: Plan): boolean {
  return kind === 'Adopt' || kind === 'Relink';
}

/**
 * A break in a member's history is over once every replica was proven on what it has now: each got other data, or a person
 * had it adopted again. Until then it concerns whoever comes back to this member from elsewhere.
 */
function overcome(memory: Memory, { replicas }: Observation): Memory {
  const baselines = replicas.flatMap(({ pod }) => memory.replicas.get(pod)?.baseline ?? []);
  const all = baselines.length > 0 && baselines.length === replicas.length;
  const members = [...memory.members].map(([name, member]) => {
    const isOver = all && baselines.every(({ lineage }) => lineage === member.lineage);
    return [name, isOver ? { ...member, broken: null } : member] as const;
  });
  return { ...memory, members: new Map(members) };
}

const MAX_REMEMBERED = 1000;

function rememberReplicas(input: JudgeInput, diagnosis: Diagnosis, decisions: readonly Decision[]): Memory {
  // A pod that is being re-created keeps what was proven of it; whether that still holds is checked when it is back.
  const replicas = new Map([...input.memory.replicas].slice(-MAX_REMEMBERED));
  for (const observed of input.observation.replicas) {
    const before = input.memory.replicas.get(observed.pod) ?? { ...NEW_REPLICA, pod: observed.pod };
    const decision = decisions.find((one) => one.pod === observed.pod);
    replicas.set(
      observed.pod,
      decision === undefined ? before : rememberReplica(input, before, observed, decision, diagnosis),
    );
  }
  return { ...input.memory, replicas };
}

/** Of a replica without a binlog only its source tells what it has beyond its position, while that lives. */
function withWhatItHas({ baseline }: ReplicaMemory, { has }: Decision): Partial<ReplicaMemory> {
  if (has === null || baseline === null) return {};
  return { baseline: { ...baseline, contains: mergeStates(baseline.contains, has) } };
}

const MAX_LACKING = 16;

/** Once its position has passed them nothing shows any more what a replica never got, whatever its verdict is until then. */
function lackingNow(
  { lacks }: ReplicaMemory,
  { verdict, reason, transactions }: Decision,
  { contains }: ReplicaFacts,
  hidden: readonly Gtid[],
): readonly Gtid[] {
  if (isReady(verdict) && lacks.some((gtid) => stateHas(contains, gtid))) {
    return lacks.filter((gtid) => !stateHas(contains, gtid));
  }
  const isTold = reason === 'HolderHidesPeerWrites';
  const now = isTold ? (transactions?.gtids ?? []).flatMap((gtid) => parseGtid(gtid) ?? []) : hidden;
  const news = now.filter((gtid) => !lacks.some((one) => sameGtid(one, gtid)));
  return news.length === 0 ? lacks : [...lacks, ...news].slice(0, MAX_LACKING);
}

/** Why it was forgotten is kept: an open handover that names it was about the data that it had. */
function withoutLink({ pod }: ReplicaMemory): ReplicaMemory {
  return { ...NEW_REPLICA, pod, forgotten: 'it was seen without a link: nothing is known of it from before' };
}

/** A replica without a link was emptied, reseeded or taken out by a person: what was proven of it says nothing any more. */
function rememberReplica(
  input: JudgeInput,
  before: ReplicaMemory,
  observed: ReplicaObservation,
  decision: Decision,
  diagnosis: Diagnosis,
): ReplicaMemory {
  const facts = factsOf(input, observed);
  const holder = diagnosis.holder;
  const target = holder === null ? undefined : input.memory.members.get(holder.member.name);
  if (facts === null) return observed.look.known ? withoutLink(before) : before;
  const running = facts.link.io !== 'No' || facts.link.sql !== 'No';
  const startedAt = running || before.startedAt === null ? facts.look.identity.startedAt : before.startedAt;
  const current = !input.busy.has(observed.pod) && facts.lookAt > (input.actedAt.get(observed.pod) ?? 0);
  const noticed = current ? noticeLink(before, facts.link, input.observation.wallNow) : {};
  const unsafe = decision.reason === 'CrashUnsafePosition' ? input.observation.wallNow : null;
  const unsafeSince = before.unsafeSince ?? unsafe;
  const fed = holder !== null && isReady(decision.verdict) ? fedNow(facts, holder) : before.fed;
  // With an end that a fill gave it, it stops by itself some time.
  const haltedSince = running && facts.link.until === undefined ? null : before.haltedSince;
  const hidden = holder === null ? [] : seenHidden(facts, holder, input.memory);
  const lacks = lackingNow(before, decision, facts, hidden);
  const connectedTo = holder === null ? before.connectedTo : connectedNow(facts, holder);
  const since = { startedAt, unsafeSince, haltedSince, standing: facts.standing };
  const refusal = refusalOf(decision, facts, holder);
  const ownBinlog = (observed.look.known ? ownBinlogOf(observed.look.value) : null) ?? before.ownBinlog;
  const knownSince = before.knownSince ?? input.observation.wallNow;
  const seen = { ...before, ...noticed, ...since, fed, connectedTo, lacks, refusal, ownBinlog, knownSince };
  if (target === undefined || !isReady(decision.verdict)) return { ...seen, ...withWhatItHas(before, decision) };
  const at = input.observation.wallNow;
  const clearedFor = target.restart?.file ?? null;
  const place = { coordinates: facts.link.exec, gtid: facts.position, at };
  if (before.baseline === null) {
    if (decision.proven === null) return seen;
    const contains = decision.proven.contains;
    const baseline: Baseline = { by: 'Adopted', member: target.name, lineage: target.lineage, ...place, contains };
    return { ...seen, baseline, captured: null, clearedFor, forgotten: null };
  }
  return {
    ...seen,
    captured: null,
    clearedFor,
    baseline: { ...before.baseline, ...place, contains: facts.contains },
  };
}
