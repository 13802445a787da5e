import type { WorldEvent } from './events.ts';
import { happen } from './events.ts';
import type { Cluster, Operator } from './operator.ts';
import { advance, everything, killOperator, newCluster, pass, round, startOperator } from './operator.ts';
import { lies } from './truth.ts';
import type { PairOptions } from './world.ts';
import { flow, newWorld, serversOf } from './world.ts';

/** One thing after the other: the world moves, mxr looks and passes, mxr dies and is started again. */
export type Happening =
  | { readonly kind: 'World'; readonly events: readonly WorldEvent[] }
  /** Looks at some, in this order (numbers choose by remainder), passes, and time goes on. */
  | { readonly kind: 'Pass'; readonly order: readonly number[]; readonly ms: number }
  | { readonly kind: 'Calm'; readonly rounds: number }
  | { readonly kind: 'NewProcess' }
  /** mxr is down while this happens, and replication moves on after each of it. */
  | { readonly kind: 'Away'; readonly events: readonly WorldEvent[]; readonly ms: number };

export interface History {
  readonly options: PairOptions;
  /** By file through the VIP is left out: MariaDB's own reconnect reads coordinates of one server on another there. */
  readonly link: { readonly positioning: 'Auto' | 'FilePosition'; readonly through: 'Auto' | 'VIP' };
  /** Absent: Halt. */
  readonly onGap?: 'Halt' | 'Fill';
  readonly happenings: readonly Happening[];
  /** World events right before the so-and-so-many-th statement on a replica; `Kill`: mxr dies there. */
  readonly interruptions: readonly { readonly at: number; readonly event: WorldEvent | { readonly kind: 'Kill' } }[];
}

export interface Run {
  readonly cluster: Cluster;
  operator: Operator;
  readonly errors: string[];
}

export async function live(history: History): Promise<Run> {
  const world = newWorld(history.options);
  const cluster = newCluster(world, { link: history.link, policy: { onGap: history.onGap ?? 'Halt' } });
  const run: Run = { cluster, operator: startOperator(cluster), errors: [] };
  interrupt(run, history);
  for (const happening of history.happenings) {
    cluster.trace.push(`${world.now} -- ${JSON.stringify(happening)}`);
    await one(run, happening);
    if (!run.operator.alive) run.operator = startOperator(cluster);
  }
  return run;
}

function interrupt(run: Run, { interruptions }: History): void {
  let count = 0;
  run.cluster.onStatement = () => {
    count += 1;
    for (const { at, event } of interruptions) {
      // Before its adoption a replica follows MariaDB's own reconnect: mxr has no say in what it does then.
      if (at !== count || (event.kind !== 'Kill' && !isAdopted(run))) continue;
      run.cluster.trace.push(`${run.cluster.world.now} -- interrupted by ${JSON.stringify(event)}`);
      if (event.kind === 'Kill') killOperator(run.operator);
      else happen(run.cluster.world, event);
    }
  };
}

function isAdopted({ operator, cluster }: Run): boolean {
  return cluster.world.replicas.every(({ name }) => operator.runtime.memory.replicas.get(name)?.baseline != null);
}

async function one(run: Run, happening: Happening): Promise<void> {
  const { world } = run.cluster;
  switch (happening.kind) {
    case 'World':
      for (const event of happening.events) happen(world, event);
      return;
    case 'Pass': {
      const names = everything(run.operator);
      const order = happening.order.flatMap((index) => names[index % names.length] ?? []);
      await round(run.operator, order);
      await advance(world, happening.ms);
      return;
    }
    case 'Calm':
      await calm(run, happening.rounds);
      return;
    case 'NewProcess':
      killOperator(run.operator);
      run.operator = startOperator(run.cluster);
      return;
    case 'Away':
      killOperator(run.operator);
      // What it had seen and not stored yet died with it.
      world.witnessed.clear();
      for (const event of happening.events) {
        happen(world, event);
        flow(world, 1000);
      }
      await advance(world, happening.ms);
      run.operator = startOperator(run.cluster);
      return;
    default:
      happening satisfies never;
  }
}

/** Nothing happens but replication and passes over fresh looks. */
export async function calm(run: Run, rounds: number): Promise<void> {
  const { world } = run.cluster;
  for (let left = rounds; left > 0; left -= 1) {
    flow(world, 1000);
    if (!run.operator.alive) run.operator = startOperator(run.cluster);
    await round(run.operator);
    await advance(world, 100);
  }
  flow(world, 1000);
}

/** Lets everything come to rest and be seen, then asks the truth. */
export async function verdicts(run: Run): Promise<string[]> {
  const { world } = run.cluster;
  await calm(run, 3);
  run.cluster.onStatement = () => undefined;
  world.hidden.clear();
  for (const { link } of serversOf(world)) if (link !== null) link.held = false;
  await calm(run, 15);
  // What is wrong at the place where a replica was attached often shows at the next transactions only.
  happen(world, { kind: 'Write', count: 2, size: 100 });
  await calm(run, 3);
  await pass(run.operator);
  const decisions = run.operator.runtime.picture?.decisions ?? [];
  return [...world.misuse, ...run.cluster.broken, ...lies(world, decisions)];
}
