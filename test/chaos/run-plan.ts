import type { StandingGround } from '../e2e/support/ground.ts';
import { Stage } from '../e2e/support/stage.ts';
import type { Member } from '../support/member.ts';
import { cachedFakeTime } from '../support/faketime.ts';
import { monotonicMs } from '../support/monotonic.ts';
import type { Acknowledged } from '../support/writer.ts';
import { Writer } from '../support/writer.ts';
import { Beside, shapeStatement } from './beside.ts';
import { cpuSeconds } from './cpu.ts';
import { insertedRows } from './evidence.ts';
import { Field } from './field.ts';
import type { Ended, Outcome } from './judge-told.ts';
import { WRONG, judgeTold } from './judge-told.ts';
import { keep } from './keep.ts';
import { isLegal, mayBothHaveWritten } from './legal.ts';
import type { Seconds } from './phases.ts';
import { NO_TIME, Waterfall } from './phases.ts';
import type { Kind, Plan } from './plan.ts';
import { configurationText } from './configuration.ts';
import { faultText } from './plan.ts';
import { askOf, comesToRest, textOf } from './rest.ts';
import { createSide, sideStatement } from './side.ts';
import { stageOptions } from './stage-options.ts';
import { calmDown, storm } from './storm.ts';
import { Supervisor } from './supervisor.ts';

const FOLLOWING_DEADLINE_MS = 60_000;
const SETTLE_DEADLINE_MS = 90_000;
const JUDGE_SETTLE_MS = 12_000;
/** Wrong, and nothing that comes later makes it right. */
const FINAL: readonly Outcome[] = ['silent', 'restless'];
const SHAPE_EVERY_MS = 700;
const SIDE_EVERY_MS = 150;
const FIRST_WRITES = 20;
const LAST_WRITES = 10;
const SHOWN = 6;

export interface RunResult {
  readonly seed: number;
  readonly configuration: string;
  readonly faults: readonly string[];
  /** Of them those that really happened, by their effect. */
  readonly made: readonly Kind[];
  readonly seconds: number;
  /** What it spent them on. */
  readonly phases: Seconds;
  /** Of all processors together. */
  readonly cpuSeconds: number;
  readonly legal: boolean;
  readonly ended: readonly Ended[];
  /** Why there was nothing to judge: the pair itself did not come back. */
  readonly void: string;
  /** Faults that could not be made or healed, and whatever else went another way than drawn. */
  readonly unplanned: readonly string[];
  /** What went wrong with the run itself. */
  readonly broken: string;
  /** Where logs and positions were kept, where something went wrong. */
  readonly kept: string;
}

export function isFailed({ ended, broken }: RunResult): boolean {
  return broken !== '' || ended.some(({ outcome }) => WRONG.includes(outcome));
}

/** Whether what is left of it may disturb another run at the same place. */
export function isSpoiled(result: RunResult): boolean {
  return isFailed(result) || result.void !== '';
}

export interface Keeping {
  /** Made only where something is kept. */
  readonly directory: string;
  /** Also where nothing went wrong. */
  readonly always: boolean;
}

/** One run on ground on which nothing else happens. */
export async function runPlan(standing: Promise<StandingGround>, plan: Plan, keeping: Keeping): Promise<RunResult> {
  const begun = monotonicMs();
  const waterfall = new Waterfall();
  const cpuBefore = cpuSeconds();
  const texts = { configuration: configurationText(plan.configuration), faults: plan.faults.map(faultText) };
  let result: RunResult = {
    seed: plan.seed,
    ...texts,
    made: [],
    seconds: 0,
    phases: NO_TIME,
    cpuSeconds: 0,
    legal: false,
    unplanned: [],
    ended: [],
    void: '',
    broken: '',
    kept: '',
  };
  try {
    const ground = await standing;
    const stage = await Stage.lay(ground, stageOptions(plan.configuration, cachedFakeTime()));
    result = { ...result, ...(await play(stage, plan, keeping, waterfall)) };
    waterfall.enter('down');
    if (!isSpoiled(result)) await ground.clear();
  } catch (error) {
    result = { ...result, broken: messageOf(error) };
  }
  const seconds = Math.round((monotonicMs() - begun) / 100) / 10;
  return { ...result, seconds, phases: waterfall.seconds(), cpuSeconds: cpuSeconds() - cpuBefore };
}

type Played = Pick<RunResult, 'made' | 'legal' | 'ended' | 'unplanned' | 'void' | 'broken' | 'kept'>;

