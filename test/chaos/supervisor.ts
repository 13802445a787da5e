import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { LEASE } from '../e2e/support/killed-operator.ts';
import { OperatorProcess } from '../e2e/support/operator-process.ts';
import { NAMESPACE } from '../e2e/support/stage.ts';
import type { Stage } from '../e2e/support/stage.ts';
import { OPERATOR_USER } from '../support/kube/servers.ts';
import { monotonicMs } from '../support/monotonic.ts';
import { shifted } from '../support/shifted.ts';
import { until } from '../support/wait.ts';

const MAIN = join(import.meta.dirname, '../../src/main.ts');
const CHECK_MS = 250;
/** Between two starts: without a control plane each of them ends at once. */
const LEAST_BETWEEN_MS = 1_000;
const LEADS_DEADLINE_MS = 60_000;
const LEASE_OBJECT = { api: 'coordination.k8s.io/v1', plural: 'leases', namespace: NAMESPACE, name: 'mxr' };

/** Does for the operator what a kubelet does: one that ended is started again, unless a fault keeps it down. */
export class Supervisor {
  /** Of all its processes. */
  readonly lines: string[] = [];
  readonly #stage: Stage;
  readonly #clockHours: readonly [number, number];
  #process: OperatorProcess | null = null;
  #down = false;
  #count = 0;
  #launchedAt = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(stage: Stage, clockHours: readonly [number, number]) {
    this.#stage = stage;
    this.#clockHours = clockHours;
  }

  /** Resolves when the first process leads. */
  async start(): Promise<void> {
    this.#launch();
    await until('the operator leads', () => this.lines.some((line) => line.includes('"message":"leading"')), {
      deadlineMs: LEADS_DEADLINE_MS,
    }).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.tail()}`, { cause: error });
    });
    this.#timer = setInterval(() => {
      const isDue = monotonicMs() - this.#launchedAt >= LEAST_BETWEEN_MS;
      if (isDue && !this.#down && this.#process?.running !== true) this.#launch();
    }, CHECK_MS);
    this.#timer.unref();
  }

  /** Resolves when the present process is seen to renew the Lease: until then the status is what another one left. */
  async leads(): Promise<void> {
    let before: string | undefined;
    await until(
      'the operator leads again',
      async () => {
        const { spec = {} } = await this.#stage.api.get(LEASE_OBJECT);
        const { holderIdentity, renewTime } = spec;
        if (this.#process?.running !== true || typeof renewTime !== 'string') return false;
        if (typeof holderIdentity !== 'string' || !holderIdentity.startsWith(`${this.#podName()}_`)) return false;
        before ??= renewTime;
        return renewTime !== before;
      },
      { deadlineMs: LEADS_DEADLINE_MS, intervalMs: CHECK_MS },
    );
  }

  /** For good. */
  async end(): Promise<void> {
    clearInterval(this.#timer);
    await this.kill();
  }

  /** Whether there was a process to kill. */
  async kill(): Promise<boolean> {
    this.#down = true;
    const ran = this.#process?.running === true;
    await this.#process?.kill9();
    return ran;
  }

  release(): void {
    this.#down = false;
    this.#process?.thaw();
  }

  /** Whether it stands still now. */
  async freeze(): Promise<boolean> {
    if (this.#process?.running !== true) return false;
    await this.#process.freeze();
    return this.#process.frozen;
  }

  tail(count = 20): string {
    return this.lines.slice(-count).join('\n');
  }

  #podName(): string {
    return `mxr-${this.#count}`;
  }

  #launch(): void {
    this.#count += 1;
    const kubeconfig = join(this.#stage.bench.op.directory, 'kubeconfig');
    writeFileSync(kubeconfig, this.#stage.api.userKubeconfig(OPERATOR_USER), { mode: 0o600 });
    const hours = this.#clockHours[this.#count === 1 ? 0 : 1];
    const { flags, env } = shifted(hours);
    this.lines.push(`--- process ${this.#podName()}, its clock ${hours} h off`);
    this.#process = new OperatorProcess({
      host: this.#stage.bench.op,
      kubeconfig,
      podName: this.#podName(),
      program: [...flags, MAIN, 'operator'],
      env: { ...LEASE, ...env },
      onLine: (line) => this.lines.push(line),
    });
    this.#launchedAt = monotonicMs();
  }
}
