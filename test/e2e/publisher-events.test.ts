// The operator looks once a minute: what tells it that the VIP moves are the events of the publishers. One of them is
// started as the shipped systemd unit starts it, the other one as the shipped docker-compose.yaml does; the servers
// beside them have the shipped mariadb.cnf.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { Writer } from '../support/writer.ts';
import { assertRecorded } from './support/moves.ts';
import { PublisherProcess } from './support/publisher-process.ts';
import { beginPublished } from './support/published-stage.ts';
import type { Stage } from './support/stage.ts';

const ENOUGH = 100;
const PROBE_INTERVAL_MS = 60_000;
/** From the VIP answering at the new holder, which by itself would be seen at the end of the interval. */
const FOLLOWING_MS = 25_000;
let stage: Stage;
let close = async (): Promise<void> => undefined;

before(async () => {
  ({ stage, close } = await beginPublished({ bench: { asShipped: true } }, async ({ bench }, member) =>
    member === bench.a ? PublisherProcess.start(bench, member) : PublisherProcess.startOfCompose(bench, member),
  ));
});
after(async () => close());

test('both members run with the shipped mariadb.cnf', async () => {
  for (const { db, name } of stage.bench.members) {
    const { strict, format } = await db.row('SELECT @@gtid_strict_mode AS strict, @@binlog_format AS format');
    assert.deepEqual([strict, format], ['1', 'ROW'], name);
  }
});

test('a planned move between two looks: the publishers tell of it, and the replicas follow within seconds', async () => {
  const { bench } = stage;
  const { a, b } = bench;
  await stage.following(a.name);
  const generation = await stage.patchSpec({ detection: { probeIntervalMs: PROBE_INTERVAL_MS } });
  await stage.statusIs('the interval is known', ({ observedGeneration }) => observedGeneration === generation);
  const writer = new Writer(bench);
  // Each look that had begun with the interval of before ends meanwhile.
  await writer.writes(ENOUGH, a.name);

  await a.planned();

  await bench.holderIs(b);
  await stage.following(b.name, FOLLOWING_MS);
  await writer.writes(ENOUGH, b.name);
  await writer.stop();
  await assertRight(bench, b);
  const status = await stage.statusIs('it is recorded', ({ handovers }) => handovers[0]?.to === b.name);
  assertRecorded(status, a, b);
});
