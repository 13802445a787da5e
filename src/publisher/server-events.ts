import type { Request, Response } from 'express';
import type { Coordinates } from '../api/publisher.ts';
import type { Clock } from '../clock.ts';
import { sendText } from '../ops/http.ts';
import type { Logger } from '../ops/log.ts';

const MAX_STREAMS = 32;
const ALIVE_EVERY_MS = 5_000;
const ALIVE = ': alive\n\n';
/** A reader that leaves something unread for so long is cut off. */
const STUCK_MS = 15_000;

export interface EventStreams {
  open(request: Request, response: Response): void;
  /** Ends every stream, for example because the token is another one. */
  end(): void;
  close(): void;
}

export interface EventStreamOptions {
  readonly coordinates: () => Coordinates;
  /** Returns what takes the listener off again. */
  readonly onChange: (listener: () => void) => () => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Server-sent events: the coordinates at once and on every change, and a comment now and then. */
export function createEventStreams(options: EventStreamOptions): EventStreams {
  return new AllStreams(options);
}

class AllStreams implements EventStreams {
  readonly #options: EventStreamOptions;
  readonly #streams = new Set<EventStream>();
  readonly #stopListening: () => void;
  readonly #timer: NodeJS.Timeout;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#stopListening = options.onChange(() => this.#broadcast());
    this.#timer = setInterval(() => this.#keepAlive(), ALIVE_EVERY_MS);
  }

  open(request: Request, response: Response): void {
    if (this.#streams.size >= MAX_STREAMS) {
      response.setHeader('retry-after', '5');
      sendText(response, 503, `there are ${MAX_STREAMS} readers of events already`);
      return;
    }
    const first = eventOf(this.#options.coordinates());
    response.status(200).setHeader('content-type', 'text/event-stream');
    if (request.method === 'HEAD') {
      response.end();
      return;
    }
    // A stream is a request that takes for ever: the connection is not used for another one.
    response.setHeader('connection', 'close');
    const stream = new EventStream(response, () => this.#newest());
    this.#streams.add(stream);
    response.on('close', () => this.#streams.delete(stream));
    stream.send(first);
  }

  end(): void {
    for (const stream of this.#streams) stream.cut();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#stopListening();
    this.end();
  }

  #broadcast(): void {
    if (this.#streams.size === 0) return;
    const event = this.#newest();
    for (const stream of this.#streams) stream.send(event);
  }

  /** A comment where it cannot be said: nobody up the stack could answer for an error. */
  #newest(): string {
    try {
      return eventOf(this.#options.coordinates());
    } catch (error) {
      this.#options.log.error('the coordinates could not be sent', { error });
      return ALIVE;
    }
  }

  #keepAlive(): void {
    const now = this.#options.clock.monotonicMs();
    for (const stream of this.#streams) {
      if (!stream.isStuck(now)) stream.send(ALIVE);
      else {
        this.#options.log.debug('a reader of events was cut off, because it does not read');
        stream.cut();
      }
    }
  }
}

function eventOf(coordinates: Coordinates): string {
  return `event: coordinates\ndata: ${JSON.stringify(coordinates)}\n\n`;
}

/** One reader. What it is too slow for is not kept: when it reads on, it gets the newest. */
class EventStream {
  readonly #response: Response;
  #missed = false;
  #fullSinceMs: number | null = null;

  constructor(response: Response, newest: () => string) {
    this.#response = response;
    response.on('drain', () => {
      if (!this.#missed) return;
      this.#missed = false;
      this.send(newest());
    });
  }

  send(text: string): void {
    if (this.#response.writableNeedDrain) this.#missed = true;
    else this.#response.write(text);
  }

  /** Asked now and then. */
  isStuck(nowMs: number): boolean {
    if (this.#response.writableLength === 0) {
      this.#fullSinceMs = null;
      return false;
    }
    this.#fullSinceMs ??= nowMs;
    return nowMs - this.#fullSinceMs >= STUCK_MS;
  }

  cut(): void {
    this.#response.destroy();
  }
}
