import assert from 'node:assert/strict';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { open, stat } from 'node:fs/promises';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import type { PublisherJournal } from '../../../src/publisher/journal.ts';
import { openJournal } from '../../../src/publisher/journal.ts';
import { collectingLog, coordinates, journalIn, seqsOf, temporaryDirectory, upTo } from './fixture.ts';

// What a crash of the host leaves cannot be tried here: that the kernel is asked in time is what keeps the journal.

const FLUSH = { flush: true };
const LATER = { flush: false };
const SECOND_MS = 1_000;

interface Disk {
  /** In the order in which they happened. */
  readonly events: string[];
  /** Of `datasync`, that it ended: what a file had when it began is on the disk. */
  readonly safe: { readonly path: string; readonly text: string }[];
  /** What a directory had when its `sync` began, once that has ended. */
  readonly safeNames: Set<string>;
  /** While it is set, no `datasync` ends. */
  hold: Promise<void> | null;
  /** What the next `datasync` fails with, after which its kernel has forgotten what was written. */
  failure: Error | null;
}

/** Every file is really written and really synced; what is asked of the kernel is told, and can be held up. */
async function watched(t: TestContext): Promise<Disk> {
  const disk: Disk = { events: [], safe: [], safeNames: new Set(), hold: null, failure: null };
  const any = await open('/dev/null');
  const prototype = Object.getPrototypeOf(any) as FileHandle;
  await any.close();
  // oxlint-disable-next-line typescript/unbound-method -- each is called with the file that it belongs to
  const { datasync, sync, write } = prototype;
  t.mock.method(prototype, 'write', async function written(this: FileHandle, ...args: unknown[]) {
    const result: unknown = await Reflect.apply(write, this, args);
    disk.events.push('written');
    return result;
  });
  t.mock.method(prototype, 'datasync', async function synced(this: FileHandle) {
    const path = pathOf(this);
    const text = readFileSync(path, 'utf8');
    disk.events.push('datasync begins');
    await disk.hold;
    const { failure } = disk;
    disk.failure = null;
    if (failure !== null) throw failure;
    await datasync.call(this);
    disk.safe.push({ path, text });
    disk.events.push('datasync ends');
  });
  t.mock.method(prototype, 'sync', async function directorySynced(this: FileHandle) {
    const names = readdirSync(pathOf(this));
    await sync.call(this);
    for (const name of names) disk.safeNames.add(name);
  });
  return disk;
}

function pathOf({ fd }: FileHandle): string {
  return readlinkSync(`/proc/self/fd/${fd}`);
}

/** The numbers of the entries that are on the disk whatever happens to the host. */
function safeSeqs({ safe }: Disk): number[] {
  const texts = new Map(safe.map(({ path, text }) => [path, text]));
  const found = [...texts.values()].flatMap((text) => [...text.matchAll(/"seq":(\d+),/gu)]);
  return found.map(([, seq]) => Number(seq)).sort((a, b) => a - b);
}

/** Everything that goes on without a timer has had the time for it. */
async function quiet(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await stat('/');
}

