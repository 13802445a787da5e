import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import * as fc from 'fast-check';
import { MxrError } from '../../../src/errors.ts';
import { createLogger } from '../../../src/ops/log.ts';
import type { Logger } from '../../../src/ops/log.ts';
import { createSecrets } from '../../../src/ops/secrets.ts';
import type { LogLevel } from '../../../src/config.ts';

/** With everything that some encoding changes. */
const SECRET = `pa'ss"w\\rd/ü+ 1`;

interface Captured {
  readonly log: Logger;
  readonly lines: string[];
  /** The last line, parsed. */
  readonly last: () => Record<string, unknown>;
}

function capture(level: LogLevel = 'trace', secret = SECRET): Captured {
  const lines: string[] = [];
  const clock = { monotonicMs: () => 0, wallMs: () => Date.UTC(2026, 10, 21, 6, 30) };
  const secrets = createSecrets();
  secrets.add(secret);
  const log = createLogger({ level, clock, secrets, write: (line) => lines.push(line) });
  return { log, lines, last: () => JSON.parse(lines.at(-1) ?? '{}') as Record<string, unknown> };
}

function mxrError(detail: string, cause?: unknown): MxrError {
  const where = { operation: 'read the replica status', target: 'replica orders-0' };
  return new MxrError({ ...where, code: 'SqlError', detail, retryable: false, errno: 1064, cause });
}

describe('a log line', () => {
  it('is one object of JSON with level, ISO time, message and the fields', () => {
    const { log, lines, last } = capture();
    log.child({ pass: 'p-1' }).info('holder changed', { from: 'hci-a', to: 'hci-b', lag: 3n });
    assert.deepEqual(last(), {
      level: 'info',
      time: '2026-11-21T06:30:00.000Z',
      pass: 'p-1',
      from: 'hci-a',
      to: 'hci-b',
      lag: '3',
      message: 'holder changed',
    });
    assert.equal(lines.length, 1);
    assert.match(lines[0] ?? '', /\}\n$/u);
  });

  it('is written from its level on', () => {
    const { log, lines } = capture('warn');
    log.info('no');
    log.warn('yes');
    log.fatal('yes');
    assert.equal(lines.length, 2);
  });

  it('cannot be given a second level, time or message', () => {
    const { log, last } = capture();
    log.warn('the message', { level: 'x', message: 'y', time: 'z' });
    const line = last();
    assert.deepEqual([line['level'], line['message'], line['message_']], ['warn', 'the message', 'y']);
  });

  it('shows an error as its parts, with the texts of its causes', () => {
    const { log, last } = capture();
    log.error('look failed', { error: mxrError('syntax', new Error('outer', { cause: new TypeError('inner') })) });
    assert.deepEqual(last()['error'], {
      code: 'SqlError',
      operation: 'read the replica status',
      target: 'replica orders-0',
      detail: 'syntax',
      errno: 1064,
      retryable: false,
      cause: 'Error: outer <- TypeError: inner',
    });
  });

  it('shows the stack of an error that nobody translated', () => {
    const { log, last } = capture();
    log.fatal('bug', { error: new RangeError('off by one') });
    const error = last()['error'] as Record<string, string>;
    assert.equal(error['name'], 'RangeError');
    assert.match(error['stack'] ?? '', /log\.test\.ts/u);
  });

  it('survives whatever is logged', () => {
    const { log, lines, last } = capture();
    const cycle: Record<string, unknown> = { at: new Date(0), bytes: Buffer.from('abc'), map: new Map([['k', 1]]) };
    cycle['self'] = cycle;
    log.info('odd', {
      cycle,
      throws: Object.defineProperty({}, 'x', { enumerable: true, get: () => assert.fail('read') }),
      none: undefined,
      call: () => 1,
      long: 'x'.repeat(100_000),
      many: Array.from({ length: 1000 }, (_, index) => index),
      proto: JSON.parse('{"__proto__": {"polluted": 1}}') as unknown,
    });
    const line = last();
    assert.equal((line['cycle'] as Record<string, unknown>)['bytes'], '[3 bytes]');
    assert.equal(line['throws'], '[unreadable]');
    assert.ok((lines[0] ?? '').length < 10_000);
    assert.equal(({} as Record<string, unknown>)['polluted'], undefined);
    fc.assert(fc.property(fc.anything(), (value) => log.info('any', { value })));
  });
});

