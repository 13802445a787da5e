import type { Gtid, GtidPosition, GtidState } from '../../../src/domain/gtid.ts';
import { stateOf } from '../../../src/domain/gtid.ts';
import type { Coordinates } from '../../../src/domain/observation.ts';

/** One transaction: what it is called, and what it really is. Two transactions may have one name; tokens are unique. */
export interface Trx {
  readonly gtid: Gtid;
  /** Its content: a row in a table without a unique key. */
  readonly token: string;
  readonly timestamp: number;
  readonly size: number;
}

export interface BinlogEntry {
  readonly start: number;
  readonly end: number;
  readonly trx: Trx;
}

export interface BinlogFile {
  readonly name: string;
  readonly createdAt: number;
  readonly byServerStart: boolean;
  /** The Gtid_list event: per domain the last GTID comes last. */
  readonly list: readonly Gtid[];
  readonly entries: BinlogEntry[];
  size: number;
}

interface DomainState {
  readonly servers: Map<number, bigint>;
  last: Gtid;
}

/** A server's binlog with MariaDB's rules for its state (facts/mariadb.md §1, §4). */
export interface Binlog {
  readonly base: string;
  files: BinlogFile[];
  readonly state: Map<number, DomainState>;
  /** The next own number of a domain is this plus one; applied transactions push it up even where they are not logged. */
  readonly counters: Map<number, bigint>;
}

/** Format_description and Gtid_list: equal in all files here, so that coordinates of two servers often coincide. */
export const HEADER_BYTES = 300;
const STOP_EVENT_BYTES = 23;

export function newBinlog(base: string, now: number): Binlog {
  const binlog: Binlog = { base, files: [], state: new Map(), counters: new Map() };
  openFile(binlog, now, true);
  return binlog;
}

export function openFile(binlog: Binlog, now: number, byServerStart: boolean): void {
  const number = numberOf(binlog.files.at(-1)?.name ?? `${binlog.base}.000000`) + 1;
  const name = `${binlog.base}.${String(number).padStart(6, '0')}`;
  const list = listOf(binlog);
  binlog.files.push({ name, createdAt: now, byServerStart, list, entries: [], size: HEADER_BYTES });
}

function numberOf(name: string): number {
  return Number(name.slice(name.lastIndexOf('.') + 1));
}

function listOf(binlog: Binlog): Gtid[] {
  return [...binlog.state].flatMap(([domain, { servers, last }]) => {
    const others = [...servers].filter(([serverId]) => serverId !== last.serverId);
    return [...others.map(([serverId, seq]) => ({ domain, serverId, seq })), last];
  });
}

export function lastFile(binlog: Binlog): BinlogFile {
  const file = binlog.files.at(-1);
  if (file === undefined) throw new Error('a binlog has no file');
  return file;
}

export function endOf(binlog: Binlog): Coordinates {
  const file = lastFile(binlog);
  return { file: file.name, position: file.size };
}

export function bump(binlog: Binlog, { domain, seq }: Gtid): void {
  if ((binlog.counters.get(domain) ?? 0n) < seq) binlog.counters.set(domain, seq);
}

export function nextSeq(binlog: Binlog, domain: number): bigint {
  return (binlog.counters.get(domain) ?? 0n) + 1n;
}

export function append(binlog: Binlog, trx: Trx): void {
  const file = lastFile(binlog);
  file.entries.push({ start: file.size, end: file.size + trx.size, trx });
  file.size += trx.size;
  note(binlog, trx.gtid);
}

/** Takes the last transaction back; the state is read anew at the next start. */
export function dropLast(binlog: Binlog): void {
  const file = lastFile(binlog);
  file.entries.pop();
  file.size = file.entries.at(-1)?.end ?? HEADER_BYTES;
}

/** Not the maximum: out of order, the newer entry wins, as in rpl_binlog_state::update. */
function note(binlog: Binlog, gtid: Gtid): void {
  const domain = binlog.state.get(gtid.domain) ?? { servers: new Map<number, bigint>(), last: gtid };
  domain.servers.set(gtid.serverId, gtid.seq);
  domain.last = gtid;
  binlog.state.set(gtid.domain, domain);
  bump(binlog, gtid);
}

export function stateOfBinlog(binlog: Binlog): GtidState {
  return stateOf(listOf(binlog));
}

export function positionOfBinlog(binlog: Binlog): GtidPosition {
  return new Map([...binlog.state].map(([domain, { last }]) => [domain, last]));
}

/** What a start does: the end may be lost, the state is read anew from the files, a new file is begun. */
export function reopen(
  binlog: Binlog,
  now: number,
  change: { readonly clean: boolean; readonly lostTail: number },
): readonly Trx[] {
  const file = lastFile(binlog);
  if (change.clean) file.size += STOP_EVENT_BYTES;
  const lost = change.lostTail === 0 ? [] : file.entries.splice(-change.lostTail);
  if (lost.length > 0) file.size = file.entries.at(-1)?.end ?? HEADER_BYTES;
  binlog.state.clear();
  binlog.counters.clear();
  for (const gtid of file.list) note(binlog, gtid);
  for (const { trx } of file.entries) note(binlog, trx.gtid);
  openFile(binlog, now, true);
  return lost.map((entry) => entry.trx);
}

/** Removes the oldest files; the newest always stays. */
export function purge(binlog: Binlog, count: number): void {
  binlog.files.splice(0, Math.min(count, binlog.files.length - 1));
}

/** BINLOG_GTID_POS: null where there is no event boundary. */
export function gtidAt(binlog: Binlog, at: Coordinates): GtidPosition | null {
  const file = binlog.files.find((one) => one.name === at.file);
  if (file === undefined || at.position > file.size) return null;
  const ends = [4, HEADER_BYTES, file.size, ...file.entries.map((entry) => entry.end)];
  if (!ends.includes(Math.max(4, at.position))) return null;
  const position = new Map(file.list.map((gtid) => [gtid.domain, gtid]));
  for (const { end, trx } of file.entries) if (end <= at.position) position.set(trx.gtid.domain, trx.gtid);
  return position;
}

export function entriesOf(binlog: Binlog): readonly { readonly file: string; readonly entry: BinlogEntry }[] {
  return binlog.files.flatMap((file) => file.entries.map((entry) => ({ file: file.name, entry })));
}
