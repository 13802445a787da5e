import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertRight } from '../support/judge.ts';
import { slaveStatus } from '../support/link.ts';
import { until } from '../support/wait.ts';
import { inModes } from './support/modes.ts';
import { condition, movesUnderWrites } from './support/moves.ts';

inModes('a frozen primary', (stage) => {
  test('a primary that is frozen: each replica continues on the new member, nothing lost or doubled', async () => {
    const { a, b } = stage().bench;
    await movesUnderWrites(stage(), { from: a, to: b, pause: true, fault: () => a.freeze() });
  });

  test('it wakes, still open for writes, without the VIP: the replicas do not care', async () => {
    const { a, b } = stage().bench;
    // Its keepalived would close it for writes as soon as it wakes.
    await a.keepalived.stop();
    const before = await stage().following(b.name);

    a.thaw();
    await a.db.sql('SET GLOBAL read_only=0');

    const status = await stage().statusIs('the old primary is seen again, open for writes', ({ source }) =>
      source.members.some(({ name, reachable, readOnly }) => name === a.name && reachable && readOnly === false),
    );
    assert.equal(status.source.situation, 'Stable');
    assert.equal(status.following, '3/3');
    assert.deepEqual(status.handovers, before.handovers);
    await assertRight(stage().bench, b);
  });

  test('it writes by itself: that is a split brain; receiving stops, nothing else changes, reads go on', async () => {
    const { bench } = stage();
    const { a } = bench;
    const hosts = await Promise.all(bench.replicas.map(async ({ db }) => (await slaveStatus(db))?.['Master_Host']));
    await a.db.sql("INSERT INTO app.plain VALUES ('of the stale side')");

    const status = await stage().statusIs(
      'the pair is split and every replica frozen',
      ({ source, replicas }) =>
        source.situation === 'SplitBrain' && replicas.every(({ verdict }) => verdict === 'Frozen'),
    );
    assert.equal(condition(status, 'SourceUnambiguous'), 'False/SplitBrain');
    assert.equal(condition(status, 'Ready'), 'False/Frozen');
    await stage().statusIs('reads go on', ({ replicas }) => replicas.every(({ serving }) => serving === true));
    for (const [index, { db, name }] of bench.replicas.entries()) {
      await until(
        `${name} receives nothing any more`,
        async () => (await slaveStatus(db))?.['Slave_IO_Running'] === 'No',
      );
      const link = await slaveStatus(db);
      assert.deepEqual([link?.['Master_Host'], link?.['Slave_SQL_Running']], [hosts[index], 'Yes'], name);
      const strange = await db.sql("SELECT * FROM app.plain WHERE token = 'of the stale side'");
      assert.equal(strange.length, 0, `${name} has nothing of the stale side`);
    }
    const later = await stage().status();
    assert.deepEqual(
      later.replicas.map(({ verdict, reason }) => `${verdict}/${reason}`),
      bench.replicas.map(() => 'Frozen/SplitBrain'),
    );
  });
});
