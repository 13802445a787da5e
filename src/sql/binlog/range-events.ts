import { createHash } from 'node:crypto';
import { MxrError } from '../../errors.ts';
import type { BinlogEvent } from './event.ts';
import { FileEvents } from './file-events.ts';
import type { BinlogFiles, FileHead } from './files.ts';
import { GroupTracker, type Place } from './group.ts';
import type { BinlogRange, RangePart } from './range.ts';

export interface SentEvent {
  readonly kind: 'event';
  /** As in the file. */
  readonly bytes: Buffer;
  readonly type: number;
  readonly endsGroup: boolean;
  /** Its end in the file. */
  readonly end: number;
}

/** What a replica is sent: a file begins, or an event of a transaction. */
export type RangeEvent = { readonly kind: 'file'; readonly head: FileHead } | SentEvent;

/**
 * The transactions of a range, read anew and checked as they go. Only what was whole when it was proven is read, so the
 * half transaction that a crash left behind is not among them. Rejects with `BinlogRefused` where the files are not what
 * they were.
 */
export async function* rangeEvents(
  files: BinlogFiles,
  { parts, transactions, digest }: BinlogRange,
  signal: AbortSignal,
): AsyncGenerator<RangeEvent, void> {
  const hash = createHash('sha256');
  let seen = 0;
  for (const part of parts) {
    yield { kind: 'file', head: part.head };
    for await (const one of eventsIn(files, part, signal)) {
      hash.update(one.bytes);
      if (one.endsGroup) seen += 1;
      yield one;
    }
  }
  if (seen !== transactions || hash.digest('hex') !== digest) throw changed(files, 'other transactions are in them');
}

async function* eventsIn(
  files: BinlogFiles,
  { head, from, to }: RangePart,
  signal: AbortSignal,
): AsyncGenerator<SentEvent, void> {
  if (to <= from) return;
  const bytes = files.read(head.name, from, to - from, signal);
  const events = new FileEvents(bytes, { at: from, checksum: head.format.checksum });
  const tracker = new GroupTracker(head.format);
  for await (const { at, bytes, event } of events) {
    const place = placeOf(files, tracker, event);
    if (place.kind === 'between') continue;
    yield { kind: 'event', bytes, type: event.type, endsGroup: place.ends, end: at + bytes.length };
  }
  if (events.at !== to) throw changed(files, `${head.name}: ${events.broken?.detail ?? 'it is shorter'}`);
}

function placeOf(files: BinlogFiles, tracker: GroupTracker, event: BinlogEvent): Place {
  try {
    return tracker.take(event);
  } catch (error) {
    throw error instanceof RangeError ? changed(files, error.message) : error;
  }
}

function changed({ name }: BinlogFiles, detail: string): MxrError {
  const text = `they are not what they were when they were proven: ${detail}`;
  return new MxrError({ operation: 'send them', target: name, code: 'BinlogRefused', detail: text, retryable: true });
}
