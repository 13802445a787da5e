import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type ErrorCode, MxrError } from '../../../src/errors.ts';
import { type DumpEnd, type DumpLimits, readDump } from '../../../src/sql/binlog/dump.ts';
import { type BinlogEvent, EVENT } from '../../../src/sql/binlog/event.ts';
import { fileHeader } from '../../../src/sql/binlog/file-header.ts';
import { EOF, NOW, dumpBegin, dumpServer, eventBytes, formatBody, gtidBody, payloads } from './binlog-events.ts';
import { errorPacket } from './scripted-server.ts';

const LIMITS: DumpLimits = { deadlineMs: 5_000, maxBytes: 1_000_000 };
const START = { gtid: '0-1-1', strict: true };

interface Read {
  readonly done: DumpEnd;
  readonly events: readonly BinlogEvent[];
}

async function read(answer: readonly Buffer[], limits = LIMITS, stopAfter = Number.POSITIVE_INFINITY): Promise<Read> {
  await using server = await dumpServer(answer);
  const events: BinlogEvent[] = [];
  const done = await readDump(server.target(), START, limits, (event) => {
    events.push({ ...event, body: Buffer.from(event.body) });
    return events.length < stopAfter;
  });
  return { done, events };
}

async function failsWith(code: ErrorCode, answer: readonly Buffer[], limits = LIMITS): Promise<MxrError> {
  const error = await read(answer, limits).then(
    ({ done }) => assert.fail(`it ended with ${done.end}`),
    (error: unknown) => error,
  );
  assert.ok(error instanceof MxrError, String(error));
  assert.equal(error.code, code, error.message);
  return error;
}

const gtid = eventBytes({ type: EVENT.Gtid, end: 327, body: gtidBody(2n) });
const errorPayload = (errno: number, text: string): Buffer => errorPacket(0, errno, text).subarray(4);

describe('the header of a file', { timeout: 10_000 }, () => {
  test('encrypted binlogs are recognised: the server decrypts what it sends', async () => {
    const [rotate, format, list] = dumpBegin();
    assert.ok(rotate && format && list);
    const encryption = eventBytes({ type: EVENT.StartEncryption, end: 296, body: Buffer.alloc(17) });
    await using server = await dumpServer(payloads([rotate, format, encryption, list]));
    const header = await fileHeader(server.target(), 'bin.000001', LIMITS);
    const serverVersion = '10.11.19-MariaDB-log';
    const expected = { createdAt: NOW * 1000, serverVersion, byServerStart: true, encrypted: true, gtidList: '' };
    assert.deepEqual(header, expected);
  });

  test('a file that begins otherwise', async () => {
    await using server = await dumpServer([...payloads(dumpBegin().slice(0, 1)), EOF]);
    await assert.rejects(fileHeader(server.target(), 'bin.000001', LIMITS), { code: 'ProtocolError' });
  });
});

