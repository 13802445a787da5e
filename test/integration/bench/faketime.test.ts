import assert from 'node:assert/strict';
import { it } from 'node:test';
import { cachedFakeTime, clockOffBy } from '../../support/faketime.ts';
import { startMariaDb } from '../../support/mariadb.ts';
import { openSession } from '../../support/mariadb-sql.ts';
import { enterSandbox } from '../../support/sandbox.ts';

const HOUR_S = 3_600;
/** For a machine that is busy. */
const NEAR_S = 120;

await enterSandbox();
const library = cachedFakeTime();
const skip = library === undefined ? 'this machine cannot have libfaketime' : false;

for (const hours of [1, -1, 0.5]) {
  it(`a database whose clock is ${hours} h off is on time in all else`, { skip }, async () => {
    const db = await startMariaDb({ env: clockOffBy(hours, library ?? '') });
    try {
      const { now } = await db.row('SELECT UNIX_TIMESTAMP() AS now');
      assert.ok(Math.abs(Number(now) - Date.now() / 1000 - hours * HOUR_S) < NEAR_S, `${now}`);
      const { Value: uptime } = await db.row("SHOW GLOBAL STATUS LIKE 'Uptime'");
      assert.ok(Number(uptime) < NEAR_S, 'it does not take the hour for time that it has run');
      const session = await openSession({ name: db.name, user: 'root', socketPath: db.socket }, 2_000);
      await assert.rejects(session.sql('SET max_statement_time = 0.2; SELECT SLEEP(60)', [], 30_000), /max_statement/);
      session.close();
    } finally {
      await db.stop();
    }
  });
}
