import { setTimeout as delay } from 'node:timers/promises';
import type { Bench, Replica } from './bench.ts';
import { slaveStatus } from './link.ts';
import type { MariaDbServer } from './mariadb.ts';
import type { Member } from './member.ts';
import { monotonicMs } from './monotonic.ts';
import { COLUMNS, TABLES, type TableName } from './schema.ts';

const SETTLE_MS = 10_000;
const INTERVAL_MS = 250;
const SHOWN_ROWS = 5;
const MEMBER_DEADLINE_MS = 2_000;

/** How one table of a replica differs from the holder's. */
export interface TableDifference {
  readonly table: TableName;
  /** Rows of the holder that the replica lacks, with the number of copies lacking. */
  readonly missing: ReadonlyMap<string, number>;
  /** Rows that the replica has more often than the holder. */
  readonly extra: ReadonlyMap<string, number>;
}

export interface Judgement {
  readonly replica: string;
  /** Rows are the holder's, both threads run, and the holder itself feeds it, nobody else. */
  readonly right: boolean;
  /** Everything that is not right, in words. */
  readonly findings: readonly string[];
  readonly sameRows: boolean;
  readonly differences: readonly TableDifference[];
  readonly running: boolean;
  /** Members that have a dump connection from the replica's address. */
  readonly fedBy: readonly string[];
}

/**
 * Compares replicas with the holder, by rows and at the servers themselves. The application must have stopped. Waits
 * up to `settleMs` for them to become right; a replica that is expected to stand still is judged by `settleMs: 0`.
 */
export async function judge(
  bench: Bench,
  holder: Member,
  options: { readonly settleMs?: number; readonly replicas?: readonly Replica[] } = {},
): Promise<Judgement[]> {
  const { settleMs = SETTLE_MS, replicas = bench.replicas } = options;
  const start = monotonicMs();
  for (;;) {
    const judgements = await Promise.all(replicas.map((replica) => judgeOne(bench, holder, replica)));
    if (judgements.every((judgement) => judgement.right) || monotonicMs() - start >= settleMs) return judgements;
    await delay(INTERVAL_MS);
  }
}

/** Throws with all findings unless every replica is right. */
export async function assertRight(bench: Bench, holder: Member, settleMs = SETTLE_MS): Promise<void> {
  const wrong = (await judge(bench, holder, { settleMs })).filter((judgement) => !judgement.right);
  if (wrong.length === 0) return;
  throw new Error(wrong.map(({ replica, findings }) => `${replica} is wrong: ${findings.join('; ')}`).join('\n'));
}

async function judgeOne(bench: Bench, holder: Member, replica: Replica): Promise<Judgement> {
  const status = await slaveStatus(replica.db);
  const threads = ['Slave_IO_Running', 'Slave_SQL_Running'].map((name) => status?.[name] ?? 'none');
  const running = threads.every((state) => state === 'Yes');
  const differences = await compareTables(holder.db, replica.db);
  const fedBy = await feeders(bench, replica);
  const findings = differences.map((difference) => differenceText(difference));
  if (!running) {
    const errors = [status?.['Last_IO_Error'], status?.['Last_SQL_Error']].filter(
      (text) => text !== undefined && text !== '',
    );
    findings.push(`IO thread ${threads[0]}, SQL thread ${threads[1]} ${errors.join('; ')}`.trim());
  }
  if (!fedBy.includes(holder.name)) findings.push(`${holder.name} has no dump connection from it`);
  for (const name of fedBy.filter((name) => name !== holder.name)) findings.push(`${name} feeds it`);
  const sameRows = differences.length === 0;
  return { replica: replica.name, right: findings.length === 0, findings, sameRows, differences, running, fedBy };
}

/**
 * A dump thread outlives its replica until it has something to send, so one counts only if the replica's end of that
 * very connection, known by its port, is established too.
 */
async function feeders(bench: Bench, replica: Replica): Promise<string[]> {
  const ports = await replica.host.establishedPorts();
  const text = "SELECT host FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%' AND host LIKE ?";
  const names: string[] = [];
  for (const { name, db } of bench.members.filter((member) => member.db.running)) {
    // A frozen member answers nothing, and feeds nobody.
    const dumps = await db.sql(text, [`${replica.host.address}:%`], MEMBER_DEADLINE_MS).catch(() => []);
    if (dumps.some((row) => ports.has(Number(row['host']?.split(':')[1])))) names.push(name);
  }
  return names;
}

/** The tables whose rows are not the same multiset. */
export async function compareTables(source: MariaDbServer, copy: MariaDbServer): Promise<TableDifference[]> {
  const differences: TableDifference[] = [];
  for (const table of TABLES) {
    const [there, here] = await Promise.all([contents(source, table), contents(copy, table)]);
    const [missing, extra] = [surplus(there.rows, here.rows), surplus(here.rows, there.rows)];
    if (missing.size > 0 || extra.size > 0 || there.checksum !== here.checksum)
      differences.push({ table, missing, extra });
  }
  return differences;
}

async function contents(
  server: MariaDbServer,
  table: TableName,
): Promise<{ rows: Map<string, number>; checksum: string }> {
  const rows = new Map<string, number>();
  for (const row of await server.sql(`SELECT ${COLUMNS[table]} FROM app.${table}`)) {
    const text = Object.values(row).join(':');
    rows.set(text, (rows.get(text) ?? 0) + 1);
  }
  return { rows, checksum: (await server.row(`CHECKSUM TABLE app.${table}`))['Checksum'] ?? '' };
}

/** What `a` has more of than `b`. */
function surplus(a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): Map<string, number> {
  const more = new Map<string, number>();
  for (const [row, copies] of a) {
    const rest = copies - (b.get(row) ?? 0);
    if (rest > 0) more.set(row, rest);
  }
  return more;
}

function differenceText({ table, missing, extra }: TableDifference): string {
  if (missing.size === 0 && extra.size === 0) return `table ${table}: same rows, other checksum`;
  const show = (rows: ReadonlyMap<string, number>): string => [...rows.keys()].slice(0, SHOWN_ROWS).join(' ');
  return `table ${table}: ${missing.size} rows missing (${show(missing)}), ${extra.size} rows too many (${show(extra)})`;
}
