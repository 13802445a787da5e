import { EVENT } from '../binlog/event.ts';
import type { BinlogFiles, FileHead } from '../binlog/files.ts';
import type { BinlogRange } from '../binlog/range.ts';
import { rangeEvents } from '../binlog/range-events.ts';
import { type FakeEvents, formatInside, heartbeat, rotateTo, untilReached } from './fake-events.ts';
import { checksumOf, serverIdOf } from './questions.ts';
import { EOF, type Wire } from './wire.ts';

export interface Sending {
  readonly files: BinlogFiles;
  readonly range: BinlogRange;
  /** The replica wants the texts of statements beside their rows. */
  readonly annotate: boolean;
  /** Something comes at least so often; 0: not. */
  readonly heartbeatMs: number;
  readonly signal: AbortSignal;
  /** After each transaction. */
  readonly onSent: (bytes: number) => void;
}

/** What a source answers to COM_BINLOG_DUMP with `UNTIL`; rejects where the files cannot be read to the end. */
export async function sendRange(wire: Wire, sending: Sending): Promise<void> {
  const { files, range, annotate, heartbeatMs, signal } = sending;
  const as: FakeEvents = { serverId: serverIdOf(range), checksum: checksumOf(range) };
  let at = { file: range.start.file, position: range.start.position };
  let busy = true;
  let isFirst = true;
  const timer = heartbeatMs > 0 ? setInterval(beat, heartbeatMs) : undefined;
  const send = async (...pieces: readonly Buffer[]): Promise<void> => {
    busy = true;
    await wire.sendPieces([NO_ERROR, ...pieces]);
    busy = false;
  };
  try {
    for await (const one of rangeEvents(files, range, signal)) {
      if (signal.aborted) return;
      if (one.kind === 'file') {
        await begin(one.head);
        continue;
      }
      if (annotate || one.type !== EVENT.AnnotateRows) await send(one.bytes);
      at = { file: at.file, position: one.end };
      sending.onSent(one.bytes.length);
    }
    await send(untilReached(as, range.until, range.end.position));
    wire.send(EOF);
  } finally {
    clearInterval(timer);
  }

  async function begin(head: FileHead): Promise<void> {
    await send(rotateTo(as, head.name));
    await send(isFirst ? formatInside(head) : head.formatEvent);
    at = { file: head.name, position: isFirst ? range.start.position : head.end };
    isFirst = false;
  }

  /** While the next event is waited for: a replica takes silence for a dead source. */
  function beat(): void {
    if (!busy) wire.send(Buffer.concat([NO_ERROR, heartbeat(as, at.file, at.position)]));
  }
}

const NO_ERROR = Buffer.from([0]);
