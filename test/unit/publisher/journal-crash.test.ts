import assert from 'node:assert/strict';
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import { promisify } from 'node:util';
import { z } from 'zod';
import { isMxrError } from '../../../src/errors.ts';
import { until } from '../../support/wait.ts';
import { coordinates, journalIn, seqsOf, temporaryDirectory, upTo } from './fixture.ts';

const here = import.meta.dirname;

interface Appender {
  /** The last entry that it said is on the disk. */
  readonly acknowledged: () => number;
  kill(): Promise<void>;
}

function startAppender(t: TestContext, directory: string): Appender {
  const child = spawn(process.execPath, [join(here, 'appender-main.ts'), directory], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.after(() => child.kill('SIGKILL'));
  let last = 0;
  createInterface({ input: child.stdout }).on('line', (line) => {
    last = Number(line);
  });
  return {
    acknowledged: () => last,
    kill: async () => {
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    },
  };
}

describe('a publisher that is killed', { timeout: 120_000 }, () => {
  it('has every entry that was flushed, without damage, and its directory is free at once', async (t) => {
    const directory = temporaryDirectory(t);
    let before = 0;
    for (let round = 0; round < 4; round += 1) {
      const appender = startAppender(t, directory);
      const enough = before + 40 + Math.floor(Math.random() * 40);
      await until('the child has appended', () => appender.acknowledged() > enough, { intervalMs: 5 });
      await appender.kill();
      const journal = await journalIn(directory);
      const last = journal.latest()?.seq ?? 0;
      assert.ok(last >= appender.acknowledged(), `${appender.acknowledged()} was on the disk, ${last} is`);
      assert.deepEqual([await seqsOf(journal), journal.damage], [upTo(last), []]);
      before = last;
      await journal.close();
    }
  });
});

describe('two publishers with one directory', { timeout: 60_000 }, () => {
  it('the second is refused, in this process and in another one, until the first has ended', async (t) => {
    const directory = temporaryDirectory(t);
    const appender = startAppender(t, directory);
    await until('the child has the journal', () => appender.acknowledged() > 0);
    const refused = (error: unknown): boolean =>
      isMxrError(error, 'ConfigInvalid') &&
      error.message.includes(directory) &&
      /another publisher/u.test(error.message);
    await assert.rejects(journalIn(directory), refused);
    await appender.kill();
    const journal = await journalIn(directory);
    await assert.rejects(journalIn(directory), refused);
    await journal.close();
    await (await journalIn(directory)).close();
  });

  it('a directory that cannot be one is named', async () => {
    await assert.rejects(journalIn('/dev/null/journal'), (error) => {
      assert.ok(isMxrError(error, 'ConfigInvalid'));
      assert.match(error.message, /\/dev\/null\/journal: it cannot be opened \(ENOTDIR\)/u);
      return true;
    });
  });
});

const Picture = z.object({
  seqs: z.array(z.number()),
  damage: z.array(z.string()),
  writeErrors: z.number(),
  inMemory: z.number(),
});
const Seen = z.object({
  full: Picture,
  saidWhenFull: z.number(),
  freed: Picture,
  reopened: Picture,
  readOnly: Picture,
  writable: Picture,
});

const UNSHARE = [...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user']), '--mount'];
const MOUNT = 'mount -t tmpfs -o size=256k,mode=700 tmpfs "$1"';

/** Undefined: a file system of one's own can be mounted here. */
function whyNoMount(directory: string): string | undefined {
  try {
    execFileSync('unshare', [...UNSHARE, 'sh', '-c', MOUNT, 'sh', directory], { stdio: 'pipe' });
    return undefined;
  } catch (error) {
    return `no tmpfs can be mounted: ${error instanceof Error ? error.message.slice(0, 200) : String(error)}`;
  }
}

describe('a disk that takes nothing', { timeout: 60_000 }, () => {
  it('keeps nobody from going on in memory, and everything is written when it takes something again', async (t) => {
    const mount = temporaryDirectory(t);
    const missing = whyNoMount(mount);
    if (missing !== undefined) {
      t.skip(missing);
      return;
    }
    const script = `${MOUNT} && exec "$2" "$3" "$1"`;
    const args = [...UNSHARE, 'sh', '-c', script, 'sh', mount, process.execPath, join(here, 'full-disk-main.ts')];
    const { stdout } = await promisify(execFile)('unshare', args, { timeout: 50_000 });
    const { full, saidWhenFull, freed, reopened, readOnly, writable } = Seen.parse(JSON.parse(stdout));

    assert.deepEqual(full.seqs, upTo(23));
    assert.match(full.damage.join(), /ENOSPC.*: \d+ entries are in memory only/u);
    assert.ok(full.writeErrors > 1 && full.inMemory > 0);
    assert.equal(saidWhenFull, 1);

    assert.deepEqual([freed.seqs, freed.damage, freed.inMemory], [upTo(24), [], 0]);
    assert.deepEqual([reopened.seqs, reopened.damage], [upTo(24), []]);

    assert.deepEqual([readOnly.seqs, readOnly.inMemory], [upTo(25), 1]);
    assert.match(readOnly.damage.join(), /EROFS/u);
    assert.deepEqual([writable.seqs, writable.damage, writable.inMemory], [upTo(26), [], 0]);
  });

  it('an entry that was not flushed is on the disk a second later', async (t) => {
    const directory = temporaryDirectory(t);
    const journal = await journalIn(directory);
    await journal.append(coordinates(), { flush: false });
    await until('it is on the disk', () => journal.counts.inMemory === 0, { deadlineMs: 3_000 });
    await journal.close();
  });
});
