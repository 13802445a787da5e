import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = dirname(dirname(import.meta.dirname));
/** What decides and what moves: runs of another text of it say nothing of this one. */
const DECIDES = 'src/{domain,act,observe,operator,sql}/**/*.ts';
const SHOWN = 12;

export function sourceHash(): string {
  const hash = createHash('sha256');
  for (const file of globSync(DECIDES, { cwd: root }).sort()) hash.update(file).update(readFileSync(join(root, file)));
  return hash.digest('hex').slice(0, SHOWN);
}
