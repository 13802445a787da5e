import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import { systemClock } from '../../../src/clock.ts';
import { parsePosition } from '../../../src/domain/gtid.ts';
import { EVENT } from '../../../src/sql/binlog/event.ts';
import type { BinlogFiles } from '../../../src/sql/binlog/files.ts';
import { PacketCutter } from '../../../src/sql/binlog/packets.ts';
import { proveRange } from '../../../src/sql/binlog/prove-range.ts';
import type { BinlogRange } from '../../../src/sql/binlog/range.ts';
import { openSession } from '../../../src/sql/connection.ts';
import type { SqlTarget } from '../../../src/sql/port.ts';
import type { Session } from '../../../src/sql/session.ts';
import { type BinlogSource, type Offer, type OfferOptions, startBinlogSource } from '../../../src/sql/source/server.ts';
import { until } from '../../support/wait.ts';
import { collectingLog } from '../publisher/fixture.ts';
import { FileBuilder, diskOf } from './binlog-file.ts';

const NEVER = new AbortController().signal;
const FIRST_LIMIT = 0xffffff;

interface Set {
  readonly source: BinlogSource;
  readonly files: BinlogFiles;
  readonly range: BinlogRange;
  readonly offer: Offer;
}

async function startSource(t: TestContext, file: FileBuilder, more: Partial<OfferOptions> = {}): Promise<Set> {
  const files = more.files ?? diskOf([file], { chunk: 1e6 });
  const [from, upTo] = [parsePosition('0-1-1'), parsePosition('0-1-3')];
  assert.ok(from !== undefined && upTo !== undefined);
  const question = { from, until: upTo, fromAt: null, untilAt: null, serverId: 1, remembered: [] };
  const answer = await proveRange(diskOf([file], { chunk: 1e6 }), question, NEVER);
  assert.ok(answer.kind === 'Range', JSON.stringify(answer));
  const { range } = answer;
  const source = await startBinlogSource({
    listen: { host: null, port: 0 },
    clock: systemClock,
    log: collectingLog().log,
  });
  t.after(() => source.close());
  const offer = source.offer({ files, range, replica: '127.0.0.1', lifeMs: 20_000, signal: NEVER, ...more });
  return { source, files, range, offer };
}

function small(): FileBuilder {
  return new FileBuilder().statement(1n).transaction(2n).transaction(3n);
}

function targetOf({ port, account }: Offer, changes: Partial<SqlTarget> = {}): SqlTarget {
  return { name: 'source', host: '127.0.0.1', port, ...account, tls: { mode: 'Disabled' }, ...changes };
}

async function logIn(t: TestContext, offer: Offer, changes: Partial<SqlTarget> = {}): Promise<Session> {
  const session = await openSession(targetOf(offer, changes), { deadlineMs: 3_000 });
  t.after(() => session.destroy());
  return session;
}

async function say(session: Session, ...statements: readonly string[]): Promise<unknown[]> {
  const answers: unknown[] = [];
  for (const sql of statements) answers.push(await session.query(sql, [], { deadlineMs: 3_000, operation: 'ask' }));
  return answers;
}

const READY = [
  'SET @master_heartbeat_period= 200000000',
  'SET @master_binlog_checksum= @@global.binlog_checksum',
  'SET @mariadb_slave_capability=4',
  "SET @slave_connect_state='0-1-1'",
  "SET @slave_until_gtid='0-1-3'",
];

/** Asks for the binlog and hands each payload on. */
function dump(session: Session, onPayload: (payload: Buffer) => void, flags = 2): void {
  const cutter = new PacketCutter();
  const stream = session.takeOver();
  stream.on('data', (chunk: Buffer) =>
    cutter.push(chunk, (payload) => {
      onPayload(payload);
      return true;
    }),
  );
  const packet = Buffer.from([11, 0, 0, 0, 18, 4, 0, 0, 0, flags, 0, 3, 0, 0, 0]);
  stream.write(packet);
}

/** All of it; an error as its text. */
function dumped(session: Session, flags?: number): Promise<Buffer[]> {
  return new Promise((resolve, reject) => {
    const payloads: Buffer[] = [];
    session.onDead((why) => reject(new Error(why)));
    dump(
      session,
      (payload) => {
        if (payload[0] === 0xff) reject(new Error(`${payload.readUInt16LE(1)} ${payload.toString('utf8', 9)}`));
        else if (payload[0] === 0xfe && payload.length < 9) resolve(payloads);
        else payloads.push(Buffer.from(payload.subarray(1)));
      },
      flags,
    );
  });
}

