import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { formatGtid } from '../../../src/domain/gtid.ts';
import type { DumpLimits } from '../../../src/sql/binlog/dump.ts';
import type { Transaction } from '../../../src/sql/binlog/transactions.ts';
import { walkGtid } from '../../../src/sql/binlog/walk.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { WORKLOAD } from '../mariadb/workload.ts';
import { type VersionName, caughtUp, follow, prepareVersions, serverOf, targetOf } from './servers.ts';
import { MORE, ONLY_THERE } from './workloads.ts';

const versions = await prepareVersions();
const LIMITS: DumpLimits = { deadlineMs: 10_000, maxBytes: 64 * 1024 * 1024 };
const COMPRESSED = { 'log-bin-compress': true, 'log-bin-compress-min-len': 10, 'binlog-checksum': 'NONE' };

async function transactionsOf(server: MariaDbServer): Promise<readonly Transaction[]> {
  const bounds = { gtid: '', strict: true, through: null, firstOnly: false };
  // On a replica it needs REPLICATION SLAVE too, which its account has.
  const user = server.serverId === 1 ? 'mxr_repl' : 'mxr_replica';
  const { transactions, truncated } = await walkGtid(targetOf(server, user), bounds, LIMITS);
  assert.equal(truncated, null);
  return transactions;
}

/** All but the summary, which shows what each server wrote. */
function comparable(transaction: Transaction | undefined): unknown {
  if (transaction === undefined) return undefined;
  const { gtid, timestamp, content } = transaction;
  const { kind, digest, tables } = content;
  return { gtid: formatGtid(gtid), timestamp, kind, digest, tables };
}

function shown({ gtid, content }: Transaction): string {
  return `${formatGtid(gtid)} ${content.kind} ${content.summary}`;
}

/** A newer replica of an older source, as MariaDB supports it, and each version with itself. */
const PAIRS: readonly (readonly [VersionName, readonly VersionName[]])[] = [
  ['10.5', ['10.5', 'own', '11.8']],
  ['own', ['11.8']],
  ['11.8', ['11.8']],
];

for (const [of, replicas] of PAIRS) {
  for (const format of ['MIXED', 'ROW'] as const) {
    const skip = [of, ...replicas].map((name) => versions[name].skip).find((why) => why !== false) ?? false;
    describe(`content of ${format} transactions of ${of}`, { timeout: 180_000, skip }, () => {
      let primary: MariaDbServer;
      const followers: MariaDbServer[] = [];

      before(async () => {
        const server = { 'binlog-format': format };
        primary = await serverOf(versions[of], 'member', { name: `${format}-${of}`, serverId: 1, server });
        for (const [index, name] of replicas.entries()) {
          for (const more of [{}, COMPRESSED]) {
            const serverId = 10 * (index + 1) + followers.length;
            const options = { name: `${format}-${of}-${name}-${serverId}`, serverId, server: { ...server, ...more } };
            followers.push(await serverOf(versions[name], 'replica', options));
          }
        }
        for (const replica of followers) await follow(replica, primary);
        for (const statements of [WORKLOAD, MORE, ONLY_THERE[of]]) await primary.sql(statements);
      });
      after(async () => {
        for (const server of [primary, ...followers]) await server.stop();
      });

      test('is equal on every replica, of whichever version: time, kind and digest', async () => {
        const there = await transactionsOf(primary);
        assert.ok(there.length > 30);
        for (const replica of followers) {
          await caughtUp(replica, primary);
          const here = await transactionsOf(replica);
          const different = here.filter((one, index) => !isDeepStrictEqual(comparable(one), comparable(there[index])));
          assert.deepEqual(different.map(shown), [], `${replica.name} has other content`);
          assert.equal(here.length, there.length);
        }
      });
    });
  }
}
