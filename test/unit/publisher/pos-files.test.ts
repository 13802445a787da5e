import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { isMxrError } from '../../../src/errors.ts';
import { readPosFiles } from '../../../src/publisher/pos-files.ts';
import { temporaryDirectory } from './fixture.ts';

const MASTER_END = 'mysql-bin-master-end.pos';
const SLAVE_END = 'mysql-bin-slave-end.pos';
const WRITTEN = new Date('2026-11-20T03:04:05.000Z');

function printed(file: string, position: string): string {
  return [
    '*************************** 1. row ***************************',
    `            File: ${file}`,
    `        Position: ${position}`,
    '    Binlog_Do_DB: ',
    'Binlog_Ignore_DB: mysql,information_schema',
    '',
  ].join('\n');
}

const GOOD = printed('mysql-bin.000042', '73451');
const IMPORTED = { file: 'mysql-bin.000042', position: 73451, writtenAt: WRITTEN.toISOString() };

describe('old .pos files', () => {
  it('are read as the mariadb client prints them, with the time at which they were written', async (t) => {
    const directory = temporaryDirectory(t);
    writeFileSync(join(directory, MASTER_END), GOOD);
    writeFileSync(join(directory, SLAVE_END), printed('log.bin.1000000', '4'));
    for (const name of [MASTER_END, SLAVE_END]) utimesSync(join(directory, name), WRITTEN, WRITTEN);
    assert.deepEqual(await readPosFiles(directory), {
      masterEnd: IMPORTED,
      slaveEnd: { file: 'log.bin.1000000', position: 4, writtenAt: WRITTEN.toISOString() },
    });
  });

  it('are null where they do not exist', async (t) => {
    assert.deepEqual(await readPosFiles(temporaryDirectory(t)), { masterEnd: null, slaveEnd: null });
  });

  const accepted: Readonly<Record<string, string>> = {
    'with the line ends of Windows': GOOD.replaceAll('\n', '\r\n'),
    'with something behind it': `${GOOD}1 row in set (0.000 sec)\n\nMariaDB [(none)]> quit\u0000\u0001`,
    'with a prompt before it': `MariaDB [(none)]> SHOW MASTER STATUS\\G\n${GOOD}`,
  };
  for (const [name, text] of Object.entries(accepted)) {
    it(`are read ${name}`, async (t) => {
      const directory = temporaryDirectory(t);
      const file = join(directory, MASTER_END);
      writeFileSync(file, text);
      utimesSync(file, WRITTEN, WRITTEN);
      assert.deepEqual((await readPosFiles(directory)).masterEnd, IMPORTED);
    });
  }

  it('that were cut at any byte are refused, or still say what they said', async (t) => {
    const directory = temporaryDirectory(t);
    const file = join(directory, MASTER_END);
    const whole = GOOD.indexOf('73451\n') + '73451\n'.length;
    for (let length = 0; length <= GOOD.length; length += 1) {
      writeFileSync(file, GOOD.slice(0, length));
      utimesSync(file, WRITTEN, WRITTEN);
      const read = readPosFiles(directory);
      if (length >= whole) assert.deepEqual((await read).masterEnd, IMPORTED);
      else await assert.rejects(read, (error) => isMxrError(error, 'InputInvalid'), `cut at ${length}`);
    }
  });

  const damaged: readonly (readonly [string, string | Buffer, RegExp])[] = [
    ['empty', '', /it is empty/u],
    ['blank', ' \r\n\n', /it is empty/u],
    ['without a row', "ERROR 2002 (HY000): Can't connect\n", /0 rows instead of one/u],
    ['with two rows', GOOD + GOOD.replace('1. row', '2. row'), /2 rows instead of one/u],
    ['with File twice', GOOD.replace('Position', 'File: mysql-bin.000043\n        Position'), /File more than once/u],
    ['without a position', GOOD.replace('Position', 'Pos'), /no whole line with Position/u],
    ['with a position in words', printed('mysql-bin.000042', 'none'), /its Position is not a number/u],
    ['with a negative position', printed('mysql-bin.000042', '-4'), /its Position is not a number/u],
    ['with a position of twenty digits', printed('mysql-bin.000042', '9'.repeat(20)), /its Position is not a number/u],
    ['with a position before the first event', printed('mysql-bin.000042', '3'), /its Position is not a position/u],
    ['with a path for a file', printed('../mysql-bin.000042', '4'), /its File is not the name of a binlog file/u],
    ['with no number in the file', printed('mysql-bin', '4'), /its File is not the name of a binlog file/u],
    ['with no file', printed('', '4'), /its File is not the name of a binlog file/u],
    ['with bytes that are no text', Buffer.concat([Buffer.from(GOOD), Buffer.of(0xff)]), /it is not text/u],
    ['too big', GOOD + ' '.repeat(64 * 1024), /more than 65536/u],
  ];
  for (const [name, content, expected] of damaged) {
    it(`that are ${name.replace(/^with/u, 'written with')} are refused, with their path and a cure`, async (t) => {
      const directory = temporaryDirectory(t);
      writeFileSync(join(directory, SLAVE_END), content);
      await assert.rejects(readPosFiles(directory), (error) => {
        assert.ok(isMxrError(error, 'InputInvalid'));
        assert.match(error.message, expected);
        assert.ok(error.message.includes(join(directory, SLAVE_END)));
        assert.match(error.message, /write it anew, or remove it/u);
        return true;
      });
    });
  }

  it('are not read through a link that leads out of the directory, and are through one that does not', async (t) => {
    const directory = temporaryDirectory(t);
    const outside = join(temporaryDirectory(t), 'outside.pos');
    writeFileSync(outside, GOOD);
    const file = join(directory, MASTER_END);
    symlinkSync(outside, file);
    await assert.rejects(readPosFiles(directory), /a link to a place outside/u);
    rmSync(file);
    symlinkSync('nowhere', file);
    await assert.rejects(readPosFiles(directory), /a link to nothing/u);
    rmSync(file);
    writeFileSync(join(directory, 'real.pos'), GOOD);
    symlinkSync('real.pos', file);
    assert.equal((await readPosFiles(directory)).masterEnd?.position, 73451);
    assert.equal(readFileSync(outside, 'utf8'), GOOD);
  });

  it('that are no files at all are refused, and a pipe holds nobody up', { timeout: 5_000 }, async (t) => {
    const directory = temporaryDirectory(t);
    mkdirSync(join(directory, MASTER_END));
    await assert.rejects(readPosFiles(directory), /not a regular file/u);
    rmSync(join(directory, MASTER_END), { recursive: true });
    execFileSync('mkfifo', [join(directory, MASTER_END)]);
    await assert.rejects(readPosFiles(directory), /not a regular file/u);
  });

  it('in a directory that does not exist are an error that names it', async () => {
    await assert.rejects(readPosFiles('/nowhere/at/all'), (error) => {
      assert.ok(isMxrError(error, 'InputInvalid'));
      assert.match(error.message, /directory \/nowhere\/at\/all.*name the directory of the \.pos files/u);
      return true;
    });
  });
});
