import { formatPosition, isWithin, stateOfPosition } from './gtid.ts';
import { binlogStateOf, stateOfServer } from './memory.ts';
import type { Memory } from './memory.ts';
import type { Plan } from './plan.ts';
import { isAttaching, sameDial } from './plan.ts';
import { compareCoordinates } from './observation.ts';
import type { ReplicaFacts } from './replica.ts';
import type { Diagnosis } from './situation.ts';
import { isClear } from './situation.ts';

/**
 * The invariants of docs/invariants.md as code, asserted on every plan before it is carried out, in production and in
 * every property test. A broken one is a bug in mxr: the plan is dropped, never repaired.
 */
export interface PlanContext {
  readonly diagnosis: Diagnosis;
  readonly memory: Memory;
  readonly replica: ReplicaFacts;
}

export interface Violation {
  /** Number in docs/invariants.md. */
  readonly invariant: number;
  readonly message: string;
}

type Invariant = (plan: Plan, context: PlanContext) => Violation | null;

const INVARIANTS: readonly Invariant[] = [
  keepsRelayLog,
  startsOnlyAtProvenPositions,
  keepsCoordinatesOnTheirLineage,
  movesOnlyInClearSituations,
  restsOnAnswers,
  fillsWhatTargetHas,
  triesNoRefusalAgain,
  leavesStrangersAlone,
];

export function violations(plan: Plan, context: PlanContext): Violation[] {
  return INVARIANTS.flatMap((invariant) => invariant(plan, context) ?? []);
}

function broken(invariant: number, message: string): Violation {
  return { invariant, message };
}

function has(plan: Plan, step: string): boolean {
  return plan.steps.some((one) => one.step === step);
}

/** 1. No CHANGE MASTER while a replica has unapplied relay log that the target is not proven to have. */
function keepsRelayLog(plan: Plan, { diagnosis, replica }: PlanContext): Violation | null {
  // By GTID also START deletes the relay log where both threads stand.
  const resumes = plan.kind === 'Resume' || plan.kind === 'Restore';
  const drops = has(plan, 'Change') || (resumes && startsAnew(replica));
  if (!drops || replica.drained || has(plan, 'Drain')) return null;
  if (plan.fill !== undefined) return broken(1, `${plan.pod} has unapplied relay log, and a donor may not have it`);
  const target = diagnosis.holder?.look;
  if (target != null && replica.link.usingGtid !== 'No' && isWithin(replica.received, binlogStateOf(target)))
    return null;
  // By file: on the server that it came from, up to a place that is still there, it is sent again.
  const end = target?.end ?? null;
  if (plan.proven?.proof === 'SameServer' && end !== null && compareCoordinates(replica.link.read, end) <= 0)
    return null;
  return broken(1, `${plan.pod} has unapplied relay log that ${plan.target?.member ?? 'nobody'} is not proven to have`);
}

function startsAnew({ link }: ReplicaFacts): boolean {
  return link.usingGtid !== 'No' && link.io === 'No' && link.sql === 'No';
}

/** 2. No start at a position that is not proven; every start is checked right before and verified after. */
function startsOnlyAtProvenPositions(plan: Plan): Violation | null {
  if (!isAttaching(plan)) return null;
  if (plan.kind === 'Fill') return fillsWithoutEnd(plan);
  if (plan.proven !== null && has(plan, 'Prove') && has(plan, 'VerifyAttached')) return null;
  return broken(2, `the plan for ${plan.pod} starts at a position without proof, check and verification`);
}

/** Of a donor only what lies before the takeover point is proven: its link must end there by itself. */
function fillsWithoutEnd({ pod, fill, proven, steps }: Plan): Violation | null {
  const has = (kind: string) => steps.some(({ step }) => step === kind);
  const end = fill === undefined ? null : formatPosition(fill.upTo);
  const ends = steps.every((step) => step.step !== 'Start' || formatPosition(step.until ?? new Map()) === end);
  const byGtid = steps.every((step) => step.step !== 'Change' || step.attach.by === 'Gtid');
  if (end !== null && end !== '' && proven !== null && ends && byGtid && has('Prove') && has('VerifyAttached'))
    return null;
  return broken(2, `the fill of ${pod} has no end, no proof or no check`);
}

/** 3. Coordinates are never used on a lineage other than the one they were read from. */
function keepsCoordinatesOnTheirLineage(plan: Plan, { memory, replica }: PlanContext): Violation | null {
  const baseline = replica.memory.baseline;
  const target = plan.target === null ? undefined : memory.members.get(plan.target.member);
  if (plan.proven === null || target === undefined) return null;
  if (target.inQuestion) return broken(3, `the lineage of ${target.name} is in question`);
  if (isOfAdoption(plan) || plan.proven.proof !== 'SameServer') return null;
  if (baseline?.lineage === target.lineage) return null;
  return broken(3, `${plan.pod} would resume coordinates of ${baseline?.lineage ?? 'nowhere'} on ${target.lineage}`);
}

/** 4. Nothing moves while the pair is split, unknown, silent, read-only or still applying. */
function movesOnlyInClearSituations(plan: Plan, { diagnosis }: PlanContext): Violation | null {
  if (!isAttaching(plan) || isClear(diagnosis)) return null;
  const { situation, applying } = diagnosis;
  return broken(4, `nothing moves in ${situation}${applying === null ? '' : `: ${applying}`}`);
}

/** 5. "Could not ask" is never "no": a plan rests on a holder that answered and on complete looks. */
function restsOnAnswers(plan: Plan, { diagnosis }: PlanContext): Violation | null {
  if (!diagnosis.complete) return broken(5, 'not everything has answered once');
  if (!isAttaching(plan) || diagnosis.holder?.look != null) return null;
  return broken(5, 'the holder did not answer');
}

/** 2. A fill ends within what the target is seen to have: beyond that nobody could continue the replica. */
function fillsWhatTargetHas(plan: Plan, { diagnosis }: PlanContext): Violation | null {
  const target = diagnosis.holder?.look;
  if (plan.fill === undefined || target == null) return null;
  if (isWithin(stateOfPosition(plan.fill.upTo), stateOfServer(target))) return null;
  return broken(
    2,
    `${plan.pod} would be filled up to ${formatPosition(plan.fill.upTo)}, which ${plan.target?.member ?? 'nobody'} lacks`,
  );
}

/** 10. After error 1236, START SLAVE is never retried: the server may accept it later and skip transactions. */
function triesNoRefusalAgain(plan: Plan, { replica: { link } }: PlanContext): Violation | null {
  const dial = plan.fill?.dial;
  if (dial === undefined || link.ioErrno !== 1236 || !sameDial(link, dial)) return null;
  return broken(10, `${dial.host}:${dial.port} has refused ${plan.pod} with error 1236`);
}

/** 13. A replica without a baseline is not touched, but by its adoption, or to undo that. */
function leavesStrangersAlone(plan: Plan, { replica }: PlanContext): Violation | null {
  if (replica.memory.baseline !== null || isOfAdoption(plan)) return null;
  return broken(13, `${plan.pod} has no baseline`);
}

function isOfAdoption({ kind }: Plan): boolean {
  return kind === 'Adopt' || kind === 'Restore';
}
