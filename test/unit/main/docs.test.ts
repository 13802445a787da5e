import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { parse } from 'yaml';
import { FINDINGS, REASONS, UNPROVEN_REASONS, VERDICTS } from '../../../src/api/reasons.ts';
import { Spec } from '../../../src/api/spec.ts';
import { METRICS } from '../../../src/ops/metrics.ts';
import { PUBLISHER_METRICS } from '../../../src/publisher/metrics-table.ts';

const ROOT = join(import.meta.dirname, '../../..');
const PAGES = [...globSync('*.md', { cwd: ROOT }), ...globSync('docs/**/*.md', { cwd: ROOT })];

function read(page: string): string {
  return readFileSync(join(ROOT, page), 'utf8');
}

describe('the documentation', () => {
  it('says of every verdict what it means, how it is proven, and what to do, with commands', () => {
    const sections = read('docs/verdicts.md').split(/^(?=###? )/mu);
    for (const verdict of VERDICTS) {
      const section = sections.find((one) => one.startsWith(`### ${verdict}\n`)) ?? '';
      assert.match(section, /^### \w+\s+[^]{20,}^\*\*Proven\*\*:? .{10,}[^]*^\*\*Do\*\*: .{5,}/mu, verdict);
      // Nothing can be done about what does not exist yet.
      if (verdict !== 'Reseeding')
        assert.match(section, /^```\n(?:kubectl|POD|MEMBER|mariadb-dump) [^]*?^```$/mu, verdict);
    }
  });

  it('says of every reason and finding what it means and what mends it', () => {
    const rows = new Map(
      [...read('docs/verdicts.md').matchAll(/^\| `(\w+)` \| (.+) \|$/gmu)].map(([, name = '', rest = '']) => [
        name,
        rest.split(' | ').filter((cell) => cell.trim().length > 3),
      ]),
    );
    const verdicts: readonly string[] = VERDICTS;
    for (const reason of REASONS.filter((one) => !verdicts.includes(one))) {
      assert.ok((rows.get(reason)?.length ?? 0) >= 2, `${reason} has no row with its meaning and its cure`);
    }
    for (const name of rows.keys()) assert.ok((REASONS as readonly string[]).includes(name), `${name} is no reason`);
  });

  it('names only metrics that exist', () => {
    const known = [...METRICS, ...PUBLISHER_METRICS].map(({ name }) => name);
    for (const page of PAGES) {
      for (const [name] of read(page).matchAll(/\bmxr_[a-z_]+(?=[ `{<])/gu)) {
        if (!/^mxr_(look|repl|replica|publisher)$/u.test(name)) assert.ok(known.includes(name), `${page}: ${name}`);
      }
    }
  });

  it('has a section for every file of stories, with each of its titles, and no other', () => {
    const sections = read('docs/stories.md').split(/^## /mu).slice(1);
    const told = sections.map((section) => [section.split('\n')[0], section.match(/^- /gmu)?.length]);
    const files = globSync('test/e2e/*.test.ts', { cwd: ROOT }).sort();
    // Read in another way than the page is made: however a test is written, it counts.
    const there = files.map((file) => [basename(file, '.test.ts'), read(file).match(/^\s*(?:test|it)\(/gmu)?.length]);
    assert.deepEqual(told, there);
    assert.ok(there.length > 40);
    assert.doesNotMatch(read('docs/stories.md'), /\$\{/u);
  });

  it('has a page for each of the five set-ups, with a resource that is valid, linked from its stories', () => {
    const pages = globSync('docs/stories/*.md', { cwd: ROOT }).map((page) => basename(page, '.md'));
    assert.deepEqual(pages.sort(), ['dr-dual', 'dual-primary', 'hci-standby', 'preempt-pair', 'shared-storage']);
    for (const name of pages) {
      assert.ok(read('docs/stories.md').includes(`(stories/${name}.md)`), name);
      const [, yaml = ''] = /```yaml\n([^]*?)```/u.exec(read(`docs/stories/${name}.md`)) ?? [];
      const resource: unknown = parse(yaml);
      assert.ok(typeof resource === 'object' && resource !== null && 'spec' in resource, name);
      Spec.parse(resource.spec);
    }
  });

  it('names only verdicts, reasons and findings that exist in the pages of the set-ups', () => {
    const known: readonly string[] = [...VERDICTS, ...UNPROVEN_REASONS, ...FINDINGS];
    for (const page of PAGES.filter((one) => one.startsWith('docs/stories/'))) {
      for (const [, verdict = '', reason = ''] of read(page).matchAll(/`([A-Z][a-z]+)\/([A-Z][A-Za-z]+)`/gu)) {
        assert.ok(known.includes(verdict) && known.includes(reason), `${page}: ${verdict}/${reason}`);
      }
      for (const [, finding = ''] of read(page).matchAll(/finding `(\w+)`/gu))
        assert.ok(known.includes(finding), `${page}: ${finding}`);
    }
  });

  it('has no link that leads nowhere', () => {
    for (const page of PAGES) {
      for (const [, target = ''] of read(page).matchAll(/\]\(([^)#\s]+)[^)]*\)/gu)) {
        if (/^[a-z]+:/u.test(target)) continue;
        assert.ok(existsSync(join(ROOT, dirname(page), target)), `${page}: ${target}`);
      }
    }
  });
});
