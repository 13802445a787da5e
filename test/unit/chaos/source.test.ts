import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { it } from 'node:test';
import { DECIDES } from '../../chaos/source.ts';

const root = dirname(dirname(dirname(import.meta.dirname)));

it('the table of storms is of a text that holds all that decides and moves', () => {
  for (const path of DECIDES) assert.ok(existsSync(join(root, path)), path);
  const records = readdirSync(join(root, 'src/publisher')).filter((name) => name.startsWith('takeover'));
  const needed = [
    ...['domain', 'act', 'observe', 'operator', 'sql/binlog', 'kube/leader.ts'].map((path) => `src/${path}`),
    ...records.map((name) => `src/publisher/${name}`),
  ];
  const keyed: readonly string[] = DECIDES;
  assert.deepEqual(
    needed.filter((path) => !keyed.includes(path)),
    [],
  );
});
