// Many resources and pods that come at once: what the operator does about each must not cost it the Lease.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { monotonicMs } from '../support/monotonic.ts';
import { until } from '../support/wait.ts';
import { begin } from './support/begin.ts';
import { NAME, NAMESPACE } from './support/stage.ts';
import type { Stage } from './support/stage.ts';
import { metricsOf } from './support/telling.ts';

const RESOURCES = { api: 'mxr.dev/v1alpha1', plural: 'mariadbexternalreplicas', namespace: NAMESPACE };
const BEGUN_PER_SECOND = 8;
const COUNT = 24;
const PODS = 60;
/** Created, labelled, ready: each pod changes so often. */
const CHANGES_OF_A_POD = 3;
let stage: Stage;

before(async () => {
  stage = await begin();
  await stage.following('hci-a');
});
after(async () => stage.close());

test('pods that change in a burst cause a pass per tenth of a second, not one each', async () => {
  const [before, began] = [await passes(), monotonicMs()];

  await Promise.all(Array.from({ length: PODS }, (_, index) => createPod(`burst-${index}`, 'burst')));

  const seconds = (monotonicMs() - began) / 1000;
  const caused = (await passes()) - before;
  // Ten a second for the pods, one for the clock, and what the looks at seven servers bring.
  assert.ok(caused < 20 + 15 * seconds, `${PODS * CHANGES_OF_A_POD} changes in ${seconds} s caused ${caused} passes`);
});

test('resources that are created at once begin one after another, and all of them do', async () => {
  const { spec } = await stage.api.get<{ spec: Record<string, unknown> }>({ ...RESOURCES, name: NAME });
  for (let index = 0; index < COUNT; index += 1) await createPod(`many-${index}`, `many-${index}`);
  await Promise.all(Array.from({ length: COUNT }, (_, index) => createResource(`many-${index}`, spec)));

  const first = await until('the first has begun', async () => (await begun()) > 0 && monotonicMs());
  const last = await until('all have begun', async () => (await begun()) === COUNT && monotonicMs(), {
    deadlineMs: 60_000,
  });

  const leastMs = ((COUNT / 2) * 1000) / BEGUN_PER_SECOND;
  assert.ok(last - first >= leastMs, `all ${COUNT} began within ${last - first} ms`);
  assert.equal((await stage.status()).following, '3/3');
  assert.ok(stage.operator.running);
});

async function passes(): Promise<number> {
  return (await metricsOf(stage)).get('mxr_reconcile_duration_seconds_count') ?? 0;
}

/** Without an address: nothing is dialled, so only the number of them counts. */
async function createPod(name: string, app: string): Promise<void> {
  await stage.api.createPod({ namespace: NAMESPACE, name, labels: { app }, ready: false });
}

async function createResource(name: string, spec: Record<string, unknown>): Promise<void> {
  await stage.api.create(
    { ...RESOURCES, name },
    {
      apiVersion: 'mxr.dev/v1alpha1',
      kind: 'MariaDBExternalReplica',
      metadata: { name, namespace: NAMESPACE },
      spec: { ...spec, replicas: { ...(spec['replicas'] as object), selector: { matchLabels: { app: name } } } },
    },
  );
}

/** Those whose status says something. */
async function begun(): Promise<number> {
  const list = await stage.api.list<{ metadata: { name: string }; status?: { conditions?: unknown[] } }>(RESOURCES);
  return list.filter(({ metadata, status }) => metadata.name !== NAME && (status?.conditions?.length ?? 0) > 0).length;
}
