import type { Gtid, GtidPosition } from '../../../src/domain/gtid.ts';
import type { Coordinates } from '../../../src/domain/observation.ts';
import type { Trx } from './binlog.ts';
import { gtidAt } from './binlog.ts';
import type { Cursor, Refusal } from './dump.ts';
import { dumpByFile, dumpByGtid, nextOf } from './dump.ts';
import type { SimServer } from './server.ts';
import { applyTrx } from './server.ts';

/** A Binlog Dump under way: to which life of which server, and where it stands. */
export interface DumpSession {
  readonly source: SimServer;
  readonly life: number;
  readonly cursor: Cursor;
  /** As the source's process list shows it. */
  readonly id: number;
  readonly since: number;
}

export interface Received {
  readonly trx: Trx;
  readonly end: Coordinates;
}

/** A replication channel with its two threads (facts/mariadb.md §1-§3). */
export interface SimLink {
  host: string;
  mode: 'No' | 'Slave_Pos';
  io: 'Yes' | 'No' | 'Connecting';
  sql: 'Yes' | 'No';
  relay: Received[];
  read: Coordinates;
  exec: Coordinates;
  gtidIoPos: Map<number, Gtid>;
  session: DumpSession | null;
  sourceServerId: number;
  ioErrno: number;
  ioError: string;
  /** START SLAVE UNTIL master_gtid_pos; forgotten at the next start. */
  until: GtidPosition | null;
  /** The source has sent everything up to there. */
  untilSent: boolean;
  /** Transactions may be received, but none is applied (LOCK TABLES, MASTER_DELAY). */
  held: boolean;
}

/** Who answers at an address now (null: nobody), and what time it is. */
export interface Network {
  readonly dial: (from: SimServer, host: string) => SimServer | null;
  readonly now: number;
}

const NOWHERE: Coordinates = { file: '', position: 4 };

export function newLink(host: string, mode: SimLink['mode']): SimLink {
  return {
    host,
    mode,
    io: 'No',
    sql: 'No',
    relay: [],
    read: { ...NOWHERE },
    exec: { file: '', position: 0 },
    gtidIoPos: new Map(),
    session: null,
    sourceServerId: 0,
    ioErrno: 0,
    ioError: '',
    until: null,
    untilSent: false,
    held: false,
  };
}

export function stopIo(link: SimLink): void {
  link.io = 'No';
  link.session = null;
}

export function stopBoth(link: SimLink): void {
  stopIo(link);
  link.sql = 'No';
}

/** CHANGE MASTER TO with a host: always throws the relay log away. */
export function changeMaster(link: SimLink, to: { readonly host: string; readonly at: Coordinates | null }): void {
  link.host = to.host;
  link.relay = [];
  link.mode = to.at === null ? 'Slave_Pos' : 'No';
  link.read = to.at === null ? { ...NOWHERE } : { ...to.at };
  link.exec = to.at === null ? { file: '', position: 0 } : { ...to.at };
  link.gtidIoPos = new Map();
  link.ioErrno = 0;
  link.ioError = '';
}

export function startThreads(
  server: SimServer,
  link: SimLink,
  threads: 'Both' | 'Io' | 'Sql',
  until: GtidPosition | null = null,
): void {
  link.until = until;
  link.untilSent = false;
  // By GTID a start from standstill deletes the relay logs, whichever thread it starts (§11b).
  if (link.mode !== 'No' && link.io === 'No' && link.sql === 'No') {
    link.relay = [];
    link.gtidIoPos = new Map(server.slavePos);
  }
  if (threads !== 'Sql' && link.io === 'No') {
    link.io = 'Connecting';
    link.ioErrno = 0;
    link.ioError = '';
  }
  if (threads !== 'Io') link.sql = 'Yes';
}

/** Connects where a connection is due, notices a dead one, receives up to `count` transactions. */
export function receive(server: SimServer, link: SimLink, network: Network, count: number): void {
  if (link.io === 'No' || !server.up) return;
  const there = network.dial(server, link.host);
  const { session } = link;
  if (session !== null && (!session.source.up || session.source.life !== session.life || there !== session.source)) {
    link.session = null;
    link.io = 'Connecting';
  }
  if (link.session === null) connect(server, link, there, network.now);
  for (let left = count; left > 0 && link.session !== null; left -= 1) if (!receiveOne(server, link)) return;
}

function connect(server: SimServer, link: SimLink, source: SimServer | null, now: number): void {
  if (source === null) {
    link.ioErrno = 2003;
    link.ioError = "can't connect";
    return;
  }
  const answer = ask(server, link, source);
  if ('errno' in answer) {
    refuse(link, answer);
    return;
  }
  source.connections += 1;
  link.session = { source, life: source.life, cursor: answer, id: source.connections, since: now };
  link.io = 'Yes';
  link.ioErrno = 0;
  link.ioError = '';
  link.sourceServerId = source.serverId;
  const begin = { file: answer.file, position: answer.position };
  link.read = begin;
  if (link.relay.length === 0) link.exec = { ...begin };
}

function ask(
  server: SimServer,
  link: SimLink,
  source: SimServer,
): Cursor | (Omit<Refusal, 'errno'> & { errno: number }) {
  if (source.serverId === server.serverId) return { errno: 1593, text: 'equal MySQL server ids' };
  if (link.mode !== 'No') return dumpByGtid(source, link.gtidIoPos, false, link.until ?? undefined);
  const cursor =
    link.read.file === '' ? dumpByFile(source.binlog, firstOf(source)) : dumpByFile(source.binlog, link.read);
  // Each file/position connect loads gtid_slave_pos from the server it connects to, at the *read* position (§0.5).
  if (!('errno' in cursor)) {
    const loaded = gtidAt(source.binlog, link.read.file === '' ? firstOf(source) : link.read);
    for (const [domain, gtid] of loaded ?? []) server.slavePos.set(domain, gtid);
  }
  return cursor;
}

function firstOf(source: SimServer): Coordinates {
  return { file: source.binlog.files[0]?.name ?? '', position: 4 };
}

function refuse(link: SimLink, refusal: { readonly errno: number; readonly text: string }): void {
  link.io = 'No';
  link.session = null;
  link.ioErrno = refusal.errno;
  link.ioError = refusal.text;
}

/** Whether there may be more. */
function receiveOne(server: SimServer, link: SimLink): boolean {
  const { session } = link;
  if (session === null) return false;
  const next = nextOf(session.source, session.cursor);
  const place = { file: session.cursor.file, position: session.cursor.position };
  if (next.kind === 'Refused') {
    refuse(link, next.refusal);
    return false;
  }
  if (next.kind === 'Until') {
    stopIo(link);
    link.untilSent = true;
    return false;
  }
  link.read = place;
  if (next.kind === 'End') {
    if (link.relay.length === 0) link.exec = { ...place };
    return false;
  }
  // Its own writes that come back are dropped by the IO thread.
  if (next.trx.gtid.serverId === server.serverId) return true;
  link.relay.push({ trx: next.trx, end: next.end });
  if (link.mode !== 'No') link.gtidIoPos.set(next.trx.gtid.domain, next.trx.gtid);
  return true;
}

export function apply(server: SimServer, link: SimLink, count: number): void {
  if (link.sql === 'No' || link.held || !server.up) return;
  for (let left = count; left > 0; left -= 1) {
    const next = link.relay.shift();
    if (next === undefined) {
      if (link.untilSent) link.sql = 'No';
      return;
    }
    applyTrx(server, next.trx);
    link.exec = { ...next.end };
  }
}
