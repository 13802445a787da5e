import assert from 'node:assert/strict';
import { after, describe, it } from 'node:test';
import { createBench } from '../../support/bench.ts';
import { snapshotData } from '../../support/clone.ts';
import { assertRight, judge } from '../../support/judge.ts';
import { attach } from '../../support/link.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { until } from '../../support/wait.ts';
import { Writer } from '../../support/writer.ts';

await enterSandbox();
const WRITES = 50;
const bench = await createBench({ server: { 'slave-net-timeout': 2 } });
after(() => bench.close());
const writer = new Writer(bench, { mix: 'equal' });
await writer.writes(WRITES, 'hci-a');
await writer.stop();
const [r1, r2, r3] = bench.replicas;
assert.ok(r1 !== undefined && r2 !== undefined && r3 !== undefined);

async function findings(holder = bench.a): Promise<string[]> {
  const judgements = await judge(bench, holder, { settleMs: 0 });
  return judgements.map((judgement) => judgement.findings.join('; '));
}

describe('the judge', () => {
  it('finds nothing wrong with replicas that are right', async () => {
    await assertRight(bench, bench.a);
  });

  it('misses no row that is gone, doubled or changed', async () => {
    await r1.db.sql('SET sql_log_bin=0; DELETE FROM app.plain LIMIT 1');
    await r2.db.sql('SET sql_log_bin=0; INSERT INTO app.plain SELECT token FROM app.plain LIMIT 1');
    await r3.db.sql('SET sql_log_bin=0; UPDATE app.hot SET changes = changes + 1 WHERE id = 7');
    const [first = '', second = '', third = ''] = await findings();
    assert.match(first, /^table plain: 1 rows missing \(\S+\), 0 rows too many \(\)$/);
    assert.match(second, /^table plain: 0 rows missing \(\), 1 rows too many \(\S+\)$/);
    assert.match(third, /^table hot: 1 rows missing \(7:0:\), 1 rows too many \(7:1:\)$/);
    await assert.rejects(assertRight(bench, bench.a, 0), /r1 is wrong: .*\nr2 is wrong: .*\nr3 is wrong: /);
    await r3.db.sql('SET sql_log_bin=0; UPDATE app.hot SET changes = changes - 1 WHERE id = 7');
  });

  it('sees that a replica is fed by another server than the holder, or not at all', async () => {
    const gtid = (await r3.db.row('SELECT @@gtid_slave_pos AS gtid'))['gtid'] ?? '';
    const { replication: account } = bench.accounts;
    const from = { gtid, file: '', position: 0 };
    await attach(r3.db, { host: bench.b.address, port: bench.vip.port, account, mode: 'gtid', from });
    await until('hci-b feeds r3', async () => (await findings())[2]?.includes('hci-b feeds it'));
    assert.match((await findings())[2] ?? '', /^hci-a has no dump connection from it; hci-b feeds it$/);
    await r3.db.sql('STOP SLAVE IO_THREAD');
    await until('nobody feeds r3', async () => !(await findings())[2]?.includes('hci-b feeds it'));
    assert.match((await findings())[2] ?? '', /^IO thread No, SQL thread Yes; hci-a has no dump connection from it$/);
  });

  it('sees a lost tail: a snapshot put back after a crash', async () => {
    const putBack = await snapshotData(bench.a.db);
    await bench.a.db.sql("INSERT INTO app.plain VALUES ('lost')");
    await until(
      'r2 has the row',
      async () => (await r2.db.sql("SELECT 1 FROM app.plain WHERE token='lost'")).length > 0,
    );
    await bench.a.keepalived.stop();
    await bench.a.kill9();
    await putBack();
    await bench.a.db.start();
    assert.match((await findings())[1] ?? '', /table plain: 0 rows missing \(\), 2 rows too many \([^)]*lost[^)]*\)/);
  });
});
