import type { HandoverRecord } from '../../src/api/v1alpha1.ts';
import { parsePosition } from '../../src/domain/gtid.ts';
import type { Bench } from '../support/bench.ts';
import type { Member } from '../support/member.ts';
import { until } from '../support/wait.ts';

/** A script polls this often, which is what people write. */
const POLL_MS = 500;

/**
 * Reads, at the very moment of a move, what the usual script would have used: the new primary's SHOW MASTER STATUS when
 * it is first seen as the primary. It changes nothing; it only shows afterwards where that would have led.
 */
export class NaiveOperator {
  readonly #to: Member;
  readonly #seen: Promise<{ file: string; position: string; gtid: string } | null>;

  constructor(_: Bench, to: Member) {
    this.#to = to;
    this.#seen = this.#poll();
  }

  async #poll(): Promise<{ file: string; position: string; gtid: string } | null> {
    try {
      await until('the new primary serves', () => this.#to.serves(), { deadlineMs: 60_000, intervalMs: POLL_MS });
    } catch {
      return null;
    }
    const row = await this.#to.db.row('SHOW MASTER STATUS');
    const at = { file: row['File'] ?? '', position: row['Position'] ?? '' };
    const gtid = await this.#to.db.row('SELECT BINLOG_GTID_POS(?, ?) AS gtid', [at.file, Number(at.position)]);
    return { ...at, gtid: gtid['gtid'] ?? '' };
  }

  /** What would have happened to the first replica of the record. */
  async wouldHaveDone(record: HandoverRecord): Promise<string[]> {
    const [replica] = record.replicas;
    const seen = await this.#seen;
    if (replica === undefined || seen === null) return [];
    return [...(await this.#reconnect(replica.from)), ...skipped(seen, replica.to.gtid ?? '')];
  }

  /** MariaDB's own reconnect through the VIP asks the new server for the coordinates of the old one. */
  async #reconnect(from: { file?: string | undefined; position?: number | undefined }): Promise<string[]> {
    if (from.file === undefined || from.position === undefined) return [];
    const row = await this.#to.db.row('SELECT BINLOG_GTID_POS(?, ?) AS gtid', [from.file, from.position]);
    const place = `${from.file}:${from.position}`;
    const found = row['gtid'] ?? null;
    return [
      found === null
        ? `a file/position replica that reconnects through the VIP would ask ${this.#to.name} for ${place}, which is no place there: error 1236, stopped`
        : `a file/position replica that reconnects through the VIP would go on at ${place} of ${this.#to.name}, which is ${found} there: wrong rows at Yes/Yes`,
    ];
  }
}

/** The new primary's own position is read after the application has begun to write there. */
function skipped(seen: { file: string; position: string; gtid: string }, provenText: string): string[] {
  const there = parsePosition(seen.gtid);
  const proven = parsePosition(provenText);
  if (there === undefined || proven === undefined) return [];
  let count = 0n;
  for (const [domain, gtid] of there) {
    const own = proven.get(domain);
    if (own !== undefined && gtid.seq > own.seq) count += gtid.seq - own.seq;
  }
  const place = `${seen.file}:${seen.position}`;
  return [
    count === 0n
      ? `a script that repoints to SHOW MASTER STATUS (${place}) was lucky this time: nothing had been written yet`
      : `a script that repoints to SHOW MASTER STATUS (${place}) would have skipped ${count} transactions, at Yes/Yes and lag 0`,
  ];
}
