import type { Duplex } from 'node:stream';
import { openSession } from '../connection.ts';
import { type SqlFailure, serverFailure, sqlError } from '../errors.ts';
import type { SqlTarget } from '../port.ts';
import { type Session, describe, late, lost } from '../session.ts';
import { parseFormat } from './bodies.ts';
import { type BinlogEvent, type Checksum, EVENT, parseEvent } from './event.ts';
import { PacketCutter } from './packets.ts';

/**
 * Where a dump begins: after what a replica at this GTID position has (and, with `until`, ends where START SLAVE UNTIL
 * does); after this one GTID (none: at the very beginning of the domain, from where each domain is sent that is not named),
 * and in all other domains at the end; or at an event boundary of a file.
 */
export type DumpStart =
  | { readonly gtid: string; readonly strict: boolean; readonly until?: string }
  | { readonly gtid: string; readonly domain: number }
  | { readonly file: string; readonly position: number };

export interface DumpLimits {
  /** From TCP connect to the last event, in ms; with `longestMs` each silence of the server. */
  readonly deadlineMs: number;
  /** Of a dump that goes on coming, in ms. */
  readonly longestMs?: number;
  /** Bytes that the server may send. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal;
  /** With the statements of row events, where the server logs them. */
  readonly annotated?: boolean;
  /** Asked after each chunk: nothing more is read until it resolves. Must not reject. */
  readonly pressure?: () => Promise<void> | null;
}

/**
 * How a dump ended: the visitor had enough; the end of the binlog; a limit, after events had begun to come; or the
 * server's refusal (error 1236), which is an answer and no failure.
 */
export type DumpEnd =
  | { readonly end: 'stopped' | 'eof' | 'bytes' | 'time' }
  | { readonly end: 'refused'; readonly errno: number; readonly text: string };

/** Sees each event in order; `false`: enough. */
export type Visitor = (event: BinlogEvent) => boolean;

const COM_BINLOG_DUMP = 0x12;
/** BINLOG_DUMP_NON_BLOCK: the server ends with EOF at the end of its binlog instead of waiting. */
const NON_BLOCK = 1;
/** BINLOG_SEND_ANNOTATE_ROWS_EVENT. */
const ANNOTATED = 2;
const REFUSED = 1236;
const OPERATION = 'read the binlog';
/** An event is held until all of it is there: this is all the memory that a dump takes, however long it is. */
const MAX_EVENT_BYTES = 64 * 1024 * 1024;

/**
 * Reads a server's binlog like a replica would, with server id 0: servers end an older dump of the same id, and 0 is
 * nobody's. No commit waits for it (for SHOW BINLOG EVENTS it does). Needs REPLICATION SLAVE.
 */
export async function readDump(
  target: SqlTarget,
  start: DumpStart,
  limits: DumpLimits,
  visit: Visitor,
): Promise<DumpEnd> {
  const time = limitTime(limits);
  const options = { deadlineMs: limits.deadlineMs, signal: time.signal };
  const context = { operation: OPERATION, target: describe(target), secrets: [target.password] };
  let session: Session | null = null;
  try {
    session = await openSession(target, options);
    await session.query(...setUp(start), { ...options, operation: OPERATION });
    const done = await new DumpStream(session, limits, visit).run(start, time);
    if ('code' in done) throw sqlError(done, context);
    // One that fell silent was not read; one that took too long was, as far as it goes.
    if (done.end === 'time' && time.expired() === 'Silence' && limits.longestMs !== undefined) {
      throw sqlError(late(limits.deadlineMs), context);
    }
    return done;
  } catch (error) {
    throw time.expired() === null ? error : sqlError(late(limits.deadlineMs), context);
  } finally {
    time.release();
    session?.destroy();
  }
}

interface TimeLimit {
  /** Aborts at a deadline, or when the caller's signal does. */
  readonly signal: AbortSignal;
  expired(): 'Silence' | 'Length' | null;
  /** Something has come. */
  heard(): void;
  release(): void;
}

/** One deadline over connecting, setting up and reading; where a dump may be long, one over each silence and one over all. */
function limitTime({ deadlineMs, longestMs, signal: callers }: DumpLimits): TimeLimit {
  const deadline = new AbortController();
  let expired: 'Silence' | 'Length' | null = null;
  const expire = (why: 'Silence' | 'Length'): void => {
    expired ??= why;
    deadline.abort();
  };
  const silence = setTimeout(() => expire('Silence'), deadlineMs);
  const length = longestMs === undefined ? undefined : setTimeout(() => expire('Length'), longestMs);
  return {
    signal: callers === undefined ? deadline.signal : AbortSignal.any([callers, deadline.signal]),
    expired: () => expired,
    heard: () => void (longestMs === undefined || silence.refresh()),
    release: () => {
      clearTimeout(silence);
      clearTimeout(length);
    },
  };
}

