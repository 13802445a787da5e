import type { IncomingMessage } from 'node:http';
import type { z } from 'zod';
import { Coordinates } from '../api/publisher.ts';
import { sleep } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { MxrError } from '../errors.ts';
import { backoffMs } from '../backoff.ts';
import { withDeadline } from '../deadline.ts';
import { callOf, notOurs, send, transportError } from './client-call.ts';
import type { Call, PublisherConnections, PublisherTarget, SendOptions } from './client-call.ts';
import { EventTooLarge, readServerSentEvents } from './client-events.ts';

export { openConnections } from './client-call.ts';
export type { PublisherConnections, PublisherTarget };

export interface FetchOptions {
  /** Of everything: name, connection, TLS, headers and body. */
  readonly deadlineMs: number;
  readonly signal?: AbortSignal;
  /** To use connections again, for who asks often. */
  readonly connections?: PublisherConnections;
}

const MAX_BODY_BYTES = 1024 * 1024;
const OPEN_DEADLINE_MS = 5_000;
const SILENCE_MS = 15_000;
const BACKOFF = { baseMs: 250, maxMs: 10_000 };
/** Whoever sends faster is read no faster. */
const EVENT_GAP_MS = 10;

/**
 * What the publisher says now. Rejects with MxrError only: `Deadline`, `HostUnresolved`, `ConnectionRefused`,
 * `ConnectionLost` (also when the signal aborts), `AccessDenied`, `TlsRefused`, `ProtocolError` for an answer that is
 * not the schema, `ConfigInvalid` for a target that cannot be asked.
 */
export async function fetchCoordinates(target: PublisherTarget, options: FetchOptions): Promise<Coordinates> {
  const call = callOf(target, 'read the coordinates', '/v1/coordinates');
  return coordinatesOf(call, await fetchText(call, options));
}

/** The body of an answer in JSON. */
export async function fetchText(
  call: Call,
  options: FetchOptions,
  meaning: NonNullable<SendOptions['meaning']> = {},
): Promise<string> {
  const { deadlineMs: ms, signal, connections = null } = options;
  return withDeadline({ ...nameOf(call), ms, signal }, async (inner) => {
    const response = await send(call, { accept: 'application/json', signal: inner, connections, meaning });
    return bodyOf(call, response);
  });
}

export interface FollowOptions {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onEvent: (seen: Coordinates) => void;
  /** Connected: the publisher said something. Else why not, at each attempt. */
  readonly onState: (connected: boolean, error: MxrError | null) => void;
}

/** Follows /v1/events until the signal aborts; reconnects by itself. A stream that says nothing for 15 s is dead. */
export function followEvents(target: PublisherTarget, options: FollowOptions): void {
  void keepFollowing(target, options);
}

async function keepFollowing(target: PublisherTarget, options: FollowOptions): Promise<void> {
  const { signal, onState } = options;
  let failures = 0;
  while (!signal.aborted) {
    const error = await followOnce(target, options, () => {
      failures = 0;
      onState(true, null);
    });
    if (signal.aborted) return;
    failures += 1;
    onState(false, error);
    await sleep(backoffMs(failures, BACKOFF, Math.random), signal);
  }
}

/** Resolves with why it ended. `onFirst`: the first event is there. */
async function followOnce(target: PublisherTarget, options: FollowOptions, onFirst: () => void): Promise<MxrError> {
  const ending = new AbortController();
  const end = (): void => ending.abort();
  options.signal.addEventListener('abort', end, { once: true });
  if (options.signal.aborted) end();
  let call: Call | undefined;
  try {
    call = callOf(target, 'follow the events', '/v1/events');
    const response = await openStream(call, ending);
    return await readStream(call, response, options, onFirst);
  } catch (error) {
    if (error instanceof MxrError) return error;
    // Before there is a call nothing but an MxrError can be thrown.
    if (call === undefined) throw error;
    return error instanceof EventTooLarge ? notOurs(call, 'it sent an endless event') : transportError(call, error);
  } finally {
    end();
    options.signal.removeEventListener('abort', end);
  }
}

/** The deadline is that of the headers: then the stream lives as long as `ending` lets it. */
function openStream(call: Call, ending: AbortController): Promise<IncomingMessage> {
  const { signal } = ending;
  return withDeadline({ ...nameOf(call), ms: OPEN_DEADLINE_MS, signal }, () =>
    send(call, { accept: 'text/event-stream', signal, connections: null }),
  );
}

async function readStream(
  call: Call,
  response: IncomingMessage,
  { clock, signal, onEvent }: FollowOptions,
  onFirst: () => void,
): Promise<MxrError> {
  let silent = false;
  const timer = setTimeout(() => {
    silent = true;
    response.destroy();
  }, SILENCE_MS);
  let lastMs = Number.NEGATIVE_INFINITY;
  try {
    for await (const event of readServerSentEvents(response, () => timer.refresh())) {
      if (event.type !== 'coordinates') continue;
      const seen = coordinatesOf(call, event.data);
      if (signal.aborted) break;
      if (lastMs === Number.NEGATIVE_INFINITY) onFirst();
      const gapMs = clock.monotonicMs() - lastMs;
      if (gapMs < EVENT_GAP_MS) await sleep(EVENT_GAP_MS - gapMs, signal);
      lastMs = clock.monotonicMs();
      onEvent(seen);
    }
  } catch (error) {
    if (!silent) throw error;
  } finally {
    clearTimeout(timer);
    response.destroy();
  }
  const said = silent ? `it said nothing for ${SILENCE_MS} ms` : 'it ended the stream';
  return new MxrError({ ...nameOf(call), code: silent ? 'Deadline' : 'ConnectionLost', detail: said, retryable: true });
}

async function bodyOf(call: Call, response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let length = 0;
  try {
    for await (const part of response as AsyncIterable<Buffer>) {
      length += part.length;
      if (length > MAX_BODY_BYTES) throw notOurs(call, `its answer has more than ${MAX_BODY_BYTES} bytes`);
      parts.push(part);
    }
  } catch (error) {
    throw transportError(call, error);
  }
  return Buffer.concat(parts).toString('utf8');
}

function coordinatesOf(call: Call, text: string): Coordinates {
  return parsed(call, Coordinates, 'coordinates', text);
}

export function parsed<T>(call: Call, schema: z.ZodType<T>, what: string, text: string): T {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw notOurs(call, 'its answer is not JSON');
  }
  const answer = schema.safeParse(json);
  if (answer.success) return answer.data;
  const field = answer.error.issues[0]?.path.map(String).join('.') ?? '';
  throw notOurs(call, `its answer is not ${what} (${field === '' ? 'no object' : field})`);
}

export function nameOf({ operation, target }: Call): { operation: string; target: string } {
  return { operation, target };
}
