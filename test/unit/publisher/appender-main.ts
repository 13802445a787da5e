// Appends until it is killed, and says each entry that is on the disk.
import { systemClock } from '../../../src/clock.ts';
import { openJournal } from '../../../src/publisher/journal.ts';
import { collectingLog, coordinates } from './fixture.ts';

const directory = process.argv[2] ?? '';
const journal = await openJournal({ directory, maxBytes: 1024 * 1024, clock: systemClock, log: collectingLog().log });
for (let position = 1; ; position += 1) {
  void journal.append(coordinates({ position }), { flush: false });
  await journal.append(coordinates({ position, gtidBinlogState: '0-1-1,'.repeat(position % 500) }), { flush: true });
  process.stdout.write(`${journal.latest()?.seq ?? 0}\n`);
}
