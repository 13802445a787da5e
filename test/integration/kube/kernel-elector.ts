/** A process that campaigns for the Lease and reports every 10 ms whether it leads. Started by kernel-leader.test.ts. */
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { KubeConfig } from '@kubernetes/client-node';
import { systemClock } from '../../../src/clock.ts';
import { createKube } from '../../../src/kube/client.ts';
import { createElector } from '../../../src/kube/leader.ts';
import type { Leadership } from '../../../src/kube/leader.ts';
import { systemTimers } from '../../../src/kube/timers.ts';

const [kubeconfig = '', identity = ''] = process.argv.slice(2);
const config = new KubeConfig();
config.loadFromString(readFileSync(kubeconfig, 'utf8'));
const elector = createElector({
  leases: createKube(config, { requestTimeoutMs: 1_000 }),
  ref: { namespace: 'default', name: 'elected' },
  identity,
  leaseDurationMs: 2_000,
  renewDeadlineMs: 1_500,
  retryPeriodMs: 300,
  clock: systemClock,
  timers: systemTimers,
  random: Math.random,
  onError: (error) => process.stderr.write(`${identity}: ${String(error)}\n`),
});
const stopping = new AbortController();
let term: Leadership | undefined;

process.once('SIGTERM', () => void stop());

async function stop(): Promise<void> {
  stopping.abort();
  await term?.release();
  process.exit(0);
}

/** The monotonic clock of the machine: comparable between processes. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

async function report(): Promise<void> {
  while (!stopping.signal.aborted) {
    // The time is taken before the question: a process that is frozen between the two must not accuse itself.
    const atMs = nowMs();
    if (term?.isLeader() === true) process.stdout.write(`${JSON.stringify({ atMs, epoch: term.epoch })}\n`);
    await delay(10);
  }
}

async function campaign(): Promise<void> {
  for (;;) {
    const won = await elector.acquire(stopping.signal);
    if (won === undefined) return;
    term = won;
    await new Promise((resolve) => won.signal.addEventListener('abort', resolve, { once: true }));
  }
}

await Promise.all([report(), campaign()]);
