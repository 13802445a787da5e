import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import type { Status } from '../../src/api/v1alpha1.ts';
import { assertRight } from '../support/judge.ts';
import type { Member } from '../support/member.ts';
import { Writer } from '../support/writer.ts';
import { begin } from './support/begin.ts';
import { positionings } from './support/modes.ts';
import { assertRecorded, condition } from './support/moves.ts';
import type { Stage } from './support/stage.ts';

/** Longer than every interval of mxr: the status is refreshed and Secrets are read again meanwhile. */
const SILENCE_MS = process.env['MXR_FULL'] === '1' ? 65_000 : 15_000;
let stage: Stage;

for (const { name, options } of positionings()) {
  describe(`the VIP is silent, ${name}`, () => {
    before(async () => {
      stage = await begin(options);
    });
    after(async () => stage.close());

    test('the VIP is silent for long, then the same member takes it again: reads went on, the replicas resume', async () => {
      const { bench } = stage;
      const { a } = bench;
      const before = await stage.following(a.name);
      await isSilent(SILENCE_MS);
      await a.keepalived.start();
      await bench.holderIs(a);

      await stage.following(a.name, 60_000);
      // It answers a moment before its promotion is finished.
      const status = await stage.statusIs('the pair is stable', ({ source }) => source.situation === 'Stable');
      assert.equal(status.following, '3/3');
      assert.deepEqual(lineages(status), lineages(before), 'no new history began');
      await writesOn(a);
      await bench.b.keepalived.start();
    });

    test('the VIP is silent, then the other member takes it: the replicas move there', async () => {
      const { bench } = stage;
      const { a, b } = bench;
      await stage.following(a.name);
      await isSilent(3_000);
      await b.keepalived.start();
      await bench.holderIs(b);

      const status = await stage.following(b.name, 60_000);
      await writesOn(b);
      assertRecorded(await stage.statusIs('it is recorded', ({ handovers }) => handovers[0]?.to === b.name), a, b);
      assert.equal(status.source.situation === 'Stable' || status.source.situation === 'VipMoved', true);
    });
  });
}

/** keepalived ends on both sides: the servers live, nobody has the address. */
async function isSilent(forMs: number): Promise<void> {
  const { bench } = stage;
  const starts = await startTimes();
  const writer = new Writer(bench);
  await writer.writes(50);
  await bench.b.keepalived.stop();
  await bench.a.keepalived.stop();
  await writer.stop();

  const status = await stage.statusIs(
    'the VIP is silent and every replica waits',
    ({ source, replicas }) =>
      source.situation === 'VipSilent' && replicas.every(({ verdict }) => verdict === 'Waiting'),
  );
  assert.equal(condition(status, 'SourceAvailable'), 'False/VipSilent');
  assert.equal(condition(status, 'Ready'), 'False/Waiting');
  assert.equal(condition(status, 'ReplicasIntact'), 'True/Waiting');
  assert.equal(status.holder, '');
  await delay(forMs);
  const after = await stage.status();
  assert.equal(after.source.situation, 'VipSilent');
  assert.deepEqual(
    after.replicas.map(({ verdict, reason, serving }) => ({ verdict, reason, serving })),
    bench.replicas.map(() => ({ verdict: 'Waiting', reason: 'VipSilent', serving: true })),
  );
  assert.deepEqual(await startTimes(), starts, 'no database was restarted');
  const pods = await stage.api.list({ api: 'v1', plural: 'pods', namespace: 'mxr' }, 'mxr.dev/serving=true');
  assert.equal(pods.length, bench.replicas.length, 'every pod stays in the read Service');
}

/** Every replica answers a read, and tells which start of its server that was. */
async function startTimes(): Promise<string[]> {
  const starts = stage.bench.replicas.map(async ({ name, db }) => {
    const row = await db.row('SELECT COUNT(*) >= 0 AS answers FROM app.plain');
    return `${name} ${row['answers']} pid ${db.pid}`;
  });
  return Promise.all(starts);
}

async function writesOn(member: Member): Promise<void> {
  const writer = new Writer(stage.bench);
  await writer.writes(100, member.name);
  await writer.stop();
  await assertRight(stage.bench, member);
}

function lineages(status: Status): unknown {
  return status.source.members.map(({ name, lineage }) => ({ name, lineage }));
}
