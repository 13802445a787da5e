import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { OPERATOR_USER } from '../../support/kube/servers.ts';
import { until } from '../../support/wait.ts';
import { OperatorProcess } from './operator-process.ts';
import { describe } from './stage.ts';
import type { Stage } from './stage.ts';

const MAIN = join(import.meta.dirname, 'killed-operator-main.ts');
/**
 * Short, so that a successor need not wait long; the process that it succeeds released nothing. Not shorter: on a busy
 * machine the API server takes seconds, and an operator that cannot renew its Lease ends, as it must.
 */
export const LEASE = { MXR_LEASE_DURATION_MS: '5000', MXR_LEASE_RENEW_DEADLINE_MS: '4000', MXR_LEASE_RETRY_MS: '500' };

/** Statements that a plan runs on a replica, in their order, as they begin. */
export const STATEMENTS = [
  'SELECT GET_LOCK(?, 0) AS taken',
  'STOP SLAVE IO_THREAD',
  'STOP SLAVE',
  'CHANGE MASTER',
  'SET GLOBAL slave_net_timeout',
  'START SLAVE',
] as const;
export type Boundary = `${'before' | 'after'} ${(typeof STATEMENTS)[number]}`;

/** Every boundary of these statements. */
export function boundaries(statements: readonly (typeof STATEMENTS)[number][]): readonly Boundary[] {
  return statements.flatMap((statement) => [`before ${statement}`, `after ${statement}`] as const);
}

let started = 0;

/** An operator that will kill (or freeze) itself at this boundary once it is armed. Resolves when it leads and has looked. */
export async function startKilledOperator(
  stage: Stage,
  boundary: Boundary,
  signal: 'SIGKILL' | 'SIGSTOP' = 'SIGKILL',
): Promise<OperatorProcess> {
  const operator = await start(stage, { SIGNAL_AT: `${signal} ${boundary}` });
  const since = Date.now();
  await stage.statusIs('the operator has looked', ({ source }) =>
    source.members.every(({ observedAt }) => observedAt !== undefined && Date.parse(observedAt) > since),
  );
  return operator;
}

/** One that is armed from its beginning: it adopts faster than anybody could arm it. Resolves when it leads. */
export async function startArmedOperator(stage: Stage, boundary: Boundary): Promise<OperatorProcess> {
  return start(stage, { SIGNAL_AT: `SIGKILL ${boundary}`, ARMED: '1' });
}

async function start(stage: Stage, env: Readonly<Record<string, string>>): Promise<OperatorProcess> {
  started += 1;
  const kubeconfig = join(stage.bench.op.directory, 'kubeconfig');
  writeFileSync(kubeconfig, stage.api.userKubeconfig(OPERATOR_USER), { mode: 0o600 });
  const operator = new OperatorProcess({
    host: stage.bench.op,
    kubeconfig,
    program: [MAIN],
    podName: `mxr-${started}`,
    env: { ...LEASE, ...env },
  });
  await operator.says('leading');
  return operator;
}

/** From now on the statement is deadly. The signal counts once. */
export function arm(operator: OperatorProcess): void {
  process.kill(operator.pid, 'SIGUSR2');
}

export async function dies(stage: Stage, operator: OperatorProcess): Promise<void> {
  await until('the operator dies', () => !operator.running).catch(async (error: unknown) => {
    const status = describe(await stage.status());
    throw new Error(`${(error as Error).message}; ${status}\n${operator.tail()}`, { cause: error });
  });
}
