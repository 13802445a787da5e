// `npm run demo`: the main job on real parts, in private namespaces: a pair under keepalived, three replicas, a real API
// server and the operator. The VIP moves twice, planned and by `kill -9`; what happens is told as it happens.
import { parseArgs } from 'node:util';
import type { HandoverRecord, Status } from '../../src/api/v1alpha1.ts';
import type { Bench } from '../support/bench.ts';
import { assertRight } from '../support/judge.ts';
import { controlPlane, helm, requireControlPlane } from '../support/kube/build.ts';
import type { Member } from '../support/member.ts';
import { monotonicMs } from '../support/monotonic.ts';
import { ProvisionError, provision } from '../support/provision.ts';
import { enterSandbox, sandboxDirectory } from '../support/sandbox.ts';
import { Watch } from '../support/watch.ts';
import { Writer } from '../support/writer.ts';
import { Stage } from '../e2e/support/stage.ts';
import { NaiveOperator } from './naive.ts';
import { printHowToLook } from './look-around.ts';

const { values: flags } = parseArgs({ options: { keep: { type: 'boolean', default: false } } });
const began = monotonicMs();

await setUp();
await enterSandbox();
await play();

async function setUp(): Promise<void> {
  if (sandboxDirectory() !== undefined) return;
  try {
    await requireControlPlane();
    await provision(tell);
    await controlPlane(tell);
    await helm(tell);
  } catch (error) {
    if (!(error instanceof ProvisionError)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  }
}

function tell(line: string): void {
  const seconds = ((monotonicMs() - began) / 1000).toFixed(2).padStart(7);
  process.stdout.write(`${seconds} s  ${line}\n`);
}

async function play(): Promise<void> {
  tell('building: two database hosts under keepalived, three replicas, an API server, each in a network namespace');
  const stage = await Stage.open({ log: tell });
  const { bench } = stage;
  await stage.startOperator();
  tell('the operator leads; creating the MariaDBExternalReplica "orders"');
  await stage.createResource();
  await stage.following(bench.a.name);
  tell(`adopted: all three replicas follow ${bench.a.name}, proven; their links no longer dial the VIP`);
  const watch = new Watch(bench);
  let writer = await startWriter(bench, bench.a);
  tell('an application writes 100 transactions/s through the VIP');

  const records: HandoverRecord[] = [];
  const planned = { what: 'planned move: keepalived stops on', fault: async () => bench.a.planned() };
  records.push(await move(stage, { ...planned, writer: () => writer, watch, from: bench.a }));
  tell(`${bench.a.name} becomes the standby of ${bench.b.name}, as an administrator would make it`);
  await bench.rejoin(bench.a, 'keep');

  // Replication inside the pair is asynchronous: what is in flight at a crash exists on the replicas and nowhere else,
  // and mxr then says Ahead. The demo shows the ordinary case, so the application pauses for the moment of the crash.
  await writer.stop();
  const before = writer.acknowledged.length;
  await bench.follows(bench.a.db, bench.b.db);
  records.push(
    await move(stage, {
      what: 'crash: kill -9 of mariadbd on',
      fault: async () => {
        await bench.b.kill9();
        writer = new Writer(bench);
      },
      writer: () => writer,
      watch,
      from: bench.b,
    }),
  );

  await watch.stop();
  await writer.stop();
  await assertRight(bench, bench.a);
  tell(
    `judged by their rows: all three replicas are exactly ${bench.a.name}, ${before + writer.acknowledged.length} acknowledged transactions`,
  );
  for (const record of records) process.stdout.write(`\n${recordText(record)}\n`);
  if (flags.keep) {
    const asked = askedToEnd();
    await printHowToLook(stage);
    await asked;
  }
  await stage.close();
  tell('everything is stopped; nothing was left behind');
}

/** A Ctrl-C arrives more than once: the terminal tells each process outside, and each of them tells the next one. */
function askedToEnd(): Promise<void> {
  return new Promise((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => resolve());
  });
}

async function startWriter(bench: Bench, on: Member): Promise<Writer> {
  const writer = new Writer(bench);
  await writer.writes(100, on.name);
  return writer;
}

interface Move {
  readonly writer: () => Writer;
  readonly watch: Watch;
  readonly from: Member;
  readonly what: string;
  readonly fault: () => Promise<unknown>;
}

async function move(stage: Stage, { writer, watch, from, what, fault }: Move): Promise<HandoverRecord> {
  const { bench } = stage;
  const to = bench.other(from);
  const naive = new NaiveOperator(bench, to);
  tell(`--- ${what} ${from.name}`);
  const at = monotonicMs();
  const told = tellChanges(stage);
  await fault();
  await writer().writes(1, to.name);
  const status = await stage.statusIs(
    `the handover to ${to.name} is recorded`,
    ({ handovers, following }) => handovers[0]?.to === to.name && following === '3/3',
  );
  await writer().writes(100, to.name);
  told.abort();
  const [record] = status.handovers;
  if (record === undefined) throw new Error('the status lost its record');
  const answered = watch.vipAnswered(to.name, at);
  const first = writer().firstOn(to.name, at);
  const arrivals = first === undefined ? [] : watch.arrivals(first.token);
  if (answered !== undefined && first !== undefined && arrivals.length > 0) {
    const last = Math.max(...arrivals);
    tell(
      `the VIP answered on ${to.name} ${ms(answered - at)} after the fault; first row acknowledged there ${ms(first.at - answered)} later`,
    );
    tell(
      `every replica had that row ${ms(last - answered)} after the VIP answered, ${ms(last - first.at)} after its acknowledgement`,
    );
  }
  for (const line of await naive.wouldHaveDone(record)) tell(`naive: ${line}`);
  return record;
}

/** Prints what the status says whenever it says something else. */
function tellChanges(stage: Stage): AbortController {
  const stop = new AbortController();
  let last = '';
  const look = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const line = lineOf(await stage.status());
      if (line !== last && !stop.signal.aborted) tell(`mxr: ${line}`);
      last = line;
    }
  };
  look().catch((error: unknown) => tell(`the status could not be read: ${String(error)}`));
  return stop;
}

function lineOf({ source, following, replicas }: Status): string {
  const verdicts = new Map<string, number>();
  for (const { verdict } of replicas) verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
  const text = [...verdicts].map(([verdict, count]) => `${count} ${verdict}`).join(', ');
  return `${source.situation ?? 'Unknown'} (${source.message}); ${text}; ready ${following}`;
}

function recordText(record: HandoverRecord): string {
  const head = `handover ${record.id}: ${record.trigger}, ${record.from} -> ${record.to}, ${record.outcome} in ${record.durationMs} ms from the VIP's answer`;
  const replicas = record.replicas.map((replica) => {
    const steps = replica.steps.map((step) => `${step.step} ${step.durationMs} ms`).join(', ');
    const place = (at: { file?: string | undefined; position?: number | undefined; gtid?: string | undefined }) =>
      `${at.file ?? '?'}:${at.position ?? '?'} (${at.gtid ?? '?'})`;
    return `  ${replica.pod}: ${replica.proof ?? 'no proof'}; ${place(replica.from)} -> ${place(replica.to)}\n      ${steps}`;
  });
  return [head, ...replicas].join('\n');
}

function ms(value: number): string {
  return `${Math.round(value)} ms`;
}
