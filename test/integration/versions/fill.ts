import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { parsePosition } from '../../../src/domain/gtid.ts';
import { publishedFiles } from '../../../src/publisher/binlog-source.ts';
import { createMetrics } from '../../../src/ops/metrics.ts';
import { startPublisherServer } from '../../../src/publisher/server.ts';
import type { BinlogFiles } from '../../../src/sql/binlog/files.ts';
import { proveRange } from '../../../src/sql/binlog/prove-range.ts';
import type { BinlogRange, RangeAnswer } from '../../../src/sql/binlog/range.ts';
import { type BinlogSource, type Offer, type OfferOptions, startBinlogSource } from '../../../src/sql/source/server.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import type { Row } from '../../support/mariadb-sql.ts';
import { until } from '../../support/wait.ts';
import { collectingLog, coordinates } from '../../unit/publisher/fixture.ts';
import { ADDRESS } from './servers.ts';

const TOKEN = 'f2a9-a-token-of-the-test-71c3';
export const NEVER = new AbortController().signal;

/** The files of a server through a publisher of its host. */
export async function filesOf(t: TestContext, server: MariaDbServer): Promise<BinlogFiles> {
  const publisher = await startPublisherServer({
    listen: { host: '127.0.0.1', port: 0 },
    token: TOKEN,
    tls: null,
    binlog: { directory: server.datadir, baseName: `${server.name}-bin`, bytesPerSecond: 1e9 },
    coordinates: () => coordinates(),
    journal: { page: () => Promise.resolve({ entries: [], next: null, damage: [] }) },
    onChange: () => () => undefined,
    live: () => ({ ok: true, detail: 'alive' }),
    metrics: createMetrics({ processMetrics: false }),
    clock: systemClock,
    log: collectingLog().log,
  });
  t.after(() => publisher.close());
  return publishedFiles({ name: server.name, url: `http://127.0.0.1:${publisher.port}`, token: TOKEN, ca: null });
}

export async function sourceFor(t: TestContext): Promise<BinlogSource> {
  const source = await startBinlogSource({
    listen: { host: ADDRESS, port: 0 },
    clock: systemClock,
    log: collectingLog().log,
  });
  t.after(() => source.close());
  return source;
}

export function ask(
  files: BinlogFiles,
  server: MariaDbServer,
  { from, upTo }: { readonly from: string; readonly upTo: string },
): Promise<RangeAnswer> {
  const position = (text: string) => parsePosition(text) ?? assert.fail(text);
  const places = { from: position(from), until: position(upTo), fromAt: null, untilAt: null };
  return proveRange(files, { ...places, serverId: server.serverId, remembered: [] }, NEVER);
}

export async function rangeOf(...asked: Parameters<typeof ask>): Promise<BinlogRange> {
  const answer = await ask(...asked);
  return answer.kind === 'Range' ? answer.range : assert.fail(answer.message);
}

export function offerTo(
  source: BinlogSource,
  files: BinlogFiles,
  range: BinlogRange,
  more: Partial<OfferOptions> = {},
): Offer {
  return source.offer({ files, range, replica: ADDRESS, lifeMs: 60_000, signal: NEVER, ...more });
}

export async function gtidOf(server: MariaDbServer, variable: 'gtid_binlog_pos' | 'gtid_slave_pos'): Promise<string> {
  return (await server.row(`SELECT @@${variable} AS gtid`))['gtid'] ?? '';
}

export interface Dialled {
  readonly port: number;
  readonly user: string;
  readonly password: string;
  readonly upTo: string | null;
}

/** Begins to fill: from there, up to there. */
export async function dial(replica: MariaDbServer, { port, user, password, upTo }: Dialled): Promise<void> {
  await replica.sql(
    `STOP SLAVE; CHANGE MASTER TO MASTER_HOST='${ADDRESS}', MASTER_PORT=${port}, MASTER_USER='${user}', MASTER_PASSWORD='${password}',
      MASTER_USE_GTID=slave_pos, MASTER_SSL=0, MASTER_SSL_VERIFY_SERVER_CERT=0, MASTER_CONNECT_RETRY=1, MASTER_HEARTBEAT_PERIOD=1;
      START SLAVE ${upTo === null ? '' : `UNTIL master_gtid_pos='${upTo}'`}`,
  );
}

/** What its link says once both threads have stopped. */
export function stopped(replica: MariaDbServer): Promise<Row> {
  return until(
    `both threads of ${replica.name} stop`,
    async () => {
      const link = await replica.row('SHOW ALL SLAVES STATUS');
      return link['Slave_IO_Running'] === 'No' && link['Slave_SQL_Running'] === 'No' ? link : false;
    },
    { deadlineMs: 60_000 },
  );
}

/** Fills the replica and asserts that it ended where it was to end, without an error. */
export async function fill(replica: MariaDbServer, offer: Offer, upTo: string): Promise<void> {
  await dial(replica, { port: offer.port, ...offer.account, upTo });
  const link = await stopped(replica);
  assert.deepEqual(
    [link['Last_IO_Error'], link['Last_SQL_Error'], await offer.ended],
    ['', '', { kind: 'Sent' }],
    replica.logTail(8),
  );
  const sorted = (text: string): string[] => text.split(',').sort();
  assert.deepEqual(sorted(await gtidOf(replica, 'gtid_slave_pos')), sorted(upTo));
}

/** Checksums of all tables of a database. */
export async function checksums(server: MariaDbServer, database = 'shop'): Promise<string[]> {
  const tables = await server.sql(
    "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ? AND table_type LIKE '%TABLE' ORDER BY 1",
    [database],
  );
  const names = tables.map((table) => `${database}.${table['name']}`);
  const rows = await server.sql(`CHECKSUM TABLE ${names.join(', ')}`);
  return rows.map((row) => `${row['Table']} ${row['Checksum']}`);
}
