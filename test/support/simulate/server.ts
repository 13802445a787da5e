import type { Gtid } from '../../../src/domain/gtid.ts';
import type { Binlog, Trx } from './binlog.ts';
import { append, bump, dropLast, newBinlog, nextSeq, reopen } from './binlog.ts';
import type { SimLink } from './link.ts';

/** One simulated MariaDB: an engine with rows, a binlog, an applied position, at most one link. */
export interface SimServer {
  readonly name: string;
  readonly ip: string;
  readonly serverId: number;
  readonly domain: number;
  readonly logSlaveUpdates: boolean;
  readonly binlog: Binlog;
  /** What a SELECT shows: one token per applied transaction, in order. */
  rows: string[];
  /** How to take back what was committed last: a copy of the data directory that is a moment old. */
  undo: (() => void)[];
  slavePos: Map<number, Gtid>;
  up: boolean;
  readOnly: boolean;
  /** Wall clock ms. */
  startedAt: number;
  /** Counts lives: whatever was connected to an earlier one is cut off. */
  life: number;
  connections: number;
  link: SimLink | null;
  /** Whether its threads start by themselves with it. */
  autostart: boolean;
  /** Holder of the advisory lock that acting sessions take. */
  lockedBy: number | null;
}

export interface ServerOptions {
  readonly name: string;
  readonly ip: string;
  readonly serverId: number;
  readonly domain?: number;
  readonly logSlaveUpdates: boolean;
  readonly autostart?: boolean;
}

export function newServer(options: ServerOptions, now: number): SimServer {
  const { name, ip, serverId, logSlaveUpdates } = options;
  return {
    name,
    ip,
    serverId,
    domain: options.domain ?? 0,
    logSlaveUpdates,
    binlog: newBinlog('mysql-bin', now),
    rows: [],
    undo: [],
    slavePos: new Map(),
    up: true,
    readOnly: true,
    startedAt: now,
    life: 1,
    connections: 10,
    link: null,
    autostart: options.autostart ?? true,
    lockedBy: null,
  };
}

/** A commit of its own: the next number of its domain, whatever pushed the counter there. */
export function write(server: SimServer, token: string, at: { readonly now: number; readonly size: number }): Trx {
  const seq = nextSeq(server.binlog, server.domain);
  const gtid = { domain: server.domain, serverId: server.serverId, seq };
  const trx = { gtid, token, timestamp: Math.floor(at.now / 1000) * 1000, size: at.size };
  append(server.binlog, trx);
  server.rows.push(token);
  server.undo.push(() => undoCommit(server, true));
  return trx;
}

function undoCommit(server: SimServer, logged: boolean): void {
  server.rows.pop();
  if (logged) dropLast(server.binlog);
}

export function applyTrx(server: SimServer, trx: Trx): void {
  const before = server.slavePos.get(trx.gtid.domain);
  const { link } = server;
  const exec = link === null ? null : { ...link.exec };
  server.undo.push(() => {
    undoCommit(server, server.logSlaveUpdates);
    if (link !== null && exec !== null) Object.assign(link, { exec, read: { ...exec }, relay: [] });
    if (before === undefined) server.slavePos.delete(trx.gtid.domain);
    else server.slavePos.set(trx.gtid.domain, before);
  });
  server.rows.push(trx.token);
  server.slavePos.set(trx.gtid.domain, trx.gtid);
  if (server.logSlaveUpdates) append(server.binlog, trx);
  else bump(server.binlog, trx.gtid);
}

export function stopServer(server: SimServer): void {
  server.up = false;
  server.lockedBy = null;
}

/**
 * A start after a clean stop or a crash. `lostTail` transactions are missing at the end of the binlog; their rows stay in
 * the engine, or (`engineToo`) the whole data directory is that much older.
 */
export function startServer(
  server: SimServer,
  now: number,
  how: { readonly clean: boolean; readonly lostTail: number; readonly engineToo: boolean },
): readonly Trx[] {
  const takeBack: (() => void)[] = [];
  if (how.engineToo) for (const undo of server.undo.splice(-how.lostTail, how.lostTail)) takeBack.unshift(undo);
  for (const undo of takeBack) undo();
  const lost = reopen(server.binlog, now, { ...how, lostTail: how.engineToo ? 0 : how.lostTail });
  server.undo = [];
  // A start reads mysql.gtid_slave_pos, and the counters begin after what was applied.
  for (const gtid of server.slavePos.values()) bump(server.binlog, gtid);
  server.up = true;
  server.startedAt = now;
  server.life += 1;
  server.connections = 10;
  server.lockedBy = null;
  server.readOnly = true;
  const { link } = server;
  if (link !== null) {
    // By GTID the relay log is thrown away and asked for again; by file it is kept.
    if (link.mode !== 'No') {
      link.relay = [];
      link.gtidIoPos = new Map(server.slavePos);
      link.read = { ...link.exec };
    }
    link.session = null;
    link.until = null;
    link.untilSent = false;
    link.io = server.autostart ? 'Connecting' : 'No';
    link.sql = server.autostart ? 'Yes' : 'No';
    link.ioErrno = 0;
    link.ioError = '';
  }
  return lost;
}

export function currentPos(server: SimServer): Map<number, Gtid> {
  const position = new Map(server.slavePos);
  for (const [domain, { servers }] of server.binlog.state) {
    const own = servers.get(server.serverId);
    const applied = position.get(domain);
    if (own !== undefined && (applied === undefined || applied.seq < own)) {
      position.set(domain, { domain, serverId: server.serverId, seq: own });
    }
  }
  return position;
}
