import type { Gtid, GtidPosition } from '../../../src/domain/gtid.ts';
import { formatGtid, sameGtid } from '../../../src/domain/gtid.ts';
import type { Coordinates } from '../../../src/domain/observation.ts';
import type { Binlog, BinlogFile, Trx } from './binlog.ts';
import { HEADER_BYTES } from './binlog.ts';

/** What the server that is asked knows beside its binlog. */
export interface DumpServer {
  readonly binlog: Binlog;
  readonly serverId: number;
  readonly slavePos: GtidPosition;
}

/** Where a dump stands and what it still skips. */
export interface Cursor {
  file: string;
  position: number;
  readonly skipping: Map<number, Skip>;
  readonly strict: boolean;
  /** START SLAVE UNTIL: what is left to send of each domain; absent: everything. */
  readonly until?: Map<number, Gtid>;
}
interface Skip {
  readonly gtid: Gtid;
  readonly ownSlavePos: boolean;
  emptyDomain: boolean;
}

export interface Refusal {
  readonly errno: 1236;
  readonly text: string;
}
export type Next =
  | { readonly kind: 'Trx'; readonly trx: Trx; readonly start: Coordinates; readonly end: Coordinates }
  | { readonly kind: 'End' }
  /** UNTIL is reached in every domain. */
  | { readonly kind: 'Until' }
  | { readonly kind: 'Refused'; readonly refusal: Refusal };

function refuse(text: string): Refusal {
  return { errno: 1236, text };
}

/**
 * check_slave_start_position: exactly the cases of facts/mariadb.md §1, with what MariaDB accepts although it is wrong.
 */
export function dumpByGtid(
  server: DumpServer,
  wanted: GtidPosition,
  strict: boolean,
  until?: GtidPosition,
): Cursor | Refusal {
  const skipping = new Map<number, Skip>();
  for (const gtid of wanted.values()) {
    const skip = startOf(server, gtid);
    if (skip !== null && 'errno' in skip) return skip;
    if (skip !== null) skipping.set(gtid.domain, skip);
  }
  const file = findFile(server.binlog, skipping);
  if (file === undefined) {
    return refuse(
      'Could not find GTID state requested by slave in any binlog files. Probably the slave state is too old and required binlog files have been purged.',
    );
  }
  for (const listed of file.list) {
    const skip = skipping.get(listed.domain);
    if (skip !== undefined && sameGtid(skip.gtid, listed)) skipping.delete(listed.domain);
  }
  const cursor = { file: file.name, position: HEADER_BYTES, skipping, strict };
  return until === undefined ? cursor : { ...cursor, until: new Map(until) };
}

function startOf({ binlog, serverId, slavePos }: DumpServer, gtid: Gtid): Skip | Refusal | null {
  const domain = binlog.state.get(gtid.domain);
  const applied = sameGtid(slavePos.get(gtid.domain), gtid);
  const known = domain?.servers.get(gtid.serverId);
  if (known !== undefined && known >= gtid.seq) return { gtid, ownSlavePos: applied, emptyDomain: false };
  if (applied) {
    if (domain === undefined) return null;
    const own = domain.servers.get(serverId);
    const from = own !== undefined && own > gtid.seq ? { ...gtid, serverId } : domain.last;
    return { gtid: from, ownSlavePos: true, emptyDomain: false };
  }
  if (domain === undefined) return { gtid, ownSlavePos: false, emptyDomain: true };
  const text = `Error: connecting slave requested to start from GTID ${formatGtid(gtid)}, which is not in the master's binlog`;
  if (domain.last.seq < gtid.seq) return refuse(text);
  return refuse(
    `${text}. Since the master's binlog contains GTIDs with higher sequence numbers, it probably means that the slave has diverged due to executing extra erroneous transactions`,
  );
}

/** contains_all_slave_gtid, newest file first. */
function findFile(binlog: Binlog, skipping: ReadonlyMap<number, Skip>): BinlogFile | undefined {
  return binlog.files.findLast((file) =>
    file.list.every((listed, index) => {
      const skip = skipping.get(listed.domain);
      if (skip === undefined) return false;
      if (skip.gtid.serverId !== listed.serverId || skip.gtid.seq > listed.seq) return true;
      return skip.gtid.seq === listed.seq && file.list[index + 1]?.domain !== listed.domain;
    }),
  );
}

