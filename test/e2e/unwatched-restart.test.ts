import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Status } from '../../src/api/v1alpha1.ts';
import { assertRight } from '../support/judge.ts';
import { snapshotData } from '../support/clone.ts';
import { slaveStatus } from '../support/link.ts';
import { until } from '../support/wait.ts';
import { Writer } from '../support/writer.ts';
import type { StageOptions } from './support/stage.ts';
import { Stage } from './support/stage.ts';
import { noteVerdicts } from './support/told.ts';

// The holder restarts while mxr is down: nothing moves, MariaDB's own reconnect carries every replica on. A replica that
// is accused of a lost tail where none was lost is as bad as one that is not.
const SOURCE = { readOnly: false, fall: 10 } as const;
const GTID: StageOptions = { bench: SOURCE };
const FILE: StageOptions = {
  bench: { ...SOURCE, replicas: { link: 'file', server: { 'skip-slave-start': 1 } } },
  spec: { link: { positioning: 'FilePosition' } },
};
const MODES: readonly (readonly [string, StageOptions])[] =
  process.env['MXR_FULL'] === '1'
    ? [
        ['by GTID', GTID],
        ['by file and position', FILE],
      ]
    : [['by GTID', GTID]];

for (const [mode, options] of MODES) {
  describe(`the holder restarts while nobody watches, ${mode}`, () => {
    let stage: Stage;

    before(async () => {
      stage = await Stage.open(options);
      if (mode === 'by GTID') await withoutBinlog(stage);
      await stage.startOperator();
      await stage.createResource();
    });
    after(async () => stage.close());

    test('it restarts cleanly under writes: every replica is Following again, none is accused meanwhile', async () => {
      await restartsUnwatched(stage, async () => stage.bench.a.db.restart());
    });

    test('it is killed and loses nothing: every replica is Following again, none is accused meanwhile', async () => {
      await restartsUnwatched(stage, async () => {
        await stage.bench.a.kill9();
        await stage.bench.a.db.start();
      });
    });

    test(
      'it loses its tail, and MariaDB goes on over that: no replica is believed',
      { skip: mode !== 'by GTID' },
      async () => {
        await losesTailUnwatched(stage);
      },
    );
  });
}

/** One of the replicas keeps no log of what it applies: its relay log has to tell. By file and position it cannot. */
async function withoutBinlog({ bench }: Stage): Promise<void> {
  const last = bench.replicas.at(-1);
  assert.ok(last);
  await last.db.restart({ 'log-slave-updates': false });
  await last.db.sql('START SLAVE');
  await bench.follows(last.db, bench.a.db);
}

async function restartsUnwatched(stage: Stage, restart: () => Promise<void>): Promise<void> {
  const { bench } = stage;
  const before = holderOf(await stage.following('hci-a'));
  const writer = new Writer(bench);
  await writer.writes(200, 'hci-a');
  await stage.operator.kill9();

  await restart();

  await writer.writes(200, 'hci-a');
  await Promise.all(
    bench.replicas.map(async ({ name, db }) =>
      until(`${name} replicates again by itself`, async () => (await slaveStatus(db))?.['Slave_IO_Running'] === 'Yes'),
    ),
  );
  await stage.startOperator();
  await stage.statusIs('the restart is seen', (status) => holderOf(status)?.startedAt !== before?.startedAt);
  const verdicts = noteVerdicts(stage);
  const status = await stage.statusIs(
    'its history is proven to go on, and every replica follows',
    (one) => one.following === '3/3' && holderOf(one)?.inQuestion !== true,
  );
  const told = await verdicts.end();
  await writer.stop();
  await assertRight(bench, bench.a);
  for (const [pod, seen] of told) {
    const accusations = [...seen].filter((one) => !HARMLESS.has(one.split('/')[0] ?? ''));
    assert.deepEqual(accusations, [], `${pod} was accused`);
  }
  assert.equal(holderOf(status)?.lineage, before?.lineage, 'the same history goes on');
}

/** The lost transactions are the first that a new binlog file had, so the relay logs begin with their numbers too. */
async function losesTailUnwatched(stage: Stage): Promise<void> {
  const { bench } = stage;
  await stage.following('hci-a');
  const writer = new Writer(bench, { mix: 'equal' });
  await writer.writes(20, 'hci-a');
  await stage.operator.kill9();
  await bench.a.db.sql('FLUSH BINARY LOGS');
  const restore = await snapshotData(bench.a.db);
  await writer.writes(8, 'hci-a');
  await bench.a.kill9();
  await restore();
  await bench.a.db.start();
  await writer.writes(50, 'hci-a');
  for (const { name, db } of bench.replicas) {
    await until(`${name} goes on`, async () => {
      const status = await slaveStatus(db);
      if (status?.['Slave_IO_Running'] === 'No') await db.sql('START SLAVE');
      return status?.['Slave_IO_Running'] === 'Yes' && status['Slave_SQL_Running'] === 'Yes';
    });
  }
  await writer.writes(20, 'hci-a');
  await writer.stop();

  await stage.startOperator();

  const { replicas } = await stage.statusIs('no replica is believed', (status) =>
    status.replicas.every(({ verdict, serving }) => ['Diverged', 'Unproven'].includes(verdict) && !serving),
  );
  const told = replicas.map(({ verdict, reason }) => `${verdict}/${reason}`);
  assert.deepEqual(told, ['Diverged/Diverged', 'Diverged/Diverged', 'Unproven/NotComparable']);
}

const HARMLESS: ReadonlySet<string> = new Set(['Following', 'CatchingUp', 'Waiting', 'HandingOver']);

function holderOf({ source }: Status): Status['source']['members'][number] | undefined {
  return source.members.find(({ name }) => name === 'hci-a');
}
