import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';

/** docs/stories.md is made from the titles and the opening comments of the end-to-end tests. */

export interface Story {
  readonly title: string;
  /** Not in `npm test`. */
  readonly fullRunOnly: boolean;
}

export interface StoryFile {
  readonly name: string;
  /** What the file says before its first story. */
  readonly opening: string;
  readonly stories: readonly Story[];
}

const TITLE = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`/u;
const TEST = new RegExp(`^ *(?:test|it)\\(\\s*(${TITLE.source}),\\s*(\\{[^}]*\\})?`, 'gmu');
/** Evidence that is not kept in the repository. */
const FACTS = / ?\(facts\/[^)]*\)/gu;

export function storiesPage(root: string, notice: string): string {
  const files = globSync('test/e2e/*.test.ts', { cwd: root }).sort();
  const sections = files.map((file) => {
    const name = basename(file, '.test.ts');
    const page = `stories/${name}.md`;
    const link = existsSync(join(root, 'docs', page)) ? `For who has this set-up: [${name}](${page}).` : '';
    return section(storyFile(name, readFileSync(join(root, file), 'utf8')), link);
  });
  const intro =
    'Each runs on the bench: real keepalived, MariaDB and API server, the operator with exactly the rights of the chart ' +
    'and the grants of [accounts](accounts.md). `npm test` runs each in one mode, `npm run test:full` in all, and the main ' +
    'ones on [every pair of versions](versions.md). A heading is a file of `test/e2e/`; `…` in a title is what differs between the runs of one story.';
  return [`# Stories`, `<!-- ${notice} -->`, intro, ...sections].join('\n\n').concat('\n');
}

export function storyFile(name: string, source: string): StoryFile {
  const stories = [...source.matchAll(TEST)].map(([, literal = '', options = '']) => ({
    title: titleOf(literal),
    fullRunOnly: /skip: !FULL\b/u.test(options),
  }));
  if (stories.length === 0) throw new Error(`${name}.test.ts has no test with a title that can be read`);
  return { name, opening: openingOf(source), stories };
}

function titleOf(literal: string): string {
  return literal
    .slice(1, -1)
    .replaceAll(/\$\{[^}]*\}/gu, '…')
    .replaceAll(/\\(.)/gu, '$1');
}

/** The first comment that stands at the margin, on lines of its own, before any test or suite. */
function openingOf(source: string): string {
  const before = source.slice(0, source.search(/^ *(?:test|it|describe|inModes)\(/mu));
  const comment = /(?:^\/\/ .*\n)+/mu.exec(before)?.[0] ?? '';
  return comment
    .replaceAll(/^\/\/ /gmu, '')
    .trim()
    .replaceAll('\n', ' ')
    .replaceAll(FACTS, '');
}

function section({ name, opening, stories }: StoryFile, link: string): string {
  const lines = stories.map(({ title, fullRunOnly }) => `- ${escaped(title)}${fullRunOnly ? ' (full run only)' : ''}`);
  return [`## ${name}`, ...[opening, link].filter((text) => text !== ''), lines.join('\n')].join('\n\n');
}

/** A title is text, whatever Markdown would take it for. */
function escaped(title: string): string {
  return title.replaceAll(/[<*`]/gu, String.raw`\$&`);
}