describe('a secret', () => {
  const places: Readonly<Record<string, (log: Logger, secret: string) => void>> = {
    'the message': (log, secret) => log.info(`it is ${secret}`),
    'a field': (log, secret) => log.info('m', { note: `it is ${secret}.` }),
    'the name of a field': (log, secret) => log.info('m', { [`x${secret}`]: 1 }),
    'a nested field': (log, secret) => log.info('m', { a: [{ b: { c: [secret] } }] }),
    'a map and a set': (log, secret) => log.info('m', { map: new Map([[secret, secret]]), set: new Set([secret]) }),
    'a child': (log, secret) => log.child({ a: secret }).info('m'),
    'an error': (log, secret) => log.info('m', { error: mxrError(`near '${secret}'`) }),
    'an unknown error and its stack': (log, secret) => log.info('m', { error: new Error(secret) }),
    'a cause': (log, secret) => log.info('m', { error: mxrError('x', new Error(secret)) }),
    'the cause of a cause': (log, secret) =>
      log.info('m', { error: mxrError('x', new Error('y', { cause: { text: secret } })) }),
    JSON: (log, secret) => log.info('m', { body: JSON.stringify({ p: secret }) }),
    'a URL': (log, secret) => log.info('m', { url: `http://h/?p=${encodeURIComponent(secret)}` }),
    base64: (log, secret) => log.info('m', { data: Buffer.from(secret).toString('base64') }),
    'SQL with backslashes': (log, secret) =>
      log.info('m', { near: `'${secret.replace(/['"\\]/gu, String.raw`\$&`)}'` }),
    'SQL with doubled quotes': (log, secret) => log.info('m', { near: secret.replaceAll("'", "''") }),
  };
  for (const [place, write] of Object.entries(places)) {
    it(`cannot be logged in ${place}`, () => {
      const { log, lines } = capture();
      write(log, SECRET);
      const line = lines.join('');
      assert.match(line, /\[hidden\]/u);
      for (const part of [SECRET, JSON.stringify(SECRET).slice(1, -1), 'ss\\"w', encodeURIComponent(SECRET)]) {
        assert.ok(!line.includes(part), line);
      }
    });
  }

  it('cannot be logged as a number, nor a short one as a whole text', () => {
    const digits = capture('info', '12345678');
    digits.log.info('m', { value: 12_345_678 });
    assert.equal(digits.last()['value'], '[hidden]');
    const short = capture('info', 'abc');
    short.log.info('m', { value: 'abc', word: 'abcess' });
    assert.deepEqual([short.last()['value'], short.last()['word']], ['[hidden]', 'abcess']);
  });

  it('cannot be logged in any text around it', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 4 }), fc.string(), fc.string(), (secret, before, after) => {
        fc.pre(!before.includes(secret) && !after.includes(secret) && !'[hidden]'.includes(secret));
        const secrets = createSecrets();
        secrets.add(secret);
        assert.ok(!secrets.mask(before + secret + after).includes(secret));
      }),
    );
  });

  it('is masked when one secret is part of another', () => {
    const secrets = createSecrets();
    secrets.add('hunter');
    secrets.add('hunter22');
    assert.equal(secrets.mask('hunter22 hunter'), '[hidden] [hidden]');
  });

  it('costs next to nothing to look for, however many there are, and the oldest are forgotten', () => {
    const secrets = createSecrets();
    for (let index = 0; index < 20_001; index += 1) secrets.add(`password-${index}-${index * 7919}`);
    const text = `${'word '.repeat(20)}password-20000-${20_000 * 7919}`;
    const startedMs = performance.now();
    for (let index = 0; index < 200; index += 1) assert.ok(secrets.mask(text).endsWith('word [hidden]'));
    assert.ok(performance.now() - startedMs < 2_000);
    assert.equal(secrets.mask('password-0-0'), 'password-0-0');
    assert.equal(secrets.mask(`password-19999-${19_999 * 7919}`), '[hidden]');
  });

  it('is not needed to hide what is a credential by its name', () => {
    const { log, last } = capture();
    log.info('m', {
      password: 'x1',
      replicationPassword: 'x2',
      headers: { Authorization: 'x3', 'set-cookie': 'x4' },
      apiKey: 'x5',
      token: ['x6'],
      secretName: 'orders-source',
      tokenFile: '/run/token',
    });
    const line = JSON.stringify(last());
    assert.doesNotMatch(line, /x\d/u);
    assert.match(line, /orders-source/u);
    assert.match(line, /\/run\/token/u);
  });

  it('is not needed to hide what is a credential by its shape', () => {
    const secrets = createSecrets();
    for (const text of [
      'Authorization: Bearer abc.DEF-123',
      "CHANGE MASTER TO MASTER_HOST='10.0.0.1', MASTER_PASSWORD='it''s \\'abc.DEF-123', MASTER_PORT=1",
      "near 'MASTER_PASSWORD='abc.DEF-123",
      "CREATE USER x IDENTIFIED BY 'abc.DEF-123'",
      "IDENTIFIED VIA ed25519 USING 'abc.DEF-123'",
      'mysql://user:abc.DEF-123@host/db',
      '-----BEGIN PRIVATE KEY-----\nabc.DEF-123\n-----END PRIVATE KEY-----',
      "SET PASSWORD = 'abc.DEF-123'",
      "PASSWORD('abc.DEF-123')",
    ]) {
      const masked = secrets.mask(text);
      assert.ok(masked.includes('[hidden]') && !masked.includes('DEF'), masked);
    }
    assert.match(secrets.mask("MASTER_PASSWORD='a', MASTER_PORT=1"), /MASTER_PORT=1/u);
    assert.equal(secrets.mask('the password of hci-a was refused'), 'the password of hci-a was refused');
  });
});
