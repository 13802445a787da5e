import type { Bench } from '../support/bench.ts';
import { judge } from '../support/judge.ts';
import type { Member } from '../support/member.ts';
import { monotonicMs } from '../support/monotonic.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import type { Side, World } from './world.ts';
import { SIDES } from './world.ts';

export const KINDS = ['planned', 'crash', 'power', 'frozen'] as const;
export type Kind = (typeof KINDS)[number];

/** One replica after one move. */
export type Outcome = 'right' | 'refused' | 'stuck' | 'wrong';

/** How one set of replicas came through one move. */
export interface SideResult {
  /** Ms from the VIP's first answer on the new member to the last replica having the first row written there. */
  readonly fromVip: number | null;
  /** Ms from the acknowledgement of that row. */
  readonly fromAck: number | null;
  readonly outcomes: readonly Outcome[];
  /** What mxr says of those that it refuses. */
  readonly refusals: readonly string[];
}

/** Which move to make, and whether mxr has publishers to listen to in it. */
export interface MoveKind {
  readonly kind: Kind;
  readonly publishers: boolean;
}

export interface MoveResult extends MoveKind {
  readonly sides: Readonly<Record<Side, SideResult>>;
  /** `monotonicMs` of the VIP's first answer there. */
  readonly answeredAt: number | null;
  /** `monotonicMs` of the moment when it was not read-only any more, as the poller saw it. */
  readonly writableAt: number | null;
  /** `monotonicMs` of the first acknowledgement. */
  readonly firstAt: number;
  /** Transactions per second that were acknowledged before the fault. */
  readonly ratePerSecond: number;
}

const ARRIVAL_DEADLINE_MS = 15_000;
const MOVE_DEADLINE_MS = 60_000;
const SETTLE_MS = 3_000;
const RATE = 120;
/** Half a second of load before and after. */
const WRITES = RATE / 2;

/** One fault under load, and how long until every replica has what was written afterwards. Ends as it began, roles swapped. */
export async function measureMove(world: World, { kind, publishers }: MoveKind): Promise<MoveResult> {
  const { bench } = world;
  await world.usePublishers(publishers);
  const from = await holderOf(bench);
  const to = bench.other(from);
  await world.settle(from);
  await forget(from);
  const writer = new Writer(bench, { ratePerSecond: RATE });
  const { faultAt, first, ratePerSecond } = await strikeUnderLoad(writer, { from, to, kind });
  await allArrived(world, first.token);
  await writer.stop();
  const answeredAt = world.watch.vipAnswered(to.name, faultAt) ?? null;
  const writableAt = world.watch.vipAnswered(to.name, faultAt, 'writable') ?? null;
  const [mxr, plain] = await Promise.all(
    SIDES.map(async (side): Promise<SideResult> => {
      const last = lastArrival(world, side, first.token);
      return {
        fromVip: last === null || answeredAt === null ? null : last - answeredAt,
        fromAck: last === null ? null : last - first.at,
        outcomes: await outcomesOf(world, side, to),
        refusals: side === 'mxr' ? await refusalsOf(world) : [],
      };
    }),
  );
  if (mxr === undefined || plain === undefined) throw new Error('a side was not judged');
  await restore(world, from, kind);
  await cureWhatIsNotRight(world, to, { mxr, plain });
  return { kind, publishers, sides: { mxr, plain }, answeredAt, writableAt, firstAt: first.at, ratePerSecond };
}

/** The rows of earlier moves are of no use any more, and each judgement reads them all. */
async function forget(holder: Member): Promise<void> {
  await holder.db.sql('TRUNCATE app.plain; TRUNCATE app.auto; TRUNCATE app.firsts');
}

interface Move {
  readonly from: Member;
  readonly to: Member;
  readonly kind: Kind;
}

async function strikeUnderLoad(writer: Writer, { from, to, kind }: Move) {
  await writer.writes(WRITES, from.name);
  const faultAt = monotonicMs();
  await strike(from, kind);
  await writer.writes(WRITES, to.name, MOVE_DEADLINE_MS);
  const first = writer.firstOn(to.name, faultAt);
  if (first === undefined) throw new Error(`nothing was acknowledged by ${to.name}`);
  return { faultAt, first, ratePerSecond: rateOf(writer.acknowledged.filter(({ at }) => at < faultAt)) };
}

function rateOf(acknowledged: Writer['acknowledged']): number {
  const [from, to] = [acknowledged.at(0)?.at ?? 0, acknowledged.at(-1)?.at ?? 0];
  return to > from ? ((acknowledged.length - 1) * 1000) / (to - from) : 0;
}

async function holderOf(bench: Bench): Promise<Member> {
  const [holder] = await bench.whoHoldsVip();
  if (holder === undefined) throw new Error('nobody holds the VIP');
  await bench.holderIs(holder);
  return holder;
}

async function strike(member: Member, kind: Kind): Promise<void> {
  if (kind === 'planned') await member.planned();
  else if (kind === 'crash') await member.kill9();
  else if (kind === 'power') await member.powerOff();
  else await member.freeze();
}

function arrivalsOf({ watch }: World, token: string): ReadonlyMap<string, number> {
  return new Map(
    watch.events.flatMap((event) =>
      event.type === 'first' && event.token === token ? [[event.replica, event.at] as const] : [],
    ),
  );
}

function lastArrival(world: World, side: Side, token: string): number | null {
  const arrivals = arrivalsOf(world, token);
  const times = world.replicasOf(side).map(({ name }) => arrivals.get(name));
  const arrived = times.filter((time) => time !== undefined);
  return arrived.length === 0 || arrived.length < times.length ? null : Math.max(...arrived);
}

/** Resolves when each replica has the row or will not get it: what is still missing is judged below. */
async function allArrived(world: World, token: string): Promise<void> {
  const over = async (): Promise<boolean> => {
    const arrivals = arrivalsOf(world, token);
    for (const side of SIDES) {
      for (const replica of world.replicasOf(side)) {
        if (!arrivals.has(replica.name) && !(await world.gaveUp(side, replica))) return false;
      }
    }
    return true;
  };
  const options = { deadlineMs: ARRIVAL_DEADLINE_MS, intervalMs: 100 };
  await until('every replica has the first row', over, options).catch(() => undefined);
}

async function refusalsOf(world: World): Promise<readonly string[]> {
  const told = await Promise.all(world.replicasOf('mxr').map((replica) => world.refusalOf(replica)));
  return told.flatMap((one) => one ?? []);
}

async function outcomesOf(world: World, side: Side, holder: Member): Promise<readonly Outcome[]> {
  const replicas = world.replicasOf(side);
  const judgements = await judge(world.bench, holder, { settleMs: SETTLE_MS, replicas });
  return Promise.all(
    judgements.map(async (judgement, index): Promise<Outcome> => {
      const replica = replicas[index];
      if (judgement.right) return 'right';
      if (side === 'mxr' && replica !== undefined && (await world.refuses(replica))) return 'refused';
      return judgement.running ? 'wrong' : 'stuck';
    }),
  );
}

async function restore({ bench }: World, old: Member, kind: Kind): Promise<void> {
  if (kind === 'planned') return bench.rejoin(old, 'keep');
  // Its data is thrown away: it need not end well.
  await old.db.kill9();
  await bench.rejoin(old, 'clone');
}

async function cureWhatIsNotRight(world: World, holder: Member, sides: MoveResult['sides']): Promise<void> {
  const sick = SIDES.flatMap((side) =>
    world.replicasOf(side).filter((_, index) => sides[side].outcomes[index] !== 'right'),
  );
  await world.cure(holder, sick);
}
