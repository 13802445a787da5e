import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import { condition, movesUnderWrites } from './support/moves.ts';
import { Stage } from './support/stage.ts';

// The standby follows by GTID, does not log what it applies, and forgets the old primary when it is promoted.
let stage: Stage;

before(async () => {
  stage = await Stage.open({ bench: { server: { 'log-slave-updates': 0 }, resetSlaveAll: true } });
  await stage.startOperator();
  await stage.createResource();
});
after(async () => stage.close());

function placeOf(link: Awaited<ReturnType<typeof slaveStatus>>): unknown[] {
  return ['Master_Host', 'Using_Gtid', 'Gtid_IO_Pos'].map((name) => link?.[name]);
}

test('a planned move to a standby that forgets its primary: each replica goes on at the takeover point', async () => {
  const { a, b } = stage.bench;
  await movesUnderWrites(stage, {
    from: a,
    to: b,
    mix: 'equal',
    proof: 'TakeoverPoint',
    fault: async () => a.planned(),
  });
});

test('and back, the other one being the standby now', async () => {
  const { a, b } = stage.bench;
  await stage.bench.rejoin(a, 'keep');
  await movesUnderWrites(stage, { from: b, to: a, proof: 'TakeoverPoint', fault: async () => b.planned() });
});

test('kill -9 of the primary, with the operator killed at the same moment', async () => {
  const { a, b } = stage.bench;
  await stage.bench.rejoin(b, 'keep');
  await movesUnderWrites(stage, {
    from: a,
    to: b,
    pause: true,
    proof: 'TakeoverPoint',
    fault: async () => {
      await Promise.all([a.kill9(), stage.operator.kill9()]);
      await stage.startOperator();
    },
  });
});

test('writes on a standby are no history of the pair: named before the night, refused in it, cured by the way back', async () => {
  const { bench } = stage;
  const { a, b, replicas } = bench;
  await stage.following(b.name);
  // Had it seen the clone before it was written to, it would know that nobody watched that.
  await stage.operator.stop();
  await bench.rejoin(a, 'clone');
  await a.db.sql('CREATE DATABASE errant; CREATE TABLE errant.t (x INT); INSERT INTO errant.t VALUES (1)');
  const errant = (await a.db.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'] ?? '';
  await stage.startOperator();
  await stage.statusIs(
    'the audit lists what the standby wrote, and its own history is known',
    (status) =>
      condition(status, 'FailoverReady').startsWith('False/StandbyOwn') &&
      status.source.members[0]?.lastStandby !== undefined &&
      status.following === '3/3',
  );
  const links = await Promise.all(replicas.map(({ db }) => slaveStatus(db)));

  await b.planned();

  const refused = await stage.statusIs(
    'every replica is unproven',
    (status) => status.replicas.every(({ verdict }) => verdict === 'Unproven'),
    60_000,
  );
  for (const replica of refused.replicas) {
    assert.equal(replica.reason, 'NotPrefix');
    assert.ok(replica.message.includes(errant), `${replica.message} does not list ${errant}`);
  }
  const after = await Promise.all(replicas.map(({ db }) => slaveStatus(db)));
  assert.deepEqual(after.map(placeOf), links.map(placeOf));

  await b.keepalived.start();
  await a.planned();
  await stage.following(b.name, 60_000);
  await assertRight(bench, b);
});
