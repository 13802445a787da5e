import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { TestContext } from 'node:test';
import type { BinlogConfig } from '../../../src/config.ts';
import { listBinlogFiles, openBinlogFile } from '../../../src/publisher/binlog-files.ts';
import { FileBuilder, encryptedFile } from '../sql/binlog-file.ts';
import { temporaryDirectory } from './fixture.ts';

const FILE = new FileBuilder().statement(1n).build();

/** A data directory with binlog files, and with everything that could be taken for one. */
function dataDirectory(t: TestContext): BinlogConfig {
  const directory = temporaryDirectory(t);
  const put = (name: string, bytes: Buffer | string): void => writeFileSync(join(directory, name), bytes);
  put('mysql-bin.1000000', FILE);
  put('mysql-bin.000009', FILE);
  put('mysql-bin.000010', encryptedFile());
  put('mysql-bin.000011', 'no binlog file at all');
  put('mysql-bin.000012', '');
  put('mysql-bin.index', './mysql-bin.000009\n');
  put('mysql-bin.state', '0-1-1');
  put('mysql-bin.000009.bak', FILE);
  put('xmysql-bin.000009', FILE);
  put('mysql-bin-relay-bin.000001', FILE);
  put('mysqlxbin.000009', FILE);
  put('ibdata1', FILE);
  mkdirSync(join(directory, 'mysql-bin.000013'));
  symlinkSync(join(directory, 'ibdata1'), join(directory, 'mysql-bin.000014'));
  execFileSync('mkfifo', [join(directory, 'mysql-bin.000015')]);
  return { directory, baseName: 'mysql-bin', bytesPerSecond: 1e9 };
}

describe('the binlog files of a data directory', () => {
  test('are listed in their order; what only looks like one is not', { timeout: 10_000 }, async (t) => {
    assert.deepEqual(await listBinlogFiles(dataDirectory(t)), [
      { name: 'mysql-bin.000009', size: FILE.length, encrypted: false },
      { name: 'mysql-bin.000010', size: encryptedFile().length, encrypted: true },
      { name: 'mysql-bin.1000000', size: FILE.length, encrypted: false },
    ]);
  });

  test('are opened by their names; nothing else is', { timeout: 10_000 }, async (t) => {
    const config = dataDirectory(t);
    const file = await openBinlogFile(config, 'mysql-bin.000009');
    assert.deepEqual([file?.size, file?.encrypted], [FILE.length, false]);
    await file?.handle.close();
    const others = ['ibdata1', 'mysql-bin.index', 'mysql-bin.000099', '../mysql-bin.000009', 'mysql-bin.', ''];
    const alike = ['11', '12', '13', '14', '15'].map((number) => `mysql-bin.0000${number}`);
    for (const name of [...others, ...alike, 'mysql-bin.000009/', 'mysql-bin.000009\0', '/mysql-bin.000009']) {
      assert.equal(await openBinlogFile(config, name), null, JSON.stringify(name));
    }
  });

  test('a directory that cannot be read is an error, and not an empty list', async (t) => {
    const config = { ...dataDirectory(t), directory: '/nowhere/at/all' };
    await assert.rejects(listBinlogFiles(config), { code: 'ENOENT' });
  });
});
