import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { lookAtServer } from '../../../src/observe/look.ts';
import { connectSql } from '../../../src/sql/connection.ts';
import type { SqlSession } from '../../../src/sql/port.ts';
import { type MariaDbServer, startMariaDb } from '../../support/mariadb.ts';
import { openSession } from '../../support/mariadb-sql.ts';
import { enterSandbox } from '../../support/sandbox.ts';
import { createAccount, LOOK_GRANTS, targetOf } from './servers.ts';

await enterSandbox();
const LOOK_EVERY_MS = 50;
const PHASE_MS = 1_500;
const BINLOG_FILES = 200;

/** Generous: the machine is shared. A look that held the log's lock while it works would stall commits far longer. */
const MOST_MS = 250;

describe('looks at a source that is being written to', { timeout: 120_000 }, () => {
  let server: MariaDbServer;
  let session: SqlSession;

  before(async () => {
    server = await startMariaDb({ name: 'busy', serverId: 1 });
    await createAccount(server, 'mxr_look', LOOK_GRANTS);
    await server.sql('CREATE DATABASE d; CREATE TABLE d.t (a INT) ENGINE=InnoDB');
    // Every file is opened by SHOW BINARY LOGS.
    for (let file = 0; file < BINLOG_FILES; file += 1) await server.sql('FLUSH BINARY LOGS');
    session = await connectSql(targetOf(server, 'mxr_look'), { deadlineMs: 5_000 });
  });
  after(() => server.stop());

  async function look(files: boolean): Promise<void> {
    const seen = await lookAtServer(session, { clock: systemClock, deadlineMs: 5_000, files, previousFiles: [] });
    if (files) assert.equal(seen.files.length, BINLOG_FILES + 1);
  }

  /** Latency of each commit in ms, one after the other, sorted. */
  async function commitLatencies(ms: number): Promise<number[]> {
    const writer = await openSession({ name: server.name, user: 'root', socketPath: server.socket });
    const latencies: number[] = [];
    for (const end = performance.now() + ms; performance.now() < end;) {
      const begin = performance.now();
      await writer.sql('INSERT INTO d.t VALUES (1)');
      latencies.push(performance.now() - begin);
    }
    writer.close();
    return latencies.sort((a, b) => a - b);
  }

  async function lookFor(ms: number, files: boolean): Promise<void> {
    for (const end = performance.now() + ms; performance.now() < end;) {
      await look(files);
      await new Promise((resolve) => {
        setTimeout(resolve, LOOK_EVERY_MS);
      });
    }
  }

  function describeLatencies(what: string, sorted: number[]): string {
    const at = (q: number): string => (sorted[Math.ceil(q * sorted.length) - 1] ?? 0).toFixed(2);
    return `${what}: ${sorted.length} commits, p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, max ${at(1)} ms`;
  }

  test('do not stall the commits, with the binlog files and without', async (context) => {
    await commitLatencies(300);
    const alone = await commitLatencies(PHASE_MS);
    const [looked] = await Promise.all([commitLatencies(PHASE_MS), lookFor(PHASE_MS, false)]);
    const [listed] = await Promise.all([commitLatencies(PHASE_MS), lookFor(PHASE_MS, true)]);
    context.diagnostic(describeLatencies('alone', alone));
    context.diagnostic(describeLatencies('20 looks/s', looked));
    context.diagnostic(describeLatencies(`20 looks/s with ${BINLOG_FILES} files`, listed));
    for (const latencies of [looked, listed]) {
      assert.ok(latencies.length > 100, 'it wrote');
      const most = latencies.at(-1) ?? 0;
      assert.ok(most < Math.max(MOST_MS, 3 * (alone.at(-1) ?? 0)), describeLatencies('with looks', latencies));
    }
  });

  test('are answered while a backup holds the global read lock', async () => {
    const backup = await openSession({ name: server.name, user: 'root', socketPath: server.socket });
    await backup.sql('FLUSH TABLES WITH READ LOCK');
    await look(true);
    backup.close();
  });
});