function setUp(start: DumpStart): [sql: string, params: string[]] {
  // Capability 4: GTID events as they are. Checksums as in the files: the server must not think that we know none.
  const common = 'SET @master_binlog_checksum=@@global.binlog_checksum, @mariadb_slave_capability=4';
  if ('file' in start) return [common, []];
  const strict = 'strict' in start && start.strict ? '1' : '0';
  const modes = `@slave_gtid_ignore_duplicates=0, @slave_gtid_strict_mode=${strict}`;
  if ('strict' in start) {
    const [end, values] = start.until === undefined ? ['', []] : [', @slave_until_gtid=?', [start.until]];
    return [`${common}, ${modes}, @slave_connect_state=?${end}`, [start.gtid, ...values]];
  }
  const others = "REGEXP_REPLACE(CONCAT(',', @@global.gtid_binlog_pos), ?, '')";
  const state = `@slave_connect_state=TRIM(BOTH ',' FROM CONCAT(?, ${others}))`;
  return [`${common}, ${modes}, ${state}`, [start.gtid, `,${start.domain}-[0-9]+-[0-9]+`]];
}

function command(start: DumpStart, annotated: boolean): Buffer {
  const file = Buffer.from('file' in start ? start.file : '');
  const packet = Buffer.alloc(15);
  packet.writeUIntLE(11 + file.length, 0, 3);
  packet.writeUInt8(COM_BINLOG_DUMP, 4);
  packet.writeUInt32LE('file' in start ? start.position : 4, 5);
  packet.writeUInt16LE(annotated ? NON_BLOCK | ANNOTATED : NON_BLOCK, 9);
  return Buffer.concat([packet, file]);
}

/** What comes after the command: packets that mysql2 cannot parse, so its stream is taken over. */
class DumpStream {
  readonly #session: Session;
  readonly #limits: DumpLimits;
  readonly #visit: Visitor;
  readonly #cutter = new PacketCutter();
  #checksum: Checksum = 'unknown';
  #read = 0;
  #events = 0;
  #end: DumpEnd | SqlFailure | null = null;

  constructor(session: Session, limits: DumpLimits, visit: Visitor) {
    this.#session = session;
    this.#limits = limits;
    this.#visit = visit;
  }

  run(start: DumpStart, time: TimeLimit): Promise<DumpEnd | SqlFailure> {
    return new Promise((resolve) => {
      const stream = this.#session.takeOver();
      const finish = (end: DumpEnd | SqlFailure): void => {
        stream.removeAllListeners('data');
        resolve(end);
      };
      time.signal.addEventListener('abort', () => {
        finish(time.expired() !== null && this.#events > 0 ? { end: 'time' } : lost('it was abandoned'));
      });
      this.#session.onDead((why) => finish(lost(why)));
      stream.on('data', (chunk: Buffer) => {
        time.heard();
        this.#take(chunk);
        if (this.#end !== null) finish(this.#end);
        else this.#hold(stream);
      });
      stream.write(command(start, this.#limits.annotated === true));
    });
  }

  #hold(stream: Duplex): void {
    const wait = this.#limits.pressure?.() ?? null;
    if (wait === null) return;
    stream.pause();
    void wait.then(() => stream.resume());
  }

  #take(chunk: Buffer): void {
    try {
      this.#cutter.push(chunk, (payload) => {
        this.#end = this.#payload(payload);
        return this.#end === null;
      });
      // One event alone may be larger than either.
      const most = Math.min(MAX_EVENT_BYTES, this.#limits.maxBytes - this.#read);
      if (this.#end === null && this.#cutter.held > most) this.#end = { end: 'bytes' };
    } catch (error) {
      const detail = `the binlog stream is malformed: ${error instanceof Error ? error.message : 'unknown'}`;
      this.#end = { code: 'ProtocolError', retryable: false, detail };
    }
  }

  #payload(payload: Buffer): DumpEnd | SqlFailure | null {
    const marker = payload.readUInt8(0);
    if (marker === 0xfe && payload.length < 9) return { end: 'eof' };
    if (marker === 0xff) return refusal(payload);
    this.#read += payload.length;
    if (this.#read > this.#limits.maxBytes) return { end: 'bytes' };
    if (marker !== 0) throw new RangeError(`a packet that begins with ${marker}`);
    const event = parseEvent(payload.subarray(1), this.#checksum);
    if (event.type === EVENT.FormatDescription) this.#checksum = parseFormat(event.body).checksum;
    this.#events += 1;
    return this.#visit(event) ? null : { end: 'stopped' };
  }
}

function refusal(payload: Buffer): DumpEnd | SqlFailure {
  const errno = payload.readUInt16LE(1);
  const text = payload.toString('utf8', payload.readUInt8(3) === 0x23 ? 9 : 3);
  return errno === REFUSED ? { end: 'refused', errno, text } : serverFailure(errno, text);
}
