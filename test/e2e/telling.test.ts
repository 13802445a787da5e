import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import { condition } from './support/moves.ts';
import { NAME, NAMESPACE, Stage } from './support/stage.ts';
import { Telling, metricsOf } from './support/telling.ts';
import { sum, writesDuring } from './support/writes.ts';

const FULL = process.env['MXR_FULL'] === '1';
/** 2 x probeIntervalMs + probeTimeoutMs + 1 s, as the stage configures them. */
const BOUND_MS = 2 * 250 + 1000 + 1000;
/** The machine runs the whole pair, the cluster and all replicas on few cores. */
const SLOW_MACHINE = 2;
/** What changes all the time is written again after 30 s: so many of those fit into this time. */
const CALM = FULL ? { forMs: 59_000, writes: 2 } : { forMs: 25_000, writes: 1 };
let stage: Stage;

before(async () => {
  stage = await Stage.open();
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

test('when nothing happens there are at most two writes a minute', async (t) => {
  await stage.following('hci-a');
  const writer = new Writer(stage.bench, { ratePerSecond: 20 });
  await writer.writes(20);
  await stage.statusIs('calm', (status) => condition(status, 'Ready') === 'True/Following');
  await assertFewWrites(t);
  await writer.stop();
});

test('Ready and SourceAvailable tell the truth within the detection bound', async (t) => {
  const { bench } = stage;
  await stage.following('hci-a');
  const writer = new Writer(bench);
  await writer.writes(50, 'hci-a');
  await writer.stop();
  for (const { db } of [bench.b, ...bench.replicas]) await bench.follows(db, bench.a.db);
  const telling = new Telling(stage);
  const diedAt = performance.now();

  await bench.a.kill9();

  const attachedAt = await allAttachedTo(bench.b.address);
  const readyAt = await until('Ready is True again', () => backAfter(telling, 'Ready', diedAt), { deadlineMs: 60_000 });
  await telling.stop();
  const unreadyAt = telling.seen('Ready', 'False/', diedAt) ?? Infinity;
  const unavailableAt = telling.seen('SourceAvailable', 'False/', diedAt) ?? Infinity;
  tell(t, 'Ready False after the death of the primary', unreadyAt - diedAt);
  tell(t, 'SourceAvailable False after the death of the primary', unavailableAt - diedAt);
  tell(t, 'Ready True after the last replica was attached', readyAt - attachedAt);
  const [, dead] = telling.states('SourceAvailable', 0);
  assert.match(dead ?? '', /^False\/(DatabaseDown|VipSilent)$/);
  assert.equal(telling.states('SourceAvailable', 0).at(-1), 'True/Stable');
  assert.equal(
    telling.states('ReplicasIntact', 0).some((state) => !state.startsWith('True/')),
    false,
  );
});

test('the events tell what happened, once each', async () => {
  let mine: Awaited<ReturnType<Stage['events']>> = [];
  const count = (reason: string, note: RegExp): number =>
    mine.filter((event) => event.reason === reason && note.test(event.note)).length;
  // They come a while after what they tell of.
  await until('the handover is told of', async () => {
    const events = await stage.events();
    mine = events.filter(({ regarding }) => regarding.kind === 'MariaDBExternalReplica' && regarding.name === NAME);
    return count('HandoverCompleted', /VipMoved/) > 0;
  });
  assert.equal(count('Accepted', /./), 1);
  assert.equal(count('HandoverCompleted', /Adoption/), 1);
  assert.equal(count('HandoverCompleted', /VipMoved from hci-a to hci-b, Completed/), 1);
  assert.equal(count('SourceTrouble', /^(DatabaseDown|VipSilent)/) >= 1, true);
  for (const { name } of stage.bench.replicas) {
    assert.equal(count('VerdictBetter', new RegExp(`^${name} is Following`)) >= 1, true, name);
  }
});

test('the metrics show who holds the VIP, who follows, and what was done', async () => {
  await stage.statusIs('the dead standby is found', ({ findings }) =>
    findings.some(({ finding }) => finding === 'StandbyUnreachable'),
  );
  const metrics = await metricsOf(stage);
  const is = (name: string, labels: Record<string, string>, value: number): void => {
    const all = Object.entries({ ...labels, name: NAME, namespace: NAMESPACE });
    const series = `${name}{${all
      .map(([label, text]) => `${label}="${text}"`)
      .toSorted()
      .join(',')}}`;
    assert.equal(metrics.get(series), value, series);
  };
  for (const [member, holds] of [
    ['hci-a', 0],
    ['hci-b', 1],
  ] as const) {
    is('mxr_source_holder', { member }, holds);
    is('mxr_source_member_up', { member }, holds);
  }
  is('mxr_source_situation', { situation: 'Stable' }, 1);
  is('mxr_source_situation', { situation: 'VipSilent' }, 0);
  for (const { name } of stage.bench.replicas) {
    is('mxr_replica_following', { pod: name }, 1);
    is('mxr_replica_verdict', { pod: name, verdict: 'Following' }, 1);
    is('mxr_replica_lag_seconds', { pod: name }, 0);
  }
  const verdicts = [...metrics].filter(([series]) => series.startsWith('mxr_replica_verdict{'));
  assert.equal(verdicts.filter(([, value]) => value === 1).length, 3, 'one verdict each');
  is('mxr_replica_verdict', { pod: 'r1', verdict: 'Waiting' }, 0);
  is('mxr_failover_ready', {}, 0);
  is('mxr_failover_finding', { finding: 'StandbyUnreachable' }, 1);
  is('mxr_handovers_total', { outcome: 'Completed' }, 2);
  is('mxr_handover_duration_seconds_count', {}, 2);
  assert.equal(metrics.get('mxr_leader'), 1);
  assert.equal(metrics.get('mxr_statements_total{outcome="ok",statement="Change"}'), 6);
});

test('with a finding that stands there are at most two writes a minute', async (t) => {
  const writer = new Writer(stage.bench, { ratePerSecond: 20 });
  await writer.writes(20, 'hci-b');
  await stage.statusIs('the finding stands, all follow', (status) => {
    return condition(status, 'FailoverReady').startsWith('False/') && condition(status, 'Ready') === 'True/Following';
  });
  await assertFewWrites(t);
  await writer.stop();
});

test('while the VIP is silent for long there are at most two writes a minute', async (t) => {
  const { b } = stage.bench;
  await b.keepalived.stop();
  await stage.statusIs('every replica waits', ({ source, replicas }) => {
    return source.situation === 'VipSilent' && replicas.every(({ verdict }) => verdict === 'Waiting');
  });
  await assertFewWrites(t);
  assert.equal((await stage.status()).source.situation, 'VipSilent');
  await b.keepalived.start();
  await stage.following('hci-b', 60_000);
});

test('the series of a deleted pod and of a deleted resource disappear; the replicas go on', async () => {
  const { api, bench } = stage;
  await api.deletePod(NAMESPACE, 'r3');
  await until('the series of r3 are gone', async () => (await seriesWith('pod="r3"')) === 0);
  assert.notEqual(await seriesWith('pod="r2"'), 0);
  const resource = { api: 'mxr.dev/v1alpha1', plural: 'mariadbexternalreplicas', namespace: NAMESPACE, name: NAME };
  await api.remove(resource);
  await until('the series of the resource are gone', async () => (await seriesWith(`name="${NAME}"`)) === 0);
  const writer = new Writer(bench);
  await writer.writes(50, 'hci-b');
  await writer.stop();
  await assertRight(bench, bench.b);
});

/** Counted at the API server, from when everything was told: of the status, events, and labels of pods. */
async function assertFewWrites(t: TestContext): Promise<void> {
  const writes = await writesDuring(stage, CALM.forMs);
  const text = `${JSON.stringify(Object.fromEntries(writes))} in ${CALM.forMs / 1000} s`;
  t.diagnostic(text);
  assert.ok(sum(writes) <= CALM.writes, `more than ${CALM.writes} writes: ${text}`);
}

async function seriesWith(label: string): Promise<number> {
  return [...(await metricsOf(stage)).keys()].filter((series) => series.includes(label)).length;
}

/** When a condition was True again after it had been False. */
function backAfter(telling: Telling, type: string, sinceMs: number): number | undefined {
  const fell = telling.seen(type, 'False/', sinceMs);
  return fell === undefined ? undefined : telling.seen(type, 'True/', fell);
}

/** Resolves when both threads of every replica run against this address, as the replicas themselves say. */
async function allAttachedTo(address: string): Promise<number> {
  await until(
    `all replicas are attached to ${address}`,
    async () => {
      const links = await Promise.all(stage.bench.replicas.map(async ({ db }) => slaveStatus(db)));
      return links.every(
        (link) =>
          link?.['Master_Host'] === address &&
          link['Slave_IO_Running'] === 'Yes' &&
          link['Slave_SQL_Running'] === 'Yes',
      );
    },
    { deadlineMs: 60_000, intervalMs: 20 },
  );
  return performance.now();
}

function tell(t: TestContext, what: string, ms: number): void {
  t.diagnostic(`${what}: ${Math.round(ms)} ms, bound ${BOUND_MS} ms`);
  assert.equal(ms <= BOUND_MS * SLOW_MACHINE, true, `${what}: ${Math.round(ms)} ms`);
}
