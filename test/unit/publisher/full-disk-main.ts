// In a mount namespace of its own: a journal on a file system that is full, and then read-only. Prints what it saw.
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '../../../src/clock.ts';
import { openJournal } from '../../../src/publisher/journal.ts';
import type { PublisherJournal } from '../../../src/publisher/journal.ts';
import { collectingLog, coordinates, seqsOf } from './fixture.ts';

const mount = process.argv[2] ?? '';
const filler = join(mount, 'filler');
const { log, lines } = collectingLog();
const FLUSH = { flush: true };

function open(): Promise<PublisherJournal> {
  return openJournal({ directory: join(mount, 'journal'), maxBytes: 64 * 1024, clock: systemClock, log });
}

function fill(): void {
  for (let bytes = 512 * 1024; bytes >= 64; bytes = Math.floor(bytes / 2)) {
    try {
      for (;;) writeFileSync(filler, Buffer.alloc(bytes), { flag: 'a' });
    } catch {
      // Full for pieces of this size: smaller ones may fit.
    }
  }
}

async function picture(journal: PublisherJournal): Promise<object> {
  const { writeErrors, inMemory } = journal.counts;
  return { seqs: await seqsOf(journal), damage: journal.damage, writeErrors, inMemory };
}

const journal = await open();
for (let count = 0; count < 3; count += 1) await journal.append(coordinates(), FLUSH);
fill();
for (let count = 0; count < 20; count += 1) await journal.append(coordinates(), { flush: count % 3 === 1 });
const full = await picture(journal);
const saidWhenFull = lines.filter((line) => line.includes('goes on in memory')).length;
rmSync(filler);
await journal.append(coordinates(), FLUSH);
const freed = await picture(journal);
await journal.close();

const again = await open();
const reopened = await picture(again);
await again.close();

execFileSync('mount', ['-o', 'remount,ro', mount]);
const onReadOnly = await open();
await onReadOnly.append(coordinates(), FLUSH);
const readOnly = await picture(onReadOnly);
execFileSync('mount', ['-o', 'remount,rw', mount]);
await onReadOnly.append(coordinates(), FLUSH);
const writable = await picture(onReadOnly);
await onReadOnly.close();

process.stdout.write(JSON.stringify({ full, saidWhenFull, freed, reopened, readOnly, writable }));
