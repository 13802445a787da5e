import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { TestContext } from 'node:test';
import type { JournalEntry } from '../../../src/api/publisher.ts';
import { systemClock } from '../../../src/clock.ts';
import { isMxrError } from '../../../src/errors.ts';
import { openJournal } from '../../../src/publisher/journal.ts';
import { lineOf } from '../../../src/publisher/journal-line.ts';
import { collectingLog, coordinates, journalIn, seqsOf, temporaryDirectory, upTo } from './fixture.ts';

const FLUSH = { flush: true };
const FIRST = 'journal-000000000000001.jsonl';

function filesOf(directory: string): string[] {
  return readdirSync(directory).sort();
}

/** A closed journal with so many entries, in one file. */
async function written(t: TestContext, count: number): Promise<{ directory: string; file: string; bytes: Buffer }> {
  const directory = temporaryDirectory(t);
  const journal = await journalIn(directory);
  for (let index = 1; index <= count; index += 1) await journal.append(coordinates({ position: index }), FLUSH);
  await journal.close();
  assert.deepEqual(filesOf(directory), [FIRST]);
  const file = join(directory, FIRST);
  return { directory, file, bytes: readFileSync(file) };
}

/** Where each line begins, and the end of the last. */
function lineStarts(bytes: Buffer): number[] {
  const starts = [0];
  for (let at = bytes.indexOf('\n'); at >= 0; at = bytes.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

describe('the journal', () => {
  it('gives back what was appended, also after a restart, and counts on', async (t) => {
    const directory = temporaryDirectory(t);
    const first = await journalIn(directory);
    assert.equal(first.latest(), null);
    assert.deepEqual(await first.page(null, 10), { entries: [], next: null, damage: [] });
    await first.append(coordinates({ position: 1 }), FLUSH);
    await first.append(coordinates({ position: 2 }), { flush: false });
    assert.deepEqual(await seqsOf(first), [1, 2]);
    await first.close();
    const second = await journalIn(directory);
    assert.equal(second.latest()?.seq, 2);
    assert.equal(second.latest()?.position, 2);
    await second.append(coordinates({ position: 3, vipHeld: null }), FLUSH);
    const { entries, next, damage } = await second.page(null, 10);
    assert.deepEqual(
      entries.map(({ seq, position, vipHeld }) => [seq, position, vipHeld]),
      [
        [1, 1, true],
        [2, 2, true],
        [3, 3, null],
      ],
    );
    assert.deepEqual([next, damage], [null, []]);
    assert.ok(!('monotonicAgeMs' in (entries[0] ?? {})));
    await second.close();
    assert.equal(statSync(join(directory, FIRST)).mode & 0o777, 0o600);
  });

  it('turns pages from any number on, each small enough for who bounds an answer to 1 MiB', async (t) => {
    const journal = await journalIn(temporaryDirectory(t), 16 * 1024 * 1024);
    const large = coordinates({ gtidBinlogState: '1-1-1,'.repeat(9_000) });
    for (let count = 0; count < 40; count += 1) await journal.append(large, { flush: false });
    const page = await journal.page(3, 2);
    assert.deepEqual([page.entries.map(({ seq }) => seq), page.next], [[3, 4], 5]);
    const all = await journal.page(null, 1_000);
    assert.ok(Buffer.byteLength(JSON.stringify(all)) < 1024 * 1024);
    assert.equal(all.next, (all.entries.at(-1)?.seq ?? 0) + 1);
    assert.deepEqual(await seqsOf(journal), upTo(40));
    assert.deepEqual(await journal.page(41, 10), { entries: [], next: null, damage: [] });
    await journal.close();
  });

  it('stays within its bound, and loses the oldest first', async (t) => {
    const directory = temporaryDirectory(t);
    const maxBytes = 64 * 1024;
    const journal = await journalIn(directory, maxBytes);
    for (let count = 1; count <= 400; count += 1) {
      await journal.append(coordinates(), { flush: count % 10 === 0 });
      const sizes = filesOf(directory).map((name) => statSync(join(directory, name)).size);
      assert.ok(sizes.reduce((sum, size) => sum + size, 0) <= maxBytes);
    }
    const seqs = await seqsOf(journal);
    assert.ok((seqs[0] ?? 0) > 1 && seqs.length > 30);
    assert.deepEqual(seqs, upTo(400, seqs[0]));
    assert.ok(filesOf(directory).length >= 2);
    await journal.close();
    const again = await journalIn(directory, maxBytes);
    assert.deepEqual([await seqsOf(again), again.damage], [seqs, []]);
    await again.close();
    const smaller = await openJournal({ directory, maxBytes: 1, clock: systemClock, log: collectingLog().log }).catch(
      (error: unknown) => error,
    );
    assert.ok(isMxrError(smaller, 'ConfigInvalid') && smaller.message.includes('65536'));
  });

  it('leaves out an entry that no reader would take, and says which field', async (t) => {
    const journal = await journalIn(temporaryDirectory(t));
    await journal.append(coordinates({ member: 'x'.repeat(64) }), FLUSH);
    await journal.append(coordinates(), FLUSH);
    assert.deepEqual(await seqsOf(journal), [1]);
    assert.match(journal.damage.join(), /member/u);
    await journal.close();
  });
});

describe('the files of a journal that came to harm', () => {
  it('a line that is torn at any byte is cut off, and the next entry takes its place', async (t) => {
    const { directory, file, bytes } = await written(t, 3);
    const [, , third = 0] = lineStarts(bytes);
    for (let length = third; length < bytes.length; length += 1) {
      writeFileSync(file, bytes.subarray(0, length));
      const journal = await journalIn(directory);
      assert.deepEqual([journal.latest()?.seq, journal.damage], [2, []], `cut at ${length}`);
      await journal.append(coordinates({ position: 33 }), FLUSH);
      await journal.close();
      const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
      assert.equal(lines.length, 3);
      assert.match(lines[2] ?? '', /^[0-9a-f]{8} \{"seq":3,.*"position":33,/u);
    }
  });

  it('a flipped bit in the middle is reported with its line, and what stands behind it is still given', async (t) => {
    const { directory, file, bytes } = await written(t, 4);
    const [, second = 0, third = 0] = lineStarts(bytes);
    for (let at = second; at < third - 1; at += 11) {
      const harmed = Buffer.from(bytes);
      harmed[at] = (harmed[at] ?? 0) ^ 0x04;
      writeFileSync(file, harmed);
      const journal = await journalIn(directory);
      assert.deepEqual(await seqsOf(journal), [1, 3, 4], `flipped at ${at}`);
      assert.equal(journal.damage.length, 1);
      assert.match(journal.damage[0] ?? '', new RegExp(`^${FIRST} line 2 is damaged .* before it`, 'u'));
      await journal.append(coordinates(), FLUSH);
      assert.equal(journal.latest()?.seq, 5);
      await journal.close();
    }
  });

  it('two lines that became one are both missed, and no number is used twice', async (t) => {
    const { directory, file, bytes } = await written(t, 3);
    const [, , third = 0] = lineStarts(bytes);
    const harmed = Buffer.from(bytes);
    harmed[third - 1] = 0x20;
    writeFileSync(file, harmed);
    const journal = await journalIn(directory);
    await journal.append(coordinates(), FLUSH);
    assert.deepEqual(await seqsOf(journal), [1, 4]);
    await journal.close();
    const again = await journalIn(directory);
    assert.match(again.damage.join('\n'), /line 2 is damaged[^]*entries 2 to 3 are missing before .* line 3/u);
    await again.close();
  });

  it('a damaged last line that is whole is reported, for it was on the disk once', async (t) => {
    const { directory, file, bytes } = await written(t, 2);
    const harmed = Buffer.from(bytes);
    harmed[bytes.length - 3] = 0x00;
    writeFileSync(file, harmed);
    const journal = await journalIn(directory);
    assert.match(journal.damage.join(), /line 2 is damaged/u);
    await journal.append(coordinates(), FLUSH);
    assert.deepEqual(await seqsOf(journal), [1, 3]);
    await journal.close();
  });

  it('a line with a right checksum that is no entry is damage, and so is one that stands in the wrong place', async (t) => {
    const { directory, file, bytes } = await written(t, 2);
    const foreign = lineOf({ seq: 3, at: 'yesterday' } as unknown as JournalEntry).bytes;
    const [, second = 0] = lineStarts(bytes);
    writeFileSync(file, Buffer.concat([bytes, foreign, bytes.subarray(second)]));
    const journal = await journalIn(directory);
    assert.deepEqual(await seqsOf(journal), [1, 2]);
    assert.equal(journal.damage.length, 2);
    assert.match(journal.damage[0] ?? '', /line 3 is damaged \(it is not an entry of this version\)/u);
    assert.match(journal.damage[1] ?? '', /line 4 is left out: entry 2/u);
    await journal.close();
  });

  it('an entry of another version in one of many old files is said to whoever turns its page', async (t) => {
    const directory = temporaryDirectory(t);
    const journal = await journalIn(directory, 64 * 1024);
    for (let count = 1; count <= 80; count += 1) await journal.append(coordinates(), { flush: false });
    await journal.close();
    const [name = ''] = filesOf(directory);
    const lines = readFileSync(join(directory, name), 'utf8').split('\n');
    lines[1] = lineOf({ seq: 2, at: 'yesterday' } as unknown as JournalEntry)
      .bytes.toString('utf8')
      .trimEnd();
    writeFileSync(join(directory, name), lines.join('\n'));
    // Made larger, it has more files than are compared with the schema at the start.
    const again = await journalIn(directory, 1024 * 1024);
    for (let count = 1; count <= 1_500; count += 1) await again.append(coordinates(), { flush: false });
    await again.close();
    assert.ok(filesOf(directory).length > 4);
    const third = await journalIn(directory, 1024 * 1024);
    assert.deepEqual(third.damage, []);
    const page = await third.page(null, 5);
    assert.deepEqual(
      page.entries.map(({ seq }) => seq),
      [1, 3, 4, 5, 6],
    );
    assert.deepEqual(page.damage, ['entry 2 is left out: it is not an entry of this version']);
    await third.close();
  });

  it('a missing file in the middle is a gap with numbers, and what is cut off before the newest file is said', async (t) => {
    const directory = temporaryDirectory(t);
    const journal = await journalIn(directory, 256 * 1024);
    for (let count = 1; count <= 250; count += 1) await journal.append(coordinates(), { flush: false });
    await journal.close();
    const [first = '', second = '', third = ''] = filesOf(directory);
    rmSync(join(directory, second));
    const whole = readFileSync(join(directory, first));
    writeFileSync(join(directory, first), whole.subarray(0, whole.length - 5));
    const again = await journalIn(directory, 256 * 1024);
    const [, from = 0] = /journal-(\d+)/u.exec(second) ?? [];
    const [, to = 0] = /journal-(\d+)/u.exec(third) ?? [];
    assert.deepEqual(again.damage, [
      `${first} line ${Number(from) - 1} is cut off, and it is not the newest`,
      `entries ${Number(from) - 1} to ${Number(to) - 1} are missing before ${third} line 1`,
    ]);
    assert.deepEqual(await seqsOf(again), [...upTo(Number(from) - 2), ...upTo(250, Number(to))]);
    await again.close();
  });

  it('a link or a directory in the place of a file is not followed, and nothing is written to it', async (t) => {
    const { directory, file, bytes } = await written(t, 2);
    const elsewhere = join(temporaryDirectory(t), 'elsewhere');
    writeFileSync(elsewhere, bytes);
    rmSync(file);
    symlinkSync(elsewhere, file);
    mkdirSync(join(directory, 'journal-000000000000900.jsonl'));
    const journal = await journalIn(directory);
    assert.match(journal.damage.join('\n'), /000001\.jsonl cannot be read[^]*000900\.jsonl cannot be read/u);
    await journal.append(coordinates(), FLUSH);
    assert.ok((journal.latest()?.seq ?? 0) > 900);
    assert.equal((await seqsOf(journal)).length, 1);
    await journal.close();
    assert.deepEqual(readFileSync(elsewhere), bytes);
  });

  it('goes on in a new file when somebody removes the one in use', async (t) => {
    const directory = temporaryDirectory(t);
    const journal = await journalIn(directory);
    await journal.append(coordinates(), FLUSH);
    rmSync(join(directory, FIRST));
    await journal.append(coordinates(), FLUSH);
    await journal.append(coordinates(), FLUSH);
    assert.deepEqual(await seqsOf(journal), [2, 3]);
    assert.match(journal.damage.join(), /somebody removed or cut journal-000000000000001\.jsonl/u);
    await journal.close();
  });

  it('keeps the newest thousand in memory when the directory is gone, and says what that cost', async (t) => {
    const directory = temporaryDirectory(t);
    const journal = await journalIn(directory);
    await journal.append(coordinates(), FLUSH);
    assert.equal(journal.counts.inMemory, 0);
    rmSync(directory, { recursive: true });
    for (let count = 0; count < 1_100; count += 1) await journal.append(coordinates(), { flush: false });
    assert.deepEqual(await seqsOf(journal), upTo(1_101, 102));
    assert.match(journal.damage[0] ?? '', /\(ENOENT\): 1000 entries are in memory only/u);
    assert.match(journal.damage.join('\n'), /entries 2 to 101 are missing: neither disk nor memory/u);
    // Another directory of that name is not the one that is locked.
    mkdirSync(directory);
    await journal.append(coordinates(), FLUSH);
    assert.match(journal.damage[0] ?? '', /somebody replaced the directory: start the publisher again/u);
    assert.deepEqual(filesOf(directory), []);
    await journal.close();
  });
});