export function dumpByFile(binlog: Binlog, at: Coordinates): Cursor | Refusal {
  const file = binlog.files.find((one) => one.name === at.file);
  if (file === undefined) return refuse('Could not find first log file name in binary log index file');
  if (at.position > file.size) {
    return refuse(
      `Client requested master to start replication from impossible position; the first event '${at.file}' at ${at.position}`,
    );
  }
  const boundaries = [4, HEADER_BYTES, file.size, ...file.entries.map((entry) => entry.end)];
  if (!boundaries.includes(at.position)) return refuse('log event entry exceeded max_allowed_packet');
  return { file: file.name, position: Math.max(HEADER_BYTES, at.position), skipping: new Map(), strict: false };
}

/** The next transaction that the server sends. Moves the cursor past what it skips. */
export function nextOf(server: DumpServer, cursor: Cursor): Next {
  for (;;) {
    if (cursor.until?.size === 0) return { kind: 'Until' };
    const index = server.binlog.files.findIndex((file) => file.name === cursor.file);
    const file = server.binlog.files[index];
    if (file === undefined) return { kind: 'Refused', refusal: refuse('the file it was reading is gone') };
    const entry = file.entries.find((one) => one.start >= cursor.position);
    if (entry === undefined) {
      const following = server.binlog.files[index + 1];
      if (following === undefined) {
        cursor.position = Math.max(cursor.position, file.size);
        return { kind: 'End' };
      }
      cursor.file = following.name;
      cursor.position = HEADER_BYTES;
      continue;
    }
    const fate = fateOf(server, cursor, entry.trx.gtid);
    if (fate !== 'send' && fate !== 'skip') return { kind: 'Refused', refusal: fate };
    cursor.position = entry.end;
    const isWanted = takesUntil(cursor, entry.trx.gtid);
    if (fate === 'send' && isWanted) {
      const start = { file: file.name, position: entry.start };
      return { kind: 'Trx', trx: entry.trx, start, end: { file: file.name, position: entry.end } };
    }
  }
}

/** A domain that is not named is not sent; one ends with its GTID, or before a later one of the same server. */
function takesUntil({ until }: Cursor, gtid: Gtid): boolean {
  const end = until?.get(gtid.domain);
  if (until === undefined) return true;
  if (end === undefined) return false;
  if (gtid.serverId !== end.serverId || gtid.seq < end.seq) return true;
  until.delete(gtid.domain);
  return gtid.seq === end.seq;
}

function fateOf({ binlog }: DumpServer, cursor: Cursor, gtid: Gtid): 'send' | 'skip' | Refusal {
  const skip = cursor.skipping.get(gtid.domain);
  if (skip === undefined) return 'send';
  if (skip.emptyDomain) {
    const known = binlog.state.get(gtid.domain)?.servers.get(skip.gtid.serverId);
    if (known === undefined || known < skip.gtid.seq) {
      return refuse(
        `Error: connecting slave requested to start from GTID ${formatGtid(skip.gtid)}, which is not in the master's binlog`,
      );
    }
    skip.emptyDomain = false;
  }
  if (gtid.serverId !== skip.gtid.serverId || gtid.seq < skip.gtid.seq) return 'skip';
  if (gtid.seq > skip.gtid.seq && cursor.strict && !skip.ownSlavePos) {
    return refuse(
      `The binlog on the master is missing the GTID ${formatGtid(skip.gtid)} requested by the slave (even though both a prior and a subsequent sequence number does exist), and GTID strict mode is enabled`,
    );
  }
  cursor.skipping.delete(gtid.domain);
  return gtid.seq > skip.gtid.seq ? 'send' : 'skip';
}

/** A copy that may run ahead of the real one. */
export function copyCursor(cursor: Cursor): Cursor {
  const skipping = new Map([...cursor.skipping].map(([domain, skip]) => [domain, { ...skip }]));
  return { ...cursor, skipping, ...(cursor.until === undefined ? {} : { until: new Map(cursor.until) }) };
}
