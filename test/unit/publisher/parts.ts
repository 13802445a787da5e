import { JournalEntry } from '../../../src/api/publisher.ts';
import { systemClock } from '../../../src/clock.ts';
import type { Logger } from '../../../src/ops/log.ts';
import { createLogger } from '../../../src/ops/log.ts';
import { createSecrets } from '../../../src/ops/secrets.ts';

export interface KeptJournal {
  readonly entries: JournalEntry[];
  /** Which of them were to be on the disk at once. */
  readonly flushed: number[];
  append(entry: Omit<JournalEntry, 'seq' | 'at'>, options: { readonly flush: boolean }): Promise<void>;
  latest(): JournalEntry | null;
}

/** In memory; `latest` is what there was at the start. */
export function keptJournal(latest: JournalEntry | null = null): KeptJournal {
  const entries: JournalEntry[] = [];
  const flushed: number[] = [];
  return {
    entries,
    flushed,
    latest: () => entries.at(-1) ?? latest,
    append: (entry, { flush }) => {
      // What comes back from a disk has been parsed.
      entries.push(JournalEntry.parse({ ...entry, seq: entries.length + 1, at: new Date(0).toISOString() }));
      if (flush) flushed.push(entries.length);
      return Promise.resolve();
    },
  };
}

export interface KeptLog {
  readonly log: Logger;
  readonly lines: Record<string, unknown>[];
  /** How often this was said. */
  readonly said: (message: string) => number;
}

export function keptLog(): KeptLog {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  const log = createLogger({ level: 'info', clock: systemClock, secrets: createSecrets(), write });
  return { log, lines, said: (message) => lines.filter((line) => line['message'] === message).length };
}
