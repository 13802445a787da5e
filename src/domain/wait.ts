import type { Context } from './context.ts';
import { baselineMember, memberOf } from './context.ts';
import { samePosition } from './gtid.ts';
import type { Holder } from './holder.ts';
import { isAttachedTo } from './attached.ts';
import { planFor, proofInput } from './move.ts';
import type { Plan } from './plan.ts';
import { planStopReceiving } from './plan.ts';
import type { Refused } from './proof.ts';
import { mustFreeze, mustStopReceiving, WAITING } from './protect.ts';
import { prove } from './prove.ts';
import { refusedAlready } from './refusal.ts';
import { hasOwnId, hiddenWrites } from './hidden.ts';
import type { Decision } from './verdict.ts';
import { decide } from './verdict.ts';

export function frozen(context: Context): Decision | null {
  const { diagnosis, replica } = context;
  const { situation, message } = diagnosis;
  if (situation !== 'SplitBrain' && situation !== 'HolderUnknown') return null;
  const plan = mustFreeze(context) ? planStopReceiving(replica.pod, baselineMember(replica)) : null;
  const hidden = hiddenBySource(context);
  if (hidden !== null) {
    return decide(replica.pod, hidden.verdict, hidden.reason, hidden.message, {
      transactions: hidden.transactions,
      plan,
    });
  }
  return decide(replica.pod, 'Frozen', situation, message, { plan });
}

/** A holder that takes the other side's writes in and does not log them: what the replica lacks is known, split or not. */
export function hiddenBySource(context: Context): Refused | null {
  const { replica } = context;
  const { holder } = context.diagnosis;
  if (holder === null || holder.look === null || replica.memory.baseline?.member !== holder.member.name) return null;
  return hiddenWrites({ replica, holder, target: holder.look, hasOwnId: hasOwnId(context, holder) });
}

/** Nothing is wrong here, the source is not ready. What must not go on receiving is stopped; it can always be resumed. */
export function waiting(context: Context): Decision | null {
  const { diagnosis, replica } = context;
  const { holder, situation, message, applying } = diagnosis;
  if (applying === null && !WAITING.includes(situation)) return null;
  // What the holder has not applied yet, or that it is closed for writes, matters to who has still to be moved there.
  const concernsMoves = applying !== null || situation === 'HolderReadOnly';
  if (concernsMoves && holder !== null && isAttachedTo(context, holder)) return null;
  const plan = mustStopReceiving(context) ? planStopReceiving(replica.pod, baselineMember(replica)) : null;
  // Where a second primary writes this never ends: what was refused meanwhile stays refused, and is not taken back each time.
  const before = applying === null || holder === null ? null : refusedAlready(replica, holder);
  if (before !== null) {
    const { transactions } = before;
    return decide(replica.pod, before.verdict, before.reason, before.message, { transactions, plan });
  }
  const reason = applying === null ? situation : 'HolderStillApplying';
  return decide(replica.pod, 'Waiting', reason, applying ?? message, { plan, ...prepare(context) });
}

/**
 * Uses the time of waiting: for each member that may hold the VIP next the proof is asked for ahead, so that a rehearsed
 * position and three statements remain when the VIP answers. A plan that fails here decides nothing.
 */
function prepare(context: Context): Pick<Decision, 'questions' | 'prepared'> {
  return prepareFor(context, candidates(context));
}

/** So long after a holder turned read-only its demotion is no preparation of a move any more. */
const DEMOTION_MS = 10_000;

/**
 * A holder that has turned read-only is being demoted. Once the replica and another member stand where it stopped, the
 * move there is prepared before the VIP leaves: when it answers on that member nothing is left to ask or to store.
 */
export function prepareElsewhere(context: Context): Pick<Decision, 'questions' | 'prepared'> | null {
  const { diagnosis, pair, observation, memory, replica } = context;
  const { situation, holder } = diagnosis;
  if (situation !== 'HolderReadOnly' || holder === null || holder.look === null) return null;
  const since = pair.situation === situation ? pair.situationSince : observation.now;
  const { gtidBinlogPos: stoppedAt } = holder.look;
  const isOver = observation.now - since >= DEMOTION_MS;
  if (isOver || stoppedAt.size === 0 || !samePosition(replica.position, stoppedAt)) return null;
  const others = observation.members.flatMap((member): Holder[] => {
    const { look, name } = member;
    if (name === holder.member.name || !look.known || memory.members.get(name)?.inQuestion !== false) return [];
    const { logSlaveUpdates, gtidBinlogPos, gtidSlavePos, readOnly } = look.value;
    if (!samePosition(logSlaveUpdates ? gtidBinlogPos : gtidSlavePos, stoppedAt)) return [];
    return [{ member, knownBy: 'Identity', look: look.value, lookAt: look.at, readOnly }];
  });
  return prepareFor(context, others);
}

function prepareFor(context: Context, holders: readonly Holder[]): Pick<Decision, 'questions' | 'prepared'> {
  const results = holders.flatMap((holder) => {
    const input = proofInput(context, holder);
    return input === null ? [] : [{ holder, input, result: prove(input) }];
  });
  const questions = results.flatMap(({ result }) => (result.kind === 'Asking' ? result.questions : []));
  const moves = results.flatMap(({ holder, input, result }) =>
    result.kind === 'Proven' ? [planFor(context, holder, result, input)] : [],
  );
  const asked = questions.filter((question) => question.kind !== 'LiveLook');
  return { questions: asked, prepared: moveToPrepare(context, moves) };
}

const AT_REST_MS = 100;

/**
 * The one move that may come: where the member that it follows still lives, it may also stay. Not while positions move on
 * there, for each would be another intent to store.
 */
function moveToPrepare(context: Context, plans: readonly Plan[]): Plan | null {
  const { replica, observation } = context;
  const source = memberOf(context, baselineMember(replica));
  const elsewhere = plans.filter(({ target }) => target?.member !== source?.name);
  const [only, another] = elsewhere.length > 0 ? elsewhere : plans;
  if (only === undefined || another !== undefined || only.kind !== 'Move') return null;
  const atRest = source?.look.known !== true || source.look.value.readOnly;
  return atRest || observation.now - replica.standing.since >= AT_REST_MS ? only : null;
}

/** The holder where it is known, else every member that answers. */
export function candidates({ diagnosis, observation, memory }: Context): readonly Holder[] {
  if (diagnosis.situation === 'HolderRestarted') return [];
  if (diagnosis.holder !== null) return [diagnosis.holder];
  return observation.members.flatMap((member) => {
    const { look } = member;
    if (!look.known || memory.members.get(member.name)?.inQuestion !== false) return [];
    const { readOnly } = look.value;
    return [{ member, knownBy: 'Identity', look: look.value, lookAt: look.at, readOnly } as const];
  });
}