describe('a source that is made of binlog files', { timeout: 60_000 }, () => {
  test('answers what a replica asks, and nothing else', async (t) => {
    const { offer } = await startSource(t, small());
    const session = await logIn(t, offer);
    assert.equal(session.serverVersion, '10.11.19-MariaDB-log');
    const [time, ...others] = await say(
      session,
      'SELECT UNIX_TIMESTAMP()',
      "SHOW VARIABLES LIKE 'SERVER_ID'",
      'SELECT @@GLOBAL.gtid_domain_id',
      'SELECT @master_binlog_checksum',
      "SHOW VARIABLES LIKE 'rpl_semi_sync_master_enabled'",
    );
    assert.ok(Math.abs(Number(Object.values((time as object[])[0] ?? {})[0]) * 1000 - Date.now()) < 5_000);
    assert.deepEqual(
      others.map((rows) => (rows as object[]).map((row) => Object.values(row))),
      [[['server_id', '1']], [['0']], [['CRC32']], []],
    );
    for (const sql of [
      'SELECT 1',
      'SELECT * FROM mysql.user',
      'SET GLOBAL x=1',
      "SET @a='1', @b=(SELECT 1)",
      'DROP TABLE t',
    ]) {
      await assert.rejects(say(session, sql), { errno: 1235 }, sql);
    }
    await say(session, "SET @a=1, @b='x,y', @c=@@global.x");
  });

  test('sends the range as it is in the file, whatever the size of an event', async (t) => {
    const sizes = [FIRST_LIMIT - 2, FIRST_LIMIT - 1, FIRST_LIMIT, 2 * FIRST_LIMIT - 1];
    const file = new FileBuilder().statement(1n);
    const begin = file.size;
    // Between an event and the text of a statement are 19 + 13 + 5 + 4 bytes of its own.
    const texts = sizes.map((size) => 'x'.repeat(size - 41));
    file.transactionOf(2n, texts).event({ type: EVENT.BinlogCheckpoint }).transaction(3n);
    const bytes = file.build();
    file.transaction(4n);
    const { offer, range } = await startSource(t, file);
    const session = await logIn(t, offer);
    await say(session, ...READY);
    const events = await dumped(session);
    const [rotate, format, ...rest] = events;
    const last = rest.pop();
    assert.deepEqual([rotate?.[4], format?.[4], last?.[4]], [EVENT.Rotate, EVENT.FormatDescription, EVENT.GtidList]);
    assert.equal(format?.readUInt32LE(71), 0, 'it tells of a start of the server');
    const lengths = rest.map(({ length }) => length);
    for (const size of sizes) assert.ok(lengths.includes(size), String(size));
    const sent = Buffer.concat(rest);
    assert.ok(sent.equals(withoutCheckpoint(bytes.subarray(begin, range.end.position))));
    assert.equal((last?.readUInt32LE(19) ?? 0) >>> 28, 1, 'it does not say that the end is reached');
    assert.deepEqual(await offer.ended, { kind: 'Sent' });
    assert.ok(offer.sentBytes() === sent.length);
  });

  test('leaves out the texts of statements for a replica that does not want them', async (t) => {
    const file = new FileBuilder().statement(1n);
    file.transactionOf(2n, ['a'], EVENT.AnnotateRows).transaction(3n);
    for (const [flags, wanted] of [
      [0, 0],
      [2, 1],
    ] as const) {
      const { offer } = await startSource(t, file);
      const session = await logIn(t, offer);
      await say(session, ...READY);
      const annotated = (await dumped(session, flags)).filter((event) => event[4] === EVENT.AnnotateRows);
      assert.equal(annotated.length, wanted);
    }
  });

  test('refuses a replica that stands elsewhere, does not stop, or stops elsewhere, so that it does not dial again', async (t) => {
    const wrong: Readonly<Record<string, readonly string[]>> = {
      'it is no replica that knows GTIDs': READY.filter((sql) => !sql.includes('capability')),
      'it stands at 0-1-2,': [...READY, "SET @slave_connect_state='0-1-2'"],
      'it stands at 0-1-1,5-1-1,': [...READY, "SET @slave_connect_state='0-1-1,5-1-1'"],
      'it stands at no GTID position': READY.filter((sql) => !sql.includes('connect_state')),
      'it does not stop at 0-1-3': READY.filter((sql) => !sql.includes('until')),
      'it does not stop at 0-1-3, up': [...READY, "SET @slave_until_gtid='0-1-4'"],
    };
    for (const [words, statements] of Object.entries(wrong)) {
      const { offer } = await startSource(t, small());
      const session = await logIn(t, offer);
      await say(session, ...statements);
      await assert.rejects(dumped(session), new RegExp(`^Error: 1236 ${words}`), words);
      assert.equal((await offer.ended).kind, 'Failed');
    }
  });

  test('lets in one, with the account of the offer, from the address of the replica', async (t) => {
    const { offer, source } = await startSource(t, small());
    await assert.rejects(logIn(t, offer, { password: `${offer.account.password}x` }), { code: 'AccessDenied' });
    await assert.rejects(logIn(t, offer, { password: '' }), { code: 'AccessDenied' });
    await assert.rejects(logIn(t, offer, { user: 'root' }), { code: 'AccessDenied' });
    const stranger = connect({ port: source.port, host: '127.0.0.1', localAddress: '127.0.0.2' });
    let said = 0;
    stranger.on('data', (chunk) => (said += chunk.length)).on('error', () => undefined);
    await new Promise((resolve) => stranger.on('close', resolve));
    assert.equal(said, 0, 'somebody else was greeted');
    await logIn(t, offer);
    await assert.rejects(logIn(t, offer), { code: 'AccessDenied' });
    offer.withdraw();
    await assert.rejects(logIn(t, offer), { code: 'ConnectionLost' });
  });

  test('ends with its life, with the caller, and with the replica', async (t) => {
    const short = await startSource(t, small(), { lifeMs: 300 });
    const session = await logIn(t, short.offer);
    assert.deepEqual(await short.offer.ended, { kind: 'Withdrawn' });
    await until('its connection is gone', () => !session.alive);
    const abort = new AbortController();
    const { offer } = await startSource(t, small(), { signal: abort.signal });
    abort.abort();
    assert.deepEqual(await offer.ended, { kind: 'Withdrawn' });
    const left = await startSource(t, small());
    (await logIn(t, left.offer)).destroy();
    assert.deepEqual(await left.offer.ended, { kind: 'Failed', detail: 'the replica closed the connection' });
  });

  test('says that it is there while the files are slow, and why it ends when they break off', async (t) => {
    const disk = diskOf([small()]);
    let give: () => void = () => undefined;
    const stuck = new Promise<void>((resolve) => {
      give = resolve;
    });
    const files: BinlogFiles = {
      ...disk,
      async *read(...asked) {
        await stuck;
        yield* disk.read(...asked);
        throw new Error('the disk is gone');
      },
    };
    const { offer } = await startSource(t, small(), { files });
    const session = await logIn(t, offer);
    await say(session, ...READY);
    const types: number[] = [];
    let refusal = '';
    dump(session, (payload) => {
      if (payload[0] === 0xff) refusal = payload.toString('utf8', 9);
      else types.push(payload[5] ?? 0);
    });
    await until('heartbeats arrive', () => types.filter((type) => type === EVENT.Heartbeat).length >= 2);
    give();
    await until('it says why', () => refusal !== '');
    assert.match(refusal, /the disk is gone/);
    assert.ok(!types.includes(EVENT.GtidList), 'the end was announced');
    assert.equal((await offer.ended).kind, 'Failed');
  });

  test('reads the files no further for a replica that hung up in the middle', async (t) => {
    const disk = diskOf([small()]);
    const signals: AbortSignal[] = [];
    const files: BinlogFiles = {
      ...disk,
      async *read(file, from, length, signal) {
        signals.push(signal);
        await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
        yield* disk.read(file, from, length, signal);
      },
    };
    const { offer } = await startSource(t, small(), { files });
    const session = await logIn(t, offer);
    await say(session, ...READY);
    dump(session, () => undefined);
    await until('the files are being read', () => signals.length > 0);
    session.destroy();
    assert.deepEqual(await offer.ended, { kind: 'Failed', detail: 'the replica closed the connection' });
    assert.ok(signals.every(({ aborted }) => aborted));
  });

  test('is not held up by who speaks something else, says too much, or nothing', async (t) => {
    const { offer, source } = await startSource(t, small());
    const sockets = [Buffer.from('GET / HTTP/1.1\r\n\r\n'), Buffer.alloc(100_000, 1), Buffer.from([1, 0, 0, 1, 0])].map(
      (bytes) => {
        const socket = connect({ port: source.port, host: '127.0.0.1' });
        t.after(() => socket.destroy());
        socket.on('error', () => undefined).on('data', () => undefined);
        socket.write(bytes);
        return socket;
      },
    );
    await until('all of them are there', () => sockets.every(({ connecting }) => !connecting));
    const session = await logIn(t, offer);
    await say(session, ...READY);
    assert.ok((await dumped(session)).length > 5);
  });
});

/** What a replica is not sent: how the file itself goes on. */
function withoutCheckpoint(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const size = bytes.readUInt32LE(at + 9);
    if (bytes[at + 4] !== EVENT.BinlogCheckpoint) parts.push(bytes.subarray(at, at + size));
    at += size;
  }
  return Buffer.concat(parts);
}