describe('a dump', { timeout: 10_000 }, () => {
  test('its events, with what the header says, until the server ends it', async () => {
    const { done, events } = await read([...payloads([...dumpBegin(), gtid]), EOF]);
    assert.deepEqual(done, { end: 'eof' });
    assert.deepEqual(
      events.map((event) => [event.type, event.endLogPos, event.fake]),
      [
        [EVENT.Rotate, 0, true],
        [EVENT.FormatDescription, 256, false],
        [EVENT.GtidList, 285, false],
        [EVENT.Gtid, 327, false],
      ],
    );
    assert.deepEqual(events.at(-1)?.body, gtidBody(2n));
    assert.equal(events.at(-1)?.size, 42);
  });

  test('it ends when the visitor has enough', async () => {
    const { done, events } = await read([...payloads([...dumpBegin(), gtid]), EOF], LIMITS, 2);
    assert.deepEqual(done, { end: 'stopped' });
    assert.equal(events.length, 2);
  });

  test('a refusal is an answer; another error is none', async () => {
    const { done } = await read([...payloads(dumpBegin()), errorPayload(1236, 'purged')]);
    assert.deepEqual(done, { end: 'refused', errno: 1236, text: 'purged' });
    const error = await failsWith('GrantMissing', [errorPayload(1227, 'you need the REPLICATION SLAVE privilege(s)')]);
    assert.match(error.message, /REPLICATION SLAVE/);
  });

  test('an event larger than one packet', async () => {
    const body = Buffer.alloc(0x1000000, 'x');
    const [large] = payloads([eventBytes({ type: EVENT.Query, body })]);
    assert.ok(large);
    const parts = [large.subarray(0, 0xffffff), large.subarray(0xffffff)];
    const { events } = await read([...payloads(dumpBegin()), ...parts, EOF], { ...LIMITS, maxBytes: 2 ** 26 });
    assert.ok(events.at(-1)?.body.equals(body));
  });

  test('without checksums, as the format says', async () => {
    const format = eventBytes({ type: EVENT.FormatDescription, end: 256, body: formatBody(0) });
    const bare = Buffer.from(gtid.subarray(0, -4));
    bare.writeUInt32LE(bare.length, 9);
    const rotate = dumpBegin()[0];
    assert.ok(rotate);
    const { events } = await read([...payloads([rotate, format, bare]), EOF]);
    assert.deepEqual(events.at(-1)?.body, gtidBody(2n));
  });

  test('every flipped bit of an event is noticed', async () => {
    for (const at of [0, 4, 13, 17, 25, gtid.length - 1]) {
      const damaged = Buffer.from(gtid);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      const error = await failsWith('ProtocolError', [...payloads([...dumpBegin(), damaged]), EOF]);
      assert.match(error.message, /checksum/);
    }
  });

  test('what is malformed is a ProtocolError', async () => {
    const short = Buffer.from([0, 1, 2, 3]);
    const wrongSize = Buffer.from(gtid);
    wrongSize.writeUInt32LE(9_999, 9);
    const unknownChecksum = eventBytes({ type: EVENT.FormatDescription, body: formatBody(7) });
    for (const answer of [[short], payloads([wrongSize]), payloads([unknownChecksum]), [Buffer.from([7])]]) {
      await failsWith('ProtocolError', answer);
    }
  });

  test('types that nobody knows pass with their type', async () => {
    const { events } = await read([
      ...payloads([...dumpBegin(), eventBytes({ type: 250, body: Buffer.from('?') })]),
      EOF,
    ]);
    assert.equal(events.at(-1)?.type, 250);
  });

  test('bounded in bytes', async () => {
    const many = Array.from({ length: 2_000 }, () => gtid);
    const { done, events } = await read(payloads([...dumpBegin(), ...many]), { ...LIMITS, maxBytes: 10_000 });
    assert.deepEqual(done, { end: 'bytes' });
    assert.ok(events.length < 2_000);
  });

  test('bounded in time: an answer that stops in between, or never begins', async () => {
    const { done } = await read(payloads(dumpBegin()), { ...LIMITS, deadlineMs: 1_000 });
    assert.deepEqual(done, { end: 'time' });
    await failsWith('Deadline', [], { ...LIMITS, deadlineMs: 200 });
  });

  test('abandoned by its caller', async () => {
    await using server = await dumpServer(payloads(dumpBegin()));
    const abort = new AbortController();
    const reading = readDump(server.target(), START, { ...LIMITS, signal: abort.signal }, (event) => {
      if (event.type === EVENT.GtidList) abort.abort();
      return true;
    });
    await assert.rejects(reading, { code: 'ConnectionLost' });
    assert.ok(server.sockets.length === 1);
  });

  test('a connection that breaks in between', async () => {
    await using server = await dumpServer(payloads(dumpBegin()));
    const reading = readDump(server.target(), START, LIMITS, (event) => {
      if (event.type === EVENT.GtidList) server.sockets[0]?.destroy();
      return true;
    });
    await assert.rejects(reading, { code: 'ConnectionLost' });
  });
});
