import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { AcceptedReason } from '../../../src/api/reasons.ts';
import type { Status } from '../../../src/api/v1alpha1.ts';
import type { Replica } from '../../support/bench.ts';
import { slaveStatus } from '../../support/link.ts';
import { until } from '../../support/wait.ts';
import { condition } from './moves.ts';
import { NAME, NAMESPACE } from './stage.ts';
import type { Stage } from './stage.ts';
import { metricsOf } from './telling.ts';

/** 2 x probeIntervalMs + probeTimeoutMs + 1 s, as the stage configures them. */
const BOUND_MS = 2 * 250 + 1000 + 1000;
/** The machine runs the whole pair, the cluster and all replicas on few cores, and other benches beside them. */
const SLOW_MACHINE = 10;
export const RESOURCES = { api: 'mxr.dev/v1alpha1', plural: 'mariadbexternalreplicas', namespace: NAMESPACE };

export interface Refusal {
  readonly reason: AcceptedReason;
  readonly provoke: () => Promise<unknown>;
  /** The promise, where it is another than the detection bound. */
  readonly boundMs?: number;
  /**
   * `Following`: what was accepted goes on. `Judged`: looked at as far as the servers let mxr. `NotLooked`: nothing is
   * claimed of the present.
   */
  readonly meanwhile?: 'Following' | 'Judged' | 'NotLooked';
}

const NOT_LOOKED: readonly AcceptedReason[] = [
  'NotImplemented',
  'NoReplicaSelected',
  'SelectedTwice',
  'ManagedByOther',
];

/** Provokes a refusal and waits for it; returns the message. Nothing is stopped meanwhile. */
export async function refuses(stage: Stage, t: TestContext, refusal: Refusal): Promise<string> {
  const { reason, provoke, boundMs = BOUND_MS } = refusal;
  const { meanwhile = NOT_LOOKED.includes(reason) ? 'NotLooked' : 'Following' } = refusal;
  await provoke();
  const since = performance.now();
  const status = await stage.statusIs(
    `Accepted is False with ${reason}`,
    (now) => condition(now, 'Accepted') === `False/${reason}`,
    boundMs + BOUND_MS * (SLOW_MACHINE - 1),
  );
  told(t, `${reason}: refused`, since, boundMs);
  if (meanwhile === 'NotLooked') {
    assert.equal(condition(status, 'Ready'), 'Unknown/NotLookedYet');
    assert.equal(status.holder, '');
    assert.notEqual(status.following, '3/3');
  } else assert.notEqual(condition(status, 'Ready'), 'Unknown/NotLookedYet');
  if (meanwhile === 'Following') {
    await stage.following('hci-a', BOUND_MS * SLOW_MACHINE);
    assert.equal(condition(await stage.status(), 'Accepted'), `False/${reason}`);
  }
  await passes(stage, 1);
  for (const { name, db } of stage.bench.replicas) {
    const link = await slaveStatus(db);
    const threads = [link?.['Slave_IO_Running'], link?.['Slave_SQL_Running']];
    assert.deepEqual(threads, ['Yes', 'Yes'], `${name} goes on replicating while ${reason}`);
  }
  return messageOf(status);
}

/** Cures what was refused: accepted within the bound, and every replica follows again, unharmed. */
export async function accepts(stage: Stage, t: TestContext, cure: () => Promise<unknown>): Promise<void> {
  await cure();
  const since = performance.now();
  await stage.statusIs(
    'Accepted is True again',
    (now) => condition(now, 'Accepted') === 'True/Accepted',
    BOUND_MS * SLOW_MACHINE,
  );
  told(t, 'cured: accepted', since, BOUND_MS);
  await stage.following('hci-a', 60_000);
  await stage.statusIs('Ready is True again', (now) => condition(now, 'Ready') === 'True/Following', 60_000);
}

/** Resolves after the operator has passed over its resources so many times more. */
export async function passes(stage: Stage, more: number): Promise<void> {
  const count = async (): Promise<number> =>
    (await metricsOf(stage)).get('mxr_reconcile_duration_seconds_count') ?? Number.NaN;
  const before = await count();
  await until(`${more} passes more than ${before}`, async () => (await count()) >= before + more);
}

export function messageOf(status: Status): string {
  return status.conditions.find(({ type }) => type === 'Accepted')?.message ?? '';
}

function told(t: TestContext, what: string, since: number, boundMs: number): void {
  t.diagnostic(`${what} after ${Math.round(performance.now() - since)} ms, bound ${boundMs} ms`);
}

/** A changed spec makes mxr ask about every account at once: what a new resource would meet. */
export async function checkAnew(stage: Stage): Promise<void> {
  const { tls } = await specReplicas(stage);
  const mode = (tls as { mode?: string } | undefined)?.mode === 'Disabled' ? 'Preferred' : 'Disabled';
  await stage.patchSpec({ source: { tls: { mode } }, replicas: { tls: { mode } } });
}

/** The statement that the message says to run. */
export function statementOf(message: string): string {
  return /GRANT [^;]+;/.exec(message)?.[0] ?? message;
}

export async function onAll(replicas: readonly Replica[], statement: string): Promise<void> {
  await Promise.all(replicas.map(async ({ db }) => db.sql(statement)));
}

export async function specReplicas(stage: Stage): Promise<Record<string, unknown>> {
  const { spec } = await stage.api.get<{ spec: { replicas: Record<string, unknown> } }>({ ...RESOURCES, name: NAME });
  return spec.replicas;
}

/** Another resource over the same pair. */
export async function createResource(stage: Stage, name: string, replicas: Record<string, unknown>): Promise<void> {
  const { spec } = await stage.api.get<{ spec: Record<string, unknown> }>({ ...RESOURCES, name: NAME });
  await stage.api.create(RESOURCES, {
    apiVersion: 'mxr.dev/v1alpha1',
    kind: 'MariaDBExternalReplica',
    metadata: { name, namespace: NAMESPACE },
    spec: { ...spec, replicas },
  });
}

/** Resolves with the message once this is what the other resource's condition says. */
export async function acceptedOf(stage: Stage, name: string, state: string): Promise<string> {
  return until(`${name} is ${state}`, async () => {
    const { status } = await stage.api.get<{ status?: Status }>({ ...RESOURCES, name });
    return status !== undefined && condition(status, 'Accepted') === state && messageOf(status);
  });
}
