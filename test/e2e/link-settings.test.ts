import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { Status } from '../../src/api/v1alpha1.ts';
import type { MariaDbServer } from '../support/mariadb.ts';
import { until } from '../support/wait.ts';
import { insertAt } from './support/refusal.ts';
import { Stage } from './support/stage.ts';
import { metricsOf } from './support/telling.ts';

const DAY_SECONDS = 86_400;
/** Positions and what is computed from them are written every 30 s. */
const REFRESHED = 60_000;
let stage: Stage;

before(async () => {
  stage = await Stage.open();
  await stage.startOperator();
  await stage.createResource();
  await stage.following('hci-a', 60_000);
});
after(async () => stage.close());

test('slave_net_timeout is set again after a restart, and found until it is in the configuration', async () => {
  const [r1, r2] = stage.bench.replicas;
  assert.ok(r1 && r2);
  await stage.statusIs('each replica has it set at run time', (now) => ['r1', 'r2', 'r3'].every(findsIn(now)));
  const { findings } = await stage.status();
  assert.match(
    findings.find(isOf('r1'))?.message ?? '',
    /slave_net_timeout=8, set at run time, .*Write slave_net_timeo/,
  );

  await r1.db.restart();
  await until('it is set again', async () => (await timeoutOf(r1.db)) === '8');
  await r2.db.restart({ 'slave-net-timeout': 8 });
  const cured = await stage.statusIs('it is in the configuration of r2', (now) => !findsIn(now)('r2'));
  assert.ok(findsIn(cured)('r1'), 'and not in that of r1');
  await stage.following('hci-a', 60_000);
  assert.equal(await timeoutOf(r2.db), '8');
});

test('how long the source keeps what each replica needs is told', async () => {
  const { a, replicas } = stage.bench;
  const r3 = replicas[2];
  assert.ok(r3);
  assert.equal(headroom(await stage.status(), 'r3'), undefined, 'nothing is purged by age');
  await a.db.sql('SET GLOBAL expire_logs_days = 1');
  await stage.statusIs('a whole day', (now) => headroom(now, 'r3') === DAY_SECONDS, REFRESHED);
  await r3.db.sql('STOP SLAVE');
  await a.db.sql('FLUSH BINARY LOGS');
  await insertAt(a.db, 3);
  const later = await stage.statusIs(
    'less for r3',
    (now) => (headroom(now, 'r3') ?? DAY_SECONDS) < DAY_SECONDS,
    REFRESHED,
  );
  // Until the begin of the next file was read, that of its own counts: a few minutes ago, when the server was started.
  const least = DAY_SECONDS - 600;
  assert.ok((headroom(later, 'r3') ?? 0) >= least, `${headroom(later, 'r3')} is at least ${least}`);
  await stage.statusIs('a whole day for r1', (now) => headroom(now, 'r1') === DAY_SECONDS, REFRESHED);
  const series = [...(await metricsOf(stage)).keys()].filter((one) => one.includes('retention_headroom'));
  assert.ok(
    series.some((one) => one.includes('pod="r1"') && one.includes('member="hci-a"')),
    series.join('\n'),
  );
  const falls = await headroomShown('r3');
  await until(
    'what is scraped goes on falling, while no verdict changes',
    async () => (await headroomShown('r3')) < falls,
  );
  await r3.db.sql('START SLAVE');
  await stage.following('hci-a', 60_000);
});

async function headroomShown(pod: string): Promise<number> {
  const all = [...(await metricsOf(stage))].filter(([name]) => name.includes('retention_headroom'));
  return all.find(([name]) => name.includes(`pod="${pod}"`))?.[1] ?? Number.POSITIVE_INFINITY;
}

test('a replica that filters otherwise than link.filters says is FiltersDiffer and leaves the read Service', async () => {
  const [r1] = stage.bench.replicas;
  assert.ok(r1);
  const filter = async (text: string): Promise<unknown> =>
    r1.db.sql(`STOP SLAVE; SET GLOBAL replicate_wild_ignore_table = '${text}'; START SLAVE`);

  await filter('app.audit%');
  const told = await stage.statusIs('r1 is FiltersDiffer', (now) => reasonsOf(now)['r1'] === 'FiltersDiffer');
  const { message, serving } = told.replicas.find(({ pod }) => pod === 'r1') ?? {};
  assert.match(message ?? '', /Replicate_Wild_Ignore_Table is app\.audit%, link\.filters\.wildIgnoreTable is empty/);
  assert.equal(serving, false);
  assert.deepEqual([reasonsOf(told)['r2'], reasonsOf(told)['r3']], ['Following', 'Following']);

  await stage.patchSpec({ link: { filters: { wildIgnoreTable: ['app.audit%'] } } });
  const declared = { r1: 'Following', r2: 'FiltersDiffer', r3: 'FiltersDiffer' };
  await stage.statusIs('declared, it follows, and the others differ', (now) =>
    isDeepStrictEqual(reasonsOf(now), declared),
  );

  await filter('');
  await stage.patchSpec({ link: null });
  await stage.following('hci-a', 60_000);
});

function reasonsOf({ replicas }: Status): Record<string, string> {
  return Object.fromEntries(replicas.map(({ pod, reason }) => [pod, reason]));
}

function isOf(pod: string) {
  return ({ finding, subject }: Status['findings'][number]): boolean =>
    finding === 'LinkSettingsNotPersistent' && subject === pod;
}

function findsIn(status: Status): (pod: string) => boolean {
  return (pod) => status.findings.some(isOf(pod));
}

async function timeoutOf(db: MariaDbServer): Promise<string | null | undefined> {
  return (await db.row('SELECT @@global.slave_net_timeout AS seconds'))['seconds'];
}

function headroom(status: Status, pod: string): number | undefined {
  return status.replicas.find((one) => one.pod === pod)?.retentionHeadroomSeconds;
}
