// `npm run bench`: how long until the replicas follow after a move, next to plain MariaDB tuned by hand, in one run.
import { parseArgs } from 'node:util';
import { createBench } from '../support/bench.ts';
import type { Bench, BenchOptions } from '../support/bench.ts';
import { attach, ownPosition } from '../support/link.ts';
import { controlPlane, helm, requireControlPlane } from '../support/kube/build.ts';
import type { Member } from '../support/member.ts';
import { provision } from '../support/provision.ts';
import { enterSandbox, sandboxDirectory } from '../support/sandbox.ts';
import { until } from '../support/wait.ts';
import { Stage } from '../e2e/support/stage.ts';
import { KINDS, measureMove } from './moves.ts';
import type { Follower, Kind, MoveResult, Outcome } from './moves.ts';
import { quantile } from './quantiles.ts';

const USAGE =
  'usage: npm run bench -- [--moves N] [--kinds planned,crash,power,frozen] [--modes gtid,takeover] [--only mxr|plain]';
const MODES = { gtid: {}, takeover: { server: { 'log-slave-updates': 0 } } } as const satisfies Record<
  string,
  BenchOptions
>;
type Mode = keyof typeof MODES;

const { values: flags } = parseArgs({
  options: {
    moves: { type: 'string', default: '40' },
    kinds: { type: 'string', default: KINDS.join(',') },
    modes: { type: 'string', default: Object.keys(MODES).join(',') },
    only: { type: 'string', default: '' },
  },
});
const moves = Number(flags.moves);
const kinds = flags.kinds.split(',').filter((kind): kind is Kind => (KINDS as readonly string[]).includes(kind));
const modes = flags.modes.split(',').filter((mode): mode is Mode => mode in MODES);
if (!Number.isInteger(moves) || moves < 1 || kinds.length === 0 || modes.length === 0) {
  process.stderr.write(`${USAGE}\n`);
  process.exit(2);
}

if (sandboxDirectory() === undefined) {
  await requireControlPlane();
  await provision(tell);
  await controlPlane(tell);
  await helm(tell);
}
await enterSandbox();

const rows: Row[] = [];
for (const mode of modes) {
  const mxr = flags.only === 'plain' ? [] : await withMxr(mode);
  const plain = flags.only === 'mxr' ? [] : await withPlainMariaDb(mode);
  for (const kind of kinds) rows.push({ mode, kind, mxr: of(mxr, kind), plain: of(plain, kind) });
}
print(rows);

interface Row {
  readonly mode: Mode;
  readonly kind: Kind;
  readonly mxr: readonly MoveResult[];
  readonly plain: readonly MoveResult[];
}

function of(results: readonly MoveResult[], kind: Kind): MoveResult[] {
  return results.filter((result) => result.kind === kind);
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

async function withMxr(mode: Mode): Promise<MoveResult[]> {
  const stage = await Stage.open({
    bench: MODES[mode],
    spec: { detection: { probeIntervalMs: 250, probeTimeoutMs: 1000 } },
  });
  try {
    await stage.startOperator();
    await stage.createResource();
    const follower: Follower = {
      name: 'mxr',
      settle: async (holder) => void (await stage.following(holder.name, 60_000)),
      refuses: async (replica) => {
        const status = await stage.status();
        const verdict = status.replicas.find(({ pod }) => pod === replica.name)?.verdict;
        return verdict !== undefined && !['Following', 'CatchingUp', 'HandingOver'].includes(verdict);
      },
    };
    return await series(stage.bench, follower, mode);
  } finally {
    await stage.close();
  }
}

/** The best that can be had without an operator: replicas dial the VIP, short retry and timeout. */
async function withPlainMariaDb(mode: Mode): Promise<MoveResult[]> {
  const tuned = { 'log-slave-updates': 1, 'read-only': 1, 'slave-net-timeout': 4 };
  const bench = await createBench({ ...MODES[mode], replicas: { server: tuned, through: 'vip' } });
  try {
    const follower: Follower = {
      name: 'plain',
      settle: (holder) => settlePlain(bench, holder),
      refuses: async () => false,
    };
    return await series(bench, follower, mode);
  } finally {
    await bench.close();
  }
}

async function settlePlain(bench: Bench, holder: Member): Promise<void> {
  for (const { db } of bench.replicas) {
    try {
      await bench.follows(db, holder.db, 5_000);
    } catch {
      const from = await ownPosition(db);
      const gtid = (await db.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'] ?? '';
      await attach(db, {
        host: bench.vip.host,
        port: bench.vip.port,
        account: bench.accounts.replication,
        mode: 'gtid',
        from: { ...from, gtid },
      });
      await until(
        `${db.name} follows`,
        async () =>
          bench.follows(db, holder.db, 2_000).then(
            () => true,
            () => false,
          ),
        { deadlineMs: 20_000 },
      );
    }
  }
}

async function series(bench: Bench, follower: Follower, mode: Mode): Promise<MoveResult[]> {
  const results: MoveResult[] = [];
  for (let round = 0; round < moves; round += 1) {
    for (const kind of kinds) {
      const result = await measureMove(bench, follower, kind);
      results.push(result);
      tell(
        `${follower.name} ${mode} ${kind} ${round + 1}/${moves}: ${ms(result.fromVip)} from the VIP, ${ms(result.fromAck)} from the row; ${result.outcomes.join(' ')}`,
      );
    }
  }
  return results;
}

function ms(value: number | null): string {
  return value === null ? 'never' : `${Math.round(value)} ms`;
}

function print(table: readonly Row[]): void {
  const head = [
    'mode',
    'kind',
    'clock',
    'n',
    'mxr p50',
    'mxr p95',
    'plain p50',
    'plain p95',
    'ratio p50',
    'ratio p95',
    'mxr outcomes',
    'plain outcomes',
  ];
  const lines = table.flatMap((row) =>
    (['fromVip', 'fromAck'] as const).map((clock) => {
      const [mxr, plain] = [row.mxr, row.plain].map((results) => results.flatMap((result) => result[clock] ?? []));
      const cells = [0.5, 0.95].map((q) => [quantile(mxr ?? [], q), quantile(plain ?? [], q)] as const);
      const name = clock === 'fromVip' ? 'from VIP answering' : 'from first row acknowledged';
      return [
        row.mode,
        row.kind,
        name,
        `${mxr?.length ?? 0}/${plain?.length ?? 0}`,
        ...cells.map(([value]) => ms(value)),
        ...cells.map(([, value]) => ms(value)),
        ...cells.map(([a, b]) => (a === null || b === null ? '-' : (a / b).toFixed(2))),
        outcomes(row.mxr),
        outcomes(row.plain),
      ];
    }),
  );
  for (const cells of [head, head.map(() => '---'), ...lines]) process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

function outcomes(results: readonly MoveResult[]): string {
  const counts = new Map<Outcome, number>();
  for (const outcome of results.flatMap((result) => result.outcomes))
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
  return [...counts].map(([outcome, count]) => `${count} ${outcome}`).join(', ');
}
