import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { linkState } from '../support/link.ts';
import type { Member } from '../support/member.ts';
import { movesUnderWrites } from './support/moves.ts';
import { allReached, insertAt, remember } from './support/refusal.ts';
import { allFrozen, assertFrozen, endedByProof } from './support/split.ts';
import type { StageOptions } from './support/stage.ts';
import { Stage } from './support/stage.ts';

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
/** 2 x probeIntervalMs + probeTimeoutMs + 1 s, as the stage configures them. */
const BOUND_MS = 2 * 250 + 1000 + 1000;
/** The machine runs the whole pair, the cluster and all replicas on few cores, and other benches beside them. */
const SLOW_MACHINE = 10;

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

    test('a planned move while both write: each replica continues, nothing lost or doubled', async () => {
      const { a, b } = stage.bench;
      const fault = async () => {
        await Promise.all([insertAt(b.db, 300), a.planned()]);
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

    if (!mode.readOnly) {
      test('the connection between the two is half-open and both write: frozen within the bound, ended by proof', async (t) => {
        const { bench } = stage;
        const { a, b } = bench;
        await a.db.sql('STOP SLAVE; SET GLOBAL slave_net_timeout = 60; START SLAVE');
        await peerWrites(stage, a, b);
        const heal = await a.host.drop({ direction: 'in', peer: b.address, port: bench.vip.port });
        await insertAt(b.db, 1);
        const since = performance.now();
        const status = await stage.statusIs('every replica is frozen', allFrozen);
        const tookMs = Math.round(performance.now() - since);
        t.diagnostic(`frozen ${tookMs} ms after the write, bound ${BOUND_MS} ms`);
        assert.ok(tookMs < BOUND_MS * SLOW_MACHINE, `frozen after ${tookMs} ms`);
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
    server: { 'gtid-domain-id': domain, 'auto-increment-increment': 2, 'auto-increment-offset': index + 1 },
  }));
  return {
    bench: { pair: 'dual', readOnly, ...(first && second ? { a: first, b: second } : {}) },
    spec: { source: { topology: 'DualPrimary' } },
  };
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
