import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import type { Member } from '../support/member.ts';
import { movesUnderWrites } from './support/moves.ts';
import { allReached, insertAt } from './support/refusal.ts';
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
