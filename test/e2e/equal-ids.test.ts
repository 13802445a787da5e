import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { movesUnderWrites } from './support/moves.ts';
import { allReached, insertAt, remember } from './support/refusal.ts';
import { Stage } from './support/stage.ts';

// Both members have the same server_id and the same host name, as copies of one virtual machine have. Such a standby cannot
// log what it applies (MariaDB refuses to start), so the takeover point is what proves; numbers under one id prove nothing.
const MODES =
  process.env['MXR_FULL'] === '1'
    ? ([
        { through: 'Auto', standbyLink: 'file' },
        { through: 'VIP', standbyLink: 'file' },
        { through: 'Auto', standbyLink: 'gtid' },
        { through: 'VIP', standbyLink: 'gtid' },
      ] as const)
    : ([{ through: 'Auto', standbyLink: 'file' }] as const);

for (const { through, standbyLink } of MODES) {
  describe(`equal server ids and host names, standby by ${standbyLink}, links through ${through}`, () => {
    let stage: Stage;
    before(async () => {
      stage = await Stage.open({
        bench: {
          hostname: 'db',
          standbyLink,
          server: { 'log-slave-updates': 0, 'replicate-same-server-id': 1, 'skip-slave-start': 1 },
          b: { serverId: 1 },
        },
        spec: { link: { through } },
      });
      await stage.startOperator();
      await stage.createResource();
    });
    after(async () => stage.close());

    test('a planned move of equal-size transactions, and back', async () => {
      const { a, b } = stage.bench;
      const move = { mix: 'equal', proof: 'TakeoverPoint' } as const;
      await movesUnderWrites(stage, { ...move, from: a, to: b, fault: async () => a.planned() });
      await stage.bench.rejoin(a, 'keep');
      await movesUnderWrites(stage, { ...move, from: b, to: a, fault: async () => b.planned() });
      await stage.bench.rejoin(b, 'keep');
    });

    test('kill -9 of the holder', async () => {
      const { a, b } = stage.bench;
      const proof = 'TakeoverPoint';
      await movesUnderWrites(stage, { from: a, to: b, proof, pause: true, fault: async () => a.kill9() });
      await stage.bench.rejoin(a, 'clone');
    });

    test('the same numbers with other content on the new holder: Diverged, both sides shown', async () => {
      const { bench } = stage;
      const { a, b } = bench;
      await stage.following(b.name);
      await insertAt(b.db, 3);
      await allReached(bench, bench.replicas, b.db);
      await bench.follows(a.db, b.db);
      await a.db.sql('STOP SLAVE IO_THREAD');
      await insertAt(b.db, 2);
      await allReached(bench, bench.replicas, b.db);
      const reused = (await b.db.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'] ?? '';
      const untouched = await remember(bench.replicas);

      await b.powerOff();
      await bench.holderIs(a);
      await insertAt(a.db, 4);

      const status = await stage.statusIs(
        'no replica attaches',
        ({ replicas, holder }) =>
          holder === a.name &&
          replicas.every(({ verdict, transactions }) => verdict === 'Diverged' && transactions?.count === 2),
        60_000,
      );
      for (const { transactions, message } of status.replicas) {
        assert.deepEqual([transactions?.gtids.at(-1), transactions?.atLeast], [reused, true]);
        assert.match(message, /not the same transaction on both sides. On hci-a: .* On r\d: /);
      }
      await untouched();

      await b.powerOn();
      await a.planned();
      await bench.holderIs(b);
      await stage.following(b.name, 60_000);
      await insertAt(b.db, 3);
      await assertRight(bench, b);
    });
  });
}
