import type { IncomingMessage } from 'node:http';
import { PublishedBinlog } from '../api/publisher.ts';
import type { PublishedBinlogFile } from '../api/publisher.ts';
import { withDeadline } from '../deadline.ts';
import { MxrError } from '../errors.ts';
import { callOf, notOurs, send, transportError } from './client-call.ts';
import type { Call, PublisherTarget } from './client-call.ts';
import { fetchText, nameOf, parsed } from './client.ts';
import type { FetchOptions } from './client.ts';

const OPEN_DEADLINE_MS = 10_000;
/** The slowest publisher sends a piece each quarter of a second to each of its readers. */
const SILENCE_MS = 15_000;

const NOT_SERVED =
  'it serves no binlog files: set MXR_PUBLISHER_BINLOG there (docs/moving-to-the-publisher.md), if this is a publisher that knows it';
const MEANING = {
  404: 'it has no such binlog file (any more)',
  409: 'the file is encrypted (encrypt_binlog), and only its own server has the keys',
  416: 'the file is shorter than it was',
  503: 'it is busy with other downloads',
} as const;

/** The binlog files on the disk of its host, oldest first. Rejects with MxrError, `BinlogRefused` where it serves none. */
export async function fetchBinlogList(
  target: PublisherTarget,
  options: FetchOptions,
): Promise<readonly PublishedBinlogFile[]> {
  const call = callOf(target, 'list the binlog files', '/v1/binlog');
  const text = await fetchText(call, options, { 404: NOT_SERVED, 503: MEANING[503] });
  return parsed(call, PublishedBinlog, 'a list of binlog files', text).files;
}

export interface BinlogPart {
  readonly name: string;
  readonly from: number;
  /** Null: to the end that the file has now. */
  readonly length: number | null;
}

/**
 * The bytes of a binlog file, as they come: who reads slowly is sent slowly. Rejects with MxrError where they break off,
 * when the signal aborts, and after 15 s of silence.
 */
export async function* readBinlog(
  target: PublisherTarget,
  { name, from, length }: BinlogPart,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void> {
  const query = `?from=${from}${length === null ? '' : `&length=${length}`}`;
  const call = callOf(target, `read ${name}`, `/v1/binlog/${encodeURIComponent(name)}${query}`);
  const ending = new AbortController();
  const end = (): void => ending.abort();
  signal.addEventListener('abort', end, { once: true });
  if (signal.aborted) end();
  try {
    yield* piecesOf(call, await openFile(call, ending), length);
  } finally {
    end();
    signal.removeEventListener('abort', end);
  }
}

/** The deadline is that of the headers. */
function openFile(call: Call, ending: AbortController): Promise<IncomingMessage> {
  const { signal } = ending;
  const options = { accept: 'application/octet-stream', signal, connections: null, meaning: MEANING };
  return withDeadline({ ...nameOf(call), ms: OPEN_DEADLINE_MS, signal }, () => send(call, options));
}

async function* piecesOf(call: Call, response: IncomingMessage, length: number | null): AsyncGenerator<Buffer, void> {
  const pieces = response[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  let received = 0;
  try {
    for (;;) {
      const { value, done = false } = await nextOf(call, response, pieces);
      if (done) break;
      received += value.length;
      if (length !== null && received > length) throw notOurs(call, 'it sends more than was asked for');
      yield value;
    }
    if (!response.complete) throw broken(call, false);
  } finally {
    response.destroy();
  }
}

/** Counted only while it is awaited: the reader itself may take its time. */
async function nextOf(
  call: Call,
  response: IncomingMessage,
  pieces: AsyncIterator<Buffer>,
): Promise<IteratorResult<Buffer>> {
  let silent = false;
  const timer = setTimeout(() => {
    silent = true;
    response.destroy();
  }, SILENCE_MS);
  try {
    return await pieces.next();
  } catch (error) {
    throw silent ? broken(call, silent) : transportError(call, error);
  } finally {
    clearTimeout(timer);
  }
}

function broken(call: Call, silent: boolean): MxrError {
  const detail = silent ? `it said nothing for ${SILENCE_MS} ms` : 'it ended in the middle of the file';
  return new MxrError({ ...nameOf(call), code: silent ? 'Deadline' : 'ConnectionLost', detail, retryable: true });
}
