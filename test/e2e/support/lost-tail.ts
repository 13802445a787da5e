import assert from 'node:assert/strict';
import { truncateSync } from 'node:fs';
import { join } from 'node:path';
import type { Status } from '../../../src/api/v1alpha1.ts';
import type { Replica } from '../../support/bench.ts';
import { snapshotData } from '../../support/clone.ts';
import { ownPosition, slaveStatus } from '../../support/link.ts';
import type { MariaDbServer } from '../../support/mariadb.ts';
import { TABLES } from '../../support/schema.ts';
import { until } from '../../support/wait.ts';
import { Writer } from '../../support/writer.ts';
import { condition } from './moves.ts';
import { allReached, insertAt, remember } from './refusal.ts';
import { startsOn } from './shared.ts';
import type { Stage } from './stage.ts';

const LOST = 8;
/** More than was lost: its numbers are given again, and others after them. */
const WRITTEN = 50;

/** How the end of the binlog is lost. Now begins what is lost; the result takes it from the killed server. */
export interface Loss {
  readonly name: string;
  readonly rowsStay: boolean;
  readonly from: (db: MariaDbServer) => Promise<() => Promise<void>>;
}

/** The machine goes back by a moment: binlog and engine, as with `sync_binlog=1` on a disk that lied. */
export const WITH_ROWS: Loss = { name: 'its rows too', rowsStay: false, from: snapshotData };

/** What sync_binlog=0 really does: the engine has flushed its log, the binlog was not written out. */
export const WITHOUT_ROWS: Loss = {
  name: 'its rows stay in the engine',
  rowsStay: true,
  from: async (db) => {
    const { file, position } = await ownPosition(db);
    return async () => {
      if (db.running) throw new Error(`${db.name} runs: kill it before its binlog is cut`);
      truncateSync(join(db.datadir, file), position);
      return Promise.resolve();
    };
  },
};

/**
 * Shared storage of which a is the active host. It loses what one replica never got, b takes over and is written to at
 * once: no replica gets anything of that, and the status says of each what is known.
 */
export async function heldBackByLostTail(stage: Stage, loss: Loss): Promise<Status> {
  const { bench } = stage;
  const { a, b } = bench;
  const [first, second, cut] = bench.replicas;
  assert.ok(first !== undefined && second !== undefined && cut !== undefined);
  const writer = new Writer(bench);
  await writer.writes(100, a.name);
  await writer.stop();
  await allReached(bench, bench.replicas, a.db);
  // Its way to b stays open, and nothing that a's kernel still has to send arrives after the crash.
  await a.host.drop({ direction: 'out', peer: cut.host.address });
  const [kept, rows] = [await lastOf(a.db), await rowsOf(a.db, a.name)];
  const lose = await loss.from(a.db);
  await insertAt(a.db, LOST);
  // As it does each second by itself: else the last of them is rolled back, which no binlog confirms.
  await a.db.sql('FLUSH LOCAL ENGINE LOGS');
  const last = await lastOf(a.db);
  await allReached(bench, [first, second], a.db);
  const untouched = await remember(bench.replicas);

  await a.kill9();
  await a.keepalived.stop();
  await lose();
  const late = new Writer(bench);
  await startsOn(bench, b);
  await late.writes(WRITTEN, b.name);

  const lost = Array.from({ length: LOST }, (_, index) => after(kept, index + 1));
  assert.equal(lost.at(-1), last, 'nobody else writes');
  const status = await stage.statusIs(
    'every replica is held back',
    ({ holder, replicas }) => holder === b.name && replicas.every(({ reason }) => reason === 'LostTail'),
  );
  assert.deepEqual(
    status.replicas.map(({ pod, verdict, ready }) => [pod, verdict, ready]),
    [
      [first.name, 'Ahead', false],
      [second.name, 'Ahead', false],
      [cut.name, 'Unproven', false],
    ],
  );
  for (const { pod, message, transactions } of status.replicas) {
    const known = `lost is, as far as mxr knows, ${lost[0]} to ${last} (${LOST} transactions)`;
    assert.ok(message.includes(known), `${pod} is told that ${known}: ${message}`);
    assert.match(message, /reseed/);
    assert.deepEqual(transactions?.gtids ?? [], pod === cut.name ? [] : lost, 'who has what was lost lists it');
  }
  assert.equal(condition(status, 'ReplicasIntact'), 'False/Ahead');
  await late.writes(WRITTEN, b.name);
  await late.stop();
  assert.ok(numberOf(await lastOf(b.db)) >= numberOf(last) + WRITTEN, 'the numbers that were lost are given again');
  assert.equal((await rowsOf(b.db, a.name)) - rows, loss.rowsStay ? LOST : 0, 'what the engine of b has of it');
  await standsStill(stage);
  const tokens = new Set([...late.acknowledged, ...late.failed].map(({ token }) => token));
  for (const replica of bench.replicas) {
    assert.deepEqual(await tokensOf(replica, tokens), [], `${replica.name} received what was written after the loss`);
  }
  await untouched();
  return status;
}

/** Nothing is received: nobody attached, and nobody was attached. */
export async function standsStill({ bench }: Stage): Promise<void> {
  for (const { name, db } of bench.replicas) {
    await until(`${name} receives nothing`, async () => (await slaveStatus(db))?.['Slave_IO_Running'] === 'No');
  }
}

/** The rows of a replica that carry one of these tokens. */
export async function tokensOf({ db }: Replica, wanted: ReadonlySet<string>): Promise<string[]> {
  const found: string[] = [];
  for (const table of TABLES) {
    const rows = await db.sql(`SELECT token FROM app.${table}`);
    found.push(...rows.flatMap(({ token }) => (token != null && wanted.has(token) ? [token] : [])));
  }
  return found;
}

async function lastOf(db: MariaDbServer): Promise<string> {
  return (await db.row('SELECT @@gtid_binlog_pos AS gtid'))['gtid'] ?? '';
}

/** Of what `insertAt` wrote at the member of this name. */
async function rowsOf(db: MariaDbServer, name: string): Promise<number> {
  return Number((await db.row('SELECT COUNT(*) AS n FROM app.plain WHERE token LIKE ?', [`${name}-%`]))['n']);
}

function numberOf(gtid: string): number {
  return Number(gtid.split('-')[2]);
}

function after(gtid: string, more: number): string {
  return gtid.replace(/\d+$/, (seq) => String(Number(seq) + more));
}
