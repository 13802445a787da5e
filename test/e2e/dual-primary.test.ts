import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Status } from '../../src/api/v1alpha1.ts';
import { assertRight } from '../support/judge.ts';
import { linkState, ownPosition } from '../support/link.ts';
import type { Member } from '../support/member.ts';
import { condition, movesUnderWrites } from './support/moves.ts';
import { allReached, insertAt, remember } from './support/refusal.ts';
import { assertFrozen, endedByProof, frozenWithinBound } from './support/split.ts';
import type { StageOptions } from './support/stage.ts';
import { Stage } from './support/stage.ts';
import { Telling } from './support/telling.ts';

// Two primaries, each following the other and logging what it applies, with odd and even auto-increment. What the one
// without the VIP writes is taken in by the holder and reaches the replicas through it.
const OWN_DOMAINS = { name: 'each with a GTID domain of its own', domains: [1, 2], readOnly: false };
const MODES = [
  OWN_DOMAINS,
  ...(process.env['MXR_FULL'] === '1'
    ? [
        { name: 'in one GTID domain', domains: [0, 0], readOnly: false },
        { name: 'the one without the VIP read-only', domains: [1, 2], readOnly: true },
      ]
    : []),
] as const;
/** As such sites have them: what does not fit is skipped, and one database is left out of the binlog. */
const RISKY = { 'slave-skip-errors': 'all', 'binlog-ignore-db': 'scratch' } as const;

for (const mode of MODES) {
  describe(`dual primary, ${mode.name}`, () => {
    let stage: Stage;
    before(async () => {
      stage = await Stage.open(optionsOf(mode));
      await stage.startOperator();
      await stage.createResource();
    });
    after(async () => stage.close());

    test('the one without the VIP writes: no split, the replicas get it through the holder', async () => {
      const { a, b } = stage.bench;
      await stage.following(a.name);
      await peerWrites(stage, a, b);
      await assertCalm(stage, a);
    });

    test('errors that are skipped and a database that is not logged are found on both members', async () => {
      const { bench } = stage;
      for (const { db, name } of bench.members) {
        const before = await ownPosition(db);
        await db.sql('CREATE DATABASE scratch; USE scratch; CREATE TABLE t (n INT); INSERT INTO t VALUES (1)');
        assert.deepEqual(await ownPosition(db), before, `${name} logs nothing of that database`);
      }
      const { findings } = await stage.statusIs('both findings of both members stand', (status) =>
        bench.members.every(
          ({ name }) => found(status, 'SlaveSkipErrors', name) && found(status, 'MemberFilters', name),
        ),
      );
      for (const { name } of bench.members) {
        const told = findings.filter(({ subject }) => subject === name).map(({ message }) => message);
        assert.match(told.join(), /slave_skip_errors=/);
        assert.match(told.join(), /binlog_ignore_db=scratch/);
      }
      await assertCalm(stage, bench.a);
    });

    test('a planned move while both write: each replica continues, nothing lost or doubled', async () => {
      const { a, b } = stage.bench;
      const fault = async () => {
        const unlogged = Promise.all([a, b].map(({ db }) => db.sql('USE scratch; INSERT INTO t SELECT * FROM t')));
        await Promise.all([insertAt(b.db, 300), a.planned(), unlogged]);
      };
      await movesUnderWrites(stage, { from: a, to: b, fault });
      await a.keepalived.start();
      await peerWrites(stage, b, a);
      await assertCalm(stage, b);
    });

    test('kill -9 of the holder: each replica continues on the other, nothing lost or doubled', async () => {
      const { a, b } = stage.bench;
      await movesUnderWrites(stage, { from: b, to: a, pause: true, fault: async () => b.kill9() });
      await b.db.start();
      await peerWrites(stage, a, b);
      await assertCalm(stage, a);
    });

    test('the link from the holder to the other one is broken: a finding that names it, and no split', async () => {
      const { a, b } = stage.bench;
      const telling = new Telling(stage);
      await b.db.sql('STOP SLAVE IO_THREAD');
      await insertAt(a.db, 3);
      const broken = await stage.statusIs('it is found', (status) => found(status, 'StandbyNotApplying', b.name));
      assert.match(messageOf(broken, 'StandbyNotApplying'), new RegExp(`${b.name} does not receive from ${a.address}`));
      assert.equal(condition(broken, 'FailoverReady'), 'False/StandbyNotApplying');
      await allReached(stage.bench, stage.bench.replicas, a.db);
      await b.db.sql('START SLAVE IO_THREAD');
      await stage.statusIs('it is mended', (status) => !found(status, 'StandbyNotApplying', b.name));
      await telling.stop();
      assertNoSplit(telling);
      await peerWrites(stage, a, b);
      await assertCalm(stage, a);
    });

    test('the link from the other one to the holder is broken: a finding that names it, and no split', async () => {
      const { a, b } = stage.bench;
      const telling = new Telling(stage);
      await a.db.sql('STOP SLAVE IO_THREAD');
      await insertAt(a.db, 3);
      const broken = await stage.statusIs('it is found', (status) => found(status, 'PeerLinkBroken', a.name));
      assert.match(messageOf(broken, 'PeerLinkBroken'), new RegExp(`the link of ${a.name} to ${b.name} is broken`));
      assert.equal(condition(broken, 'FailoverReady'), 'False/PeerLinkBroken');
      await allReached(stage.bench, stage.bench.replicas, a.db);
      await a.db.sql('START SLAVE IO_THREAD');
      await stage.statusIs('it is mended', (status) => !found(status, 'PeerLinkBroken', a.name));
      await telling.stop();
      assertNoSplit(telling);
      await peerWrites(stage, a, b);
      await assertCalm(stage, a);
    });

    if (!mode.readOnly) {
      test('the connection between the two is half-open and both write: frozen within the bound, ended by proof', async (t) => {
        const { bench } = stage;
        const { a, b } = bench;
        await a.db.sql('STOP SLAVE; SET GLOBAL slave_net_timeout = 60; START SLAVE');
        await peerWrites(stage, a, b);
        const heal = await a.host.drop({ direction: 'in', peer: b.address, port: bench.vip.port });
        const wrote = insertAt(b.db, 1);
        const status = await frozenWithinBound(t, stage, async () => wrote);
        assert.match(await linkState(a.db), /IO=Yes SQL=Yes/, 'MariaDB itself notices nothing');
        await assertFrozen(stage, status);
        const untouched = await remember(bench.replicas);
        await insertAt(a.db, 3);
        await untouched();

        await heal();
        await endedByProof(stage, a, 120_000);
        await peerWrites(stage, a, b);
        await assertCalm(stage, a);
      });
    }
  });
}

