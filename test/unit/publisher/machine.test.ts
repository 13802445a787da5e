import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { datadirId, machineId } from '../../../src/publisher/machine.ts';
import { standbyLook } from './standby.ts';

const root = mkdtempSync(join(tmpdir(), 'mxr-machine-'));
after(() => rmSync(root, { recursive: true, force: true }));

function dataDirectory(name: string, binlogBytes = 400): string {
  const path = join(root, name);
  mkdirSync(path);
  writeFileSync(join(path, 'ibdata1'), '');
  writeFileSync(join(path, 'b-bin.000001'), Buffer.alloc(binlogBytes));
  return path;
}

function lookIn(path: string) {
  return standbyLook({ identity: { ...standbyLook().identity, datadir: path }, logBinBasename: join(path, 'b-bin') });
}

describe('the name of a machine', () => {
  test('is a hash of its machine-id, or unknown', async () => {
    const path = join(root, 'machine-id');
    writeFileSync(path, '0123456789abcdef0123456789abcdef\n');
    const id = await machineId(path);
    assert.match(id, /^[0-9a-f]{16}$/u);
    assert.ok(!'0123456789abcdef0123456789abcdef'.includes(id));
    writeFileSync(path, 'uninitialized\n');
    assert.equal(await machineId(path), '');
    assert.equal(await machineId(join(root, 'nowhere')), '');
  });
});

describe('the name of a data directory', () => {
  test('stays with it, wherever it is mounted, and is another for another one', async () => {
    const path = dataDirectory('one');
    const id = await datadirId(lookIn(path), null);
    assert.match(id, /^[0-9a-f]{16}$/u);
    assert.notEqual(await datadirId(lookIn(dataDirectory('two')), null), id);
    renameSync(path, join(root, 'mounted-elsewhere'));
    assert.equal(await datadirId(lookIn(path), join(root, 'mounted-elsewhere')), id);
  });

  test('is unknown where the directory of that name is not the one of the server that answers', async () => {
    assert.equal(await datadirId(lookIn(dataDirectory('older', 300)), null), '');
    assert.equal(await datadirId(lookIn(join(root, 'nowhere')), null), '');
    assert.equal(await datadirId({ ...lookIn(dataDirectory('off')), end: null }, null), '');
  });
});
