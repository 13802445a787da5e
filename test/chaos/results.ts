import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { z } from 'zod';
import type { Row } from './table.ts';

const End = z.strictObject({
  replica: z.string(),
  verdict: z.string(),
  outcome: z.string(),
  lost: z.number(),
  doubled: z.number(),
});
const Line = z.strictObject({
  trees: z.string(),
  seed: z.int(),
  state: z.enum(['ok', 'FAILED', 'void']),
  configuration: z.string(),
  faults: z.array(z.string()),
  made: z.int(),
  unmade: z.array(z.string()),
  legal: z.boolean(),
  ended: z.array(End),
  why: z.string(),
  seconds: z.number(),
});

/**
 * Every run that was ever made for a table, a line each, beside its page: written as the run ends, so that a crash loses
 * nothing but what was running. The page shows the runs of one source; a new source begins a new table.
 */
export class Results {
  readonly file: string;
  readonly #trees: string;

  constructor(page: string, trees: string) {
    this.file = page.replace(/(\.md)?$/, '.jsonl');
    this.#trees = trees;
  }

  add(row: Row): void {
    // A line that a crash has torn ends here.
    const before = this.#text();
    const begin = before === '' || before.endsWith('\n') ? '' : '\n';
    appendFileSync(this.file, `${begin}${JSON.stringify({ trees: this.#trees, ...row })}\n`);
  }

  /** Of this source, by seed. Each seed counts once: with its first run, but one that failed stays failed. */
  rows(): Row[] {
    const rows = new Map<number, Row>();
    for (const line of this.#text().split('\n')) {
      const row = rowIn(line, this.#trees);
      if (row === undefined) continue;
      const known = rows.get(row.seed);
      if (known === undefined || (known.state !== 'FAILED' && row.state === 'FAILED')) rows.set(row.seed, row);
    }
    return [...rows.values()].sort((one, other) => one.seed - other.seed);
  }

  #text(): string {
    return existsSync(this.file) ? readFileSync(this.file, 'utf8') : '';
  }
}

function rowIn(line: string, trees: string): Row | undefined {
  try {
    const parsed = Line.safeParse(JSON.parse(line));
    if (!parsed.success || parsed.data.trees !== trees) return undefined;
    const { trees: _, ...row } = parsed.data;
    return row;
  } catch {
    return undefined;
  }
}
