import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const NAME = /^\s*(?:test|it)(?:\.\w+)?\(\s*(['"`])((?:\\.|(?!\1).)+)\1/gm;

/** Every end-to-end story, by the names of its tests: what mxr is shown to do on real parts. */
export function storiesPage(root: string, notice: string): string {
  const files = globSync('test/e2e/*.test.ts', { cwd: root }).toSorted();
  const sections = files.map((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    const names = [...text.matchAll(NAME)].map((match) => `- ${(match[2] ?? '').replaceAll("\\'", "'")}`);
    return [`## ${basename(file, '.test.ts')}`, ...names].join('\n');
  });
  const intro =
    'Each runs on the bench: real keepalived, MariaDB and API server, the operator with exactly the rights of the chart and the grants of [accounts](../accounts.md). `npm test` runs each in one mode, `npm run test:full` in all.';
  return `# Stories\n\n<!-- ${notice} -->\n\n${intro}\n\n${sections.join('\n\n')}\n`;
}
