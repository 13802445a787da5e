import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { storyFile } from '../../../scripts/stories.ts';

describe('the stories of a file', () => {
  it('are its titles, however they are quoted and wrapped, with what differs left out', () => {
    const { stories } = storyFile(
      'some',
      [
        `test('by GTID', async () => {});`,
        `test("the holder's own file", { skip: !FULL }, async () => {});`,
        `for (const boundary of ALL) {`,
        `  test(\`killed \${boundary} of a move\`, async (t) => {});`,
        `  test(`,
        `    'wrapped, it\\'s long',`,
        `    { skip: mode !== 'by GTID' },`,
        `  );`,
        `}`,
      ].join('\n'),
    );
    assert.deepEqual(stories, [
      { title: 'by GTID', fullRunOnly: false },
      { title: "the holder's own file", fullRunOnly: true },
      { title: 'killed … of a move', fullRunOnly: false },
      { title: "wrapped, it's long", fullRunOnly: false },
    ]);
  });

  it('are opened by the first comment at the margin, never by one inside a story', () => {
    const opened = `import x;\n\n// The VIP goes,\n// and comes back (facts/mariadb.md §5).\nlet stage;\n// Not this.\ntest('a', f);\n`;
    assert.equal(storyFile('some', opened).opening, 'The VIP goes, and comes back.');
    assert.equal(storyFile('some', `test('a', () => {\n  // Inside.\n});\n// After.\n`).opening, '');
  });

  it('must be readable: a file without a title is an error, not an empty section', () => {
    assert.throws(() => storyFile('some', 'test(title, f);'), /some\.test\.ts has no test/);
  });
});