async function play(stage: Stage, plan: Plan, keeping: Keeping, waterfall: Waterfall): Promise<Played> {
  const supervisor = new Supervisor(stage, plan.configuration.clockHours);
  const field = new Field(stage, supervisor, plan.configuration);
  let writer: Writer | null = null;
  const beside: Beside[] = [];
  let played: Played = {
    made: field.past.made,
    legal: false,
    ended: [],
    unplanned: field.past.unplanned,
    void: '',
    broken: '',
    kept: '',
  };
  try {
    // The operator needs its API server only, until there is a resource.
    await Promise.all([stage.bench.build(), supervisor.start()]);
    await furnish(field);
    waterfall.enter('adoption');
    await stage.createResource(plan.configuration.publishers ? field.publishers.source : {});
    await stage.following(stage.bench.a.name, FOLLOWING_DEADLINE_MS);
    const { ratePerSecond, filter } = plan.configuration;
    // Filters go by the database that a session is in.
    writer = new Writer(stage.bench, { ratePerSecond, ...(filter === 'none' ? {} : { database: 'app' }) });
    beside.push(new Beside(stage.bench, SHAPE_EVERY_MS, shapeStatement));
    if (plan.configuration.filter !== 'none') beside.push(new Beside(stage.bench, SIDE_EVERY_MS, sideStatement));
    await writer.writes(FIRST_WRITES);
    field.note('the storm begins');
    waterfall.enter('storm');
    await storm(field, plan);
    played = { ...played, ...(await judged(field, plan, { writer, beside, waterfall })) };
  } catch (error) {
    played = { ...played, broken: messageOf(error) };
  }
  waterfall.enter('down');
  field.publishers.end();
  await Promise.all([supervisor.end(), ...beside.map((one) => one.stop())]);
  if (keeping.always || played.broken !== '' || played.ended.some(({ outcome }) => WRONG.includes(outcome))) {
    await keep(field, writer, played.ended, keeping.directory);
    played = { ...played, kept: keeping.directory };
  }
  return played;
}

interface Around {
  readonly writer: Writer;
  readonly beside: readonly Beside[];
  readonly waterfall: Waterfall;
}

async function judged(field: Field, plan: Plan, { writer, beside, waterfall }: Around): Promise<Partial<Played>> {
  waterfall.enter('calm');
  const calm = await comesBack(
    () => calmDown(field, writer),
    () => field.supervisor.leads(),
  );
  if ('void' in calm) return calm;
  const { holder } = calm;
  waterfall.enter('rest');
  const deadlineAt = monotonicMs() + SETTLE_DEADLINE_MS;
  let told = await comesToRest(field, plan.approves, deadlineAt);
  // What is wrong at the place where a replica was attached often shows at the next transactions only.
  await writer.writes(LAST_WRITES, holder.name);
  await Promise.all([writer, ...beside].map((one) => one.stop()));
  const legal = isLegal(plan, field.past);
  if (legal) await assertKept(holder, writer);
  for (;;) {
    waterfall.enter('rest');
    told = await comesToRest(field, plan.approves, deadlineAt, told);
    waterfall.enter('judge');
    const ended = await judgeTold({
      bench: field.bench,
      holder,
      told,
      past: field.past,
      legal,
      bothWrote: mayBothHaveWritten(plan, legal),
      isInserted: insertedBy(writer),
      hasSide: plan.configuration.filter === 'replicate-do-db',
      settleMs: JUDGE_SETTLE_MS,
    });
    const stands = textOf(await askOf(field.stage)) === textOf(told);
    const wrong = ended.filter(({ outcome }) => WRONG.includes(outcome));
    field.note(
      `judged: ${ended.map(({ replica, verdict, outcome }) => `${replica} ${verdict} ${outcome}`).join(', ')}`,
    );
    if ((stands && wrong.every(({ outcome }) => FINAL.includes(outcome))) || monotonicMs() >= deadlineAt) {
      return { legal, ended };
    }
  }
}

/**
 * The holder of a pair that is whole again. A pair that does not come back leaves nothing to judge; an operator that does not
 * lead again beside one that does is a fault of mxr, and throws.
 */
export async function comesBack<T>(
  pair: () => Promise<T>,
  operator: () => Promise<void>,
): Promise<{ readonly holder: T } | { readonly void: string }> {
  // Both at one time: neither waits for the other.
  const [holder, leads] = await Promise.allSettled([pair(), operator()]);
  if (holder.status === 'rejected') return { void: messageOf(holder.reason) };
  if (leads.status === 'rejected') throw leads.reason;
  return { holder: holder.value };
}

/** In a legal history the pair loses nothing that it has acknowledged: else the bench is not what it is said to be. */
async function assertKept({ name, db }: Member, writer: Writer): Promise<void> {
  const rows = await insertedRows(db);
  const gone = lostOf(writer.acknowledged, rows);
  if (gone.length === 0) return;
  throw new Error(`legal, and ${name} lacks ${gone.length} acknowledged rows: ${gone.slice(0, SHOWN).join(' ')}`);
}

/** Acknowledged rows of the tables in which rows stay as they are, and that are not there. */
export function lostOf(acknowledged: readonly Acknowledged[], rows: ReadonlyMap<string, number>): string[] {
  return acknowledged.flatMap(({ table, token }) => (table === 'hot' || rows.has(token) ? [] : [token]));
}

/** Tokens of rows that are never updated. */
function insertedBy(writer: Writer): (token: string) => boolean {
  const updates = [...writer.acknowledged, ...writer.failed].filter(({ table }) => table === 'hot');
  const updated = new Set(updates.map(({ token }) => token));
  return (token) => !updated.has(token);
}

/** What the set-up has besides servers that follow. */
async function furnish({ configuration, bench, publishers }: Field): Promise<void> {
  if (configuration.filter !== 'none') await createSide(bench);
  if (configuration.publishers) await publishers.start();
  const name = configuration.channel === '' ? '' : ` '${configuration.channel}'`;
  await Promise.all(
    bench.replicas.map(async ({ db }, index) => {
      const seconds = configuration.delaySeconds[index] ?? 0;
      if (seconds === 0) return;
      await db.sql(`STOP SLAVE${name}; CHANGE MASTER${name} TO MASTER_DELAY = ${seconds}; START SLAVE${name}`);
    }),
  );
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).slice(0, 2_000);
}