function optionsOf({ domains, readOnly }: (typeof MODES)[number]): StageOptions {
  const [first, second] = domains.map((domain, index) => ({
    server: { 'gtid-domain-id': domain, 'auto-increment-increment': 2, 'auto-increment-offset': index + 1, ...RISKY },
  }));
  return {
    bench: { pair: 'dual', readOnly, ...(first && second ? { a: first, b: second } : {}) },
    spec: { source: { topology: 'DualPrimary' } },
  };
}

function found({ findings }: Status, name: string, subject: string): boolean {
  return findings.some((one) => one.finding === name && one.subject === subject);
}

function messageOf({ findings }: Status, name: string): string {
  return findings.find(({ finding }) => finding === name)?.message ?? '';
}

/** Whatever was told meanwhile. */
function assertNoSplit({ told }: Telling): void {
  assert.notEqual(told.length, 0);
  for (const { status } of told) {
    assert.equal(status.source.situation, 'Stable', status.source.message);
    assert.deepEqual(new Set(status.replicas.map(({ verdict }) => verdict)), new Set(['Following']));
  }
}

/** Rows written at the member without the VIP, between and after rows of the holder. */
async function peerWrites({ bench }: Stage, holder: Member, peer: Member): Promise<void> {
  for (const { db } of [peer, holder, peer]) {
    await insertAt(db, 3);
    await bench.follows(peer.db, holder.db);
    await bench.follows(holder.db, peer.db);
  }
  await allReached(bench, bench.replicas, holder.db);
}

async function assertCalm(stage: Stage, holder: Member): Promise<void> {
  await assertRight(stage.bench, holder);
  const status = await stage.following(holder.name);
  assert.equal(status.source.situation, 'Stable');
  assert.equal(status.source.split, undefined);
  assert.deepEqual(
    status.replicas.map(({ verdict }) => verdict),
    stage.bench.replicas.map(() => 'Following'),
  );
}
