import { attach } from '../support/link.ts';
import { cloneData } from '../support/clone.ts';
import { judge } from '../support/judge.ts';
import type { Bench, Replica } from '../support/bench.ts';
import type { Member } from '../support/member.ts';
import { monotonicMs } from '../support/monotonic.ts';
import { until } from '../support/wait.ts';
import { Watch } from '../support/watch.ts';
import { Writer } from '../support/writer.ts';

export const KINDS = ['planned', 'crash', 'power', 'frozen'] as const;
export type Kind = (typeof KINDS)[number];

/** One replica after one move. */
export type Outcome = 'right' | 'refused' | 'stuck' | 'wrong';

export interface MoveResult {
  readonly kind: Kind;
  /** Ms from the VIP's first answer on the new member to the last replica having the first row written there. */
  readonly fromVip: number | null;
  /** Ms from the acknowledgement of that row. */
  readonly fromAck: number | null;
  readonly outcomes: readonly Outcome[];
}

export interface Follower {
  readonly name: string;
  /** Makes the replicas follow this member again and resolves when they do. */
  settle(holder: Member): Promise<void>;
  /** Whether a replica that stands still is told to be in trouble: a refusal, and no silence. */
  refuses(replica: Replica): Promise<boolean>;
}

const ARRIVAL_DEADLINE_MS = 15_000;
const RATE = 120;

/** One fault under load, and how long until every replica has what was written afterwards. Ends as it began, roles swapped. */
export async function measureMove(bench: Bench, follower: Follower, kind: Kind): Promise<MoveResult> {
  const from = await holderOf(bench);
  const to = bench.other(from);
  await follower.settle(from);
  const writer = new Writer(bench, { ratePerSecond: RATE });
  const watch = new Watch(bench);
  await writer.writes(RATE, from.name);
  const faultAt = monotonicMs();
  await strike(from, kind);
  await writer.writes(RATE, to.name, 90_000);
  const first = writer.firstOn(to.name, faultAt);
  if (first === undefined) throw new Error(`nothing was acknowledged by ${to.name}`);
  const arrived = await arrivals(bench, watch, first.token);
  await writer.stop();
  const outcomes = await outcomesOf(bench, follower, to);
  await watch.stop();
  const answered = watch.vipAnswered(to.name, faultAt);
  const last = arrived.length === bench.replicas.length ? Math.max(...arrived) : null;
  await restore(bench, from, kind);
  await reseedWhatIsNotRight(bench, to, outcomes);
  return {
    kind,
    fromVip: last === null || answered === undefined ? null : last - answered,
    fromAck: last === null ? null : last - first.at,
    outcomes,
  };
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
  else member.freeze();
}

async function arrivals(bench: Bench, watch: Watch, token: string): Promise<number[]> {
  try {
    const description = 'every replica has the first row';
    const complete = (): boolean => watch.arrivals(token).length === bench.replicas.length;
    await until(description, complete, { deadlineMs: ARRIVAL_DEADLINE_MS, intervalMs: 20 });
  } catch {
    // Those that never get it are judged below.
  }
  return watch.arrivals(token);
}

async function outcomesOf(bench: Bench, follower: Follower, holder: Member): Promise<Outcome[]> {
  const judgements = await judge(bench, holder, { settleMs: 3_000 });
  const outcomes: Outcome[] = [];
  for (const judgement of judgements) {
    const replica = bench.replicas.find(({ name }) => name === judgement.replica);
    if (judgement.right) outcomes.push('right');
    else if (replica !== undefined && (await follower.refuses(replica))) outcomes.push('refused');
    else outcomes.push(judgement.running ? 'wrong' : 'stuck');
  }
  return outcomes;
}

async function restore(bench: Bench, old: Member, kind: Kind): Promise<void> {
  if (kind === 'frozen') {
    old.thaw();
    await old.keepalived.stop();
  }
  await bench.rejoin(old, kind === 'planned' ? 'keep' : 'clone');
}

/** What a person would do: a replica that is stuck, refused or wrong gets the holder's data and follows it. */
async function reseedWhatIsNotRight(bench: Bench, holder: Member, outcomes: readonly Outcome[]): Promise<void> {
  for (const [index, replica] of bench.replicas.entries()) {
    if (outcomes[index] === 'right') continue;
    await replica.db.stop();
    const from = await cloneData(holder.db, replica.db);
    await replica.db.start();
    const { port } = bench.vip;
    await attach(replica.db, { host: holder.address, port, account: bench.accounts.replication, mode: 'gtid', from });
  }
}
