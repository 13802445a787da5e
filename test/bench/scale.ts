// `npm run bench:scale`: what the operator costs with 1, 10 and 100 resources of three replicas in calm.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { controlPlane, helm, requireControlPlane } from '../support/kube/build.ts';
import { monotonicMs } from '../support/monotonic.ts';
import { provision } from '../support/provision.ts';
import { enterSandbox, sandboxDirectory } from '../support/sandbox.ts';
import { until } from '../support/wait.ts';
import { NAMESPACE, Stage } from '../e2e/support/stage.ts';

const TICKS_PER_SECOND = 100;
const WARM_UP_MS = 10_000;
const MEASURE_MS = 20_000;
const LOOKED_MS = 180_000;

const { values: flags } = parseArgs({
  options: { counts: { type: 'string', default: '1,10,100' }, interval: { type: 'string', default: '1000' } },
});
const counts = flags.counts.split(',').map(Number);
const probeIntervalMs = Number(flags.interval);

if (sandboxDirectory() === undefined) {
  await requireControlPlane();
  await provision(tell);
  await controlPlane(tell);
  await helm(tell);
}
await enterSandbox();

const server = { 'max-connections': 4000 };
const stage = await Stage.open({
  bench: {
    server: { 'log-slave-updates': 1, ...server },
    replicas: { server: { 'log-slave-updates': 1, 'read-only': 1, ...server } },
  },
});
try {
  const { pid } = await stage.startOperator();
  process.stdout.write(
    '| resources | CPU (cores) | CPU per resource (ms/s) | resident memory (MiB) |\n| --- | --- | --- | --- |\n',
  );
  let made = 0;
  for (const count of counts) {
    for (; made < count; made += 1) await createWatched(made);
    await until(`${count} resources are looked at`, async () => (await looked()) >= count, {
      deadlineMs: LOOKED_MS,
      intervalMs: 2_000,
    }).catch(async (error: unknown) => {
      tell(`${await looked()} of ${count} are\n${await notLooked()}\n${stage.operator.tail(30)}`);
      throw error;
    });
    await delay(WARM_UP_MS);
    const [from, at] = [cpuSeconds(pid), monotonicMs()];
    await delay(MEASURE_MS);
    const cores = (cpuSeconds(pid) - from) / ((monotonicMs() - at) / 1000);
    const cells = [count, cores.toFixed(3), ((cores * 1000) / count).toFixed(2), residentMiB(pid).toFixed(0)];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
} finally {
  await stage.close();
}

function tell(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** Each resource has pods of its own; behind them are the same three servers, which are only looked at. */
async function createWatched(index: number): Promise<void> {
  const app = `replica-${index}`;
  for (const { name, host } of stage.bench.replicas) {
    await stage.api.createPod({
      namespace: NAMESPACE,
      name: `${app}-${name}`,
      labels: { app },
      ip: host.address,
      ready: true,
    });
  }
  const { a, b, vip } = stage.bench;
  const members = [a, b].map((member) => ({ name: member.name, host: member.address }));
  await stage.api.create(
    { api: 'mxr.dev/v1alpha1', plural: 'mariadbexternalreplicas', namespace: NAMESPACE, name: `orders-${index}` },
    {
      apiVersion: 'mxr.dev/v1alpha1',
      kind: 'MariaDBExternalReplica',
      metadata: { name: `orders-${index}`, namespace: NAMESPACE },
      spec: {
        source: { vip, members, credentials: { secretName: 'orders-source' } },
        replicas: { selector: { matchLabels: { app } }, credentials: { secretName: 'orders-replica' } },
        detection: { probeIntervalMs, probeTimeoutMs: 1000 },
        policy: { handover: 'Observe' },
      },
    },
  );
}

async function looked(): Promise<number> {
  const list = await stage.api.list({
    api: 'mxr.dev/v1alpha1',
    plural: 'mariadbexternalreplicas',
    namespace: NAMESPACE,
  });
  return list.filter((one) => (one as { status?: { holder?: string } }).status?.holder === stage.bench.a.name).length;
}

async function notLooked(): Promise<string> {
  const list = await stage.api.list({
    api: 'mxr.dev/v1alpha1',
    plural: 'mariadbexternalreplicas',
    namespace: NAMESPACE,
  });
  const [one] = list.filter(({ status }) => (status as { holder?: string } | undefined)?.holder !== stage.bench.a.name);
  return JSON.stringify(one?.['status']).slice(0, 2_000);
}

function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function residentMiB(pid: number): number {
  const line = /VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) / 1024;
}
