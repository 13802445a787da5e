import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import type { Coordinates } from '../../../src/api/publisher.ts';
import { systemClock } from '../../../src/clock.ts';
import { createLogger } from '../../../src/ops/log.ts';
import type { Logger } from '../../../src/ops/log.ts';
import { createSecrets } from '../../../src/ops/secrets.ts';
import { openJournal } from '../../../src/publisher/journal.ts';
import type { PublisherJournal } from '../../../src/publisher/journal.ts';

/** What a publisher says whose database has answered, without a peer. */
export function coordinates(changes: Partial<Coordinates> = {}): Coordinates {
  return {
    member: 'hci-a',
    databaseAnswers: true,
    identity: {
      hostname: 'a',
      serverId: 1,
      serverUid: 'uid-a',
      port: 3306,
      datadir: '/var/lib/mysql/',
      startedAt: '2026-11-28T00:00:00.000Z',
      machineId: 'machine-a',
      datadirId: 'data-a',
    },
    vipHeld: true,
    readOnly: false,
    file: 'bin.000001',
    position: 342,
    gtidBinlogPos: '0-1-1',
    gtidBinlogState: '0-1-1',
    gtidSlavePos: '',
    logSlaveUpdates: false,
    slave: null,
    takeover: null,
    peer: null,
    imported: { masterEnd: null, slaveEnd: null },
    observedAt: '2026-11-28T06:00:00.000Z',
    monotonicAgeMs: 3,
    ...changes,
  };
}

export function temporaryDirectory(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'mxr-publisher-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function collectingLog(): { readonly log: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  return { lines, log: createLogger({ level: 'debug', clock: systemClock, secrets: createSecrets(), write }) };
}

export function journalIn(directory: string, maxBytes = 1024 * 1024): Promise<PublisherJournal> {
  return openJournal({ directory, maxBytes, clock: systemClock, log: collectingLog().log });
}

export async function seqsOf(journal: PublisherJournal): Promise<number[]> {
  const seqs: number[] = [];
  for (let from: number | null = null; ;) {
    const page = await journal.page(from, 1_000);
    seqs.push(...page.entries.map(({ seq }) => seq));
    if (page.next === null) return seqs;
    from = page.next;
  }
}

export function upTo(last: number, first = 1): number[] {
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
