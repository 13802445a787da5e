import type { Step, StepOutcome } from '../api/reasons.ts';
import type { Clock } from '../clock.ts';
import type { GtidPosition } from '../domain/gtid.ts';
import type { Captured } from '../domain/memory.ts';
import type { Coordinates, Link, LinkLook, ServerLook } from '../domain/observation.ts';
import { linkOf } from '../domain/observation.ts';
import type { Plan } from '../domain/plan.ts';
import { MxrError } from '../errors.ts';
import type { SqlConnect, SqlTarget } from '../sql/port.ts';
import type { ActingSession, LinkSettings, Statement } from './replication.ts';

/** One step as it went, for the handover record. */
export interface StepReport {
  readonly step: Step;
  readonly outcome: StepOutcome;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly detail: string;
}

export interface Execution {
  readonly pod: string;
  readonly plan: Plan;
  /** `Done`: every step verified. `Stopped`: at the first surprise; the next pass looks again and decides anew. */
  readonly outcome: 'Done' | 'Stopped';
  readonly code: string | null;
  /** It stopped because the replica does not stand where it was proven to. */
  readonly refused: boolean;
  readonly message: string;
  readonly steps: readonly StepReport[];
  readonly captured: Captured | null;
  /** The position at which the replica was started, and its coordinates in the target's binlog once they are known. */
  readonly attachedAt: { readonly gtid: GtidPosition; readonly place: Coordinates | null } | null;
}

/** What the executor may use. Everything that can change under it is a function that reads it live. */
export interface ExecuteContext {
  readonly connect: SqlConnect;
  readonly replica: SqlTarget;
  readonly replicaIp: string;
  readonly link: LinkSettings;
  readonly keepReadOnly: boolean;
  readonly leaseDurationMs: number;
  readonly statementDeadlineMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Throws `FenceLost` when this plan may no longer be carried out. Called before every step and every statement. */
  readonly fence: () => void;
  /** The newest look at the target, with when it began; null while it is unknown. */
  readonly targetLook: () => { readonly look: ServerLook; readonly at: number } | null;
  /** BINLOG_GTID_POS asked of the target now; null: not a place in its binlog. */
  readonly gtidOnTarget: (at: Coordinates) => Promise<GtidPosition | null>;
  readonly lookAt: (session: ActingSession) => Promise<LinkLook>;
  /** What waits in the replica's relay log behind the place that is applied. */
  readonly relayRest: (session: ActingSession) => Promise<'Whole' | 'Half'>;
  readonly onStep: (step: Step) => void;
  readonly onStatement: (step: Step, outcome: StepOutcome) => void;
}

export interface Seen {
  readonly look: LinkLook;
  readonly link: Link;
}

/** One plan under way: what it has read and done so far. */
export interface Running {
  readonly context: ExecuteContext;
  readonly plan: Plan;
  readonly acting: ActingSession;
  /** The last look, as long as no statement of this plan came after it. */
  seen: Seen | null;
  captured: Captured | null;
  expected: GtidPosition | null;
  /** Applied coordinates after Stop. */
  stoppedAt: Coordinates | null;
  place: Coordinates | null;
}

export function surprise(running: Running, operation: string, detail: string): MxrError {
  const target = running.context.replica.name;
  return new MxrError({ code: 'FenceLost', operation, target, detail, retryable: true });
}

/** Asks the replica. */
export async function look(running: Running): Promise<Seen> {
  const seen = await running.context.lookAt(running.acting);
  const link = linkOf(seen, running.context.link.channel);
  if (link === undefined) throw surprise(running, 'read the link', 'the replication channel is gone');
  running.seen = { look: seen, link };
  return running.seen;
}

/** What the step before has just seen: asking again would cost a move the time of two answers, and say the same. */
export async function lastLook(running: Running): Promise<Seen> {
  return running.seen ?? look(running);
}

/** One statement on the replica, if the fence still lets it. What was seen before it is of another time. */
export async function act(
  running: Running,
  operation: string,
  { sql, params = [] }: { readonly sql: string; readonly params?: Statement['params'] },
  deadlineMs?: number,
): Promise<void> {
  running.seen = null;
  await running.acting.run(operation, sql, params, deadlineMs);
}