/** As `until`, while the timers of this process stand still. */
async function happens(what: string, check: () => boolean): Promise<void> {
  const start = performance.now();
  while (!check()) {
    assert.ok(performance.now() - start < 20_000, `did not happen: ${what}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('an entry that is flushed', { timeout: 60_000 }, () => {
  it('is on the disk when it is said to be, and not only written', async (t) => {
    const disk = await watched(t);
    const journal = await journalIn(temporaryDirectory(t));
    for (let seq = 1; seq <= 5; seq += 1) {
      await journal.append(coordinates({ position: seq }), FLUSH);
      disk.events.push('said');
      assert.deepEqual(safeSeqs(disk), upTo(seq));
    }
    const each = ['written', 'datasync begins', 'datasync ends', 'said'];
    assert.deepEqual(disk.events, [...each, ...each, ...each, ...each, ...each]);
    await journal.close();
  });

  it('waits for a sync that began after it was written, not for one that was under way', async (t) => {
    const disk = await watched(t);
    const journal = await journalIn(temporaryDirectory(t));
    const said: number[] = [];
    const first = Promise.withResolvers<void>();
    disk.hold = first.promise;
    const one = journal.append(coordinates({ position: 1 }), FLUSH).then(() => said.push(1));
    await happens('the first is being synced', () => disk.events.includes('datasync begins'));
    const second = Promise.withResolvers<void>();
    disk.hold = second.promise;
    const two = journal.append(coordinates({ position: 2 }), FLUSH).then(() => said.push(2));
    await quiet();
    assert.deepEqual(said, [], 'the disk has not kept anything yet');
    first.resolve();
    await one;
    await happens(
      'the second is being synced',
      () => disk.events.filter((event) => event === 'datasync begins').length === 2,
    );
    await quiet();
    assert.deepEqual([said, safeSeqs(disk)], [[1], [1]]);
    second.resolve();
    await two;
    assert.deepEqual(
      [said, safeSeqs(disk)],
      [
        [1, 2],
        [1, 2],
      ],
    );
    await journal.close();
  });

  it('in a new file is one whose name is on the disk, too', async (t) => {
    const disk = await watched(t);
    const directory = temporaryDirectory(t);
    const journal = await journalIn(directory, 256 * 1024);
    for (let count = 1; count <= 120; count += 1) {
      await journal.append(coordinates({ gtidBinlogState: '0-1-1,'.repeat(300) }), FLUSH);
      const unsafe = readdirSync(directory).filter((name) => !disk.safeNames.has(name));
      assert.deepEqual(unsafe, [], `after entry ${count}`);
    }
    assert.ok(readdirSync(directory).length >= 3, 'there were several files');
    await journal.close();
  });

  it('is written again when the disk could not keep it, for the kernel drops what it could not write', async (t) => {
    const disk = await watched(t);
    const journal = await journalIn(temporaryDirectory(t));
    disk.failure = Object.assign(new Error('EIO: i/o error, fdatasync'), { code: 'EIO' });
    await journal.append(coordinates({ position: 1 }), FLUSH);
    assert.deepEqual([safeSeqs(disk), journal.counts.inMemory], [[], 1]);
    assert.match(journal.damage.join(), /\(EIO\): 1 entries are in memory only/u);
    await journal.append(coordinates({ position: 2 }), FLUSH);
    assert.deepEqual(disk.events.filter((event) => event === 'written').length, 3);
    assert.deepEqual([safeSeqs(disk), journal.counts.inMemory, journal.damage], [[1, 2], 0, []]);
    assert.deepEqual(await seqsOf(journal), [1, 2]);
    await journal.close();
  });
});

interface Timed extends Disk {
  readonly journal: PublisherJournal;
  pass(ms: number): void;
}

/** Time passes only when the test says so. */
async function timed(t: TestContext): Promise<Timed> {
  let now = 5_000;
  const disk = await watched(t);
  const clock = { monotonicMs: () => now, wallMs: () => now };
  const directory = temporaryDirectory(t);
  const journal = await openJournal({ directory, maxBytes: 1024 * 1024, clock, log: collectingLog().log });
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const pass = (ms: number): void => {
    now += ms;
    t.mock.timers.tick(ms);
  };
  return Object.assign(disk, { journal, pass });
}

describe('an entry that is not flushed', { timeout: 60_000 }, () => {
  it('is on the disk a second after the last sync, however many there are', async (t) => {
    const w = await timed(t);
    await w.journal.append(coordinates({ position: 1 }), FLUSH);
    for (let position = 2; position <= 9; position += 1) {
      w.pass(100);
      await w.journal.append(coordinates({ position }), LATER);
    }
    w.pass(199);
    await quiet();
    assert.deepEqual(safeSeqs(w), [1], 'the disk is asked once a second');
    w.pass(1);
    await happens('the disk has them', () => safeSeqs(w).length === 9);
    assert.equal(w.safe.length, 2);
    await w.journal.close();
  });

  it('is on the disk at once when the last sync was a second ago: it is as old as that already', async (t) => {
    const w = await timed(t);
    await w.journal.append(coordinates({ position: 1 }), FLUSH);
    w.pass(SECOND_MS);
    await quiet();
    await w.journal.append(coordinates({ position: 2 }), LATER);
    w.pass(1);
    await happens('the disk has it', () => safeSeqs(w).length === 2);
    await w.journal.close();
  });

  it('is tried again once a second, and not more often, while the disk fails', async (t) => {
    const w = await timed(t);
    const tries = (): number => w.events.filter((event) => event === 'datasync begins').length;
    w.failure = Object.assign(new Error('EIO: i/o error'), { code: 'EIO' });
    await w.journal.append(coordinates(), LATER);
    w.pass(1);
    await happens('the disk has failed', () => w.journal.counts.writeErrors === 1);
    await quiet();
    w.pass(SECOND_MS - 10);
    await quiet();
    assert.equal(tries(), 1);
    await happens('the disk has it', () => {
      w.pass(SECOND_MS);
      return w.journal.counts.inMemory === 0;
    });
    assert.deepEqual([safeSeqs(w), tries()], [[1], 2]);
    await w.journal.close();
  });
});
