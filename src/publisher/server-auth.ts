import { createHash, timingSafeEqual } from 'node:crypto';
import type { NextFunction, Request, Response } from 'express';
import type { Clock } from '../clock.ts';
import { isFromLoopback, sendText } from '../ops/http.ts';
import type { Logger } from '../ops/log.ts';

const BEARER = /^Bearer +([\x21-\x7e]{1,1024})$/iu;
const CHALLENGE = 'Bearer realm="mxr publisher"';

/** Of one address. */
const MAX_FAILURES = 10;
const WINDOW_MS = 60_000;
const MAX_PEERS = 1_000;

export interface Guard {
  /** Lets through who has the token; without a token, who is on this host. */
  readonly check: (request: Request, response: Response, next: NextFunction) => void;
  setToken(token: string): void;
}

export interface GuardOptions {
  readonly token: string | null;
  readonly clock: Clock;
  readonly log: Logger;
}

export function createGuard(options: GuardOptions): Guard {
  const { log } = options;
  let wanted = options.token === null ? null : digestOf(options.token);
  const failures = createFailures(options.clock);

  function check(request: Request, response: Response, next: NextFunction): void {
    if (wanted === null) {
      if (isFromLoopback(request)) next();
      else sendText(response, 403, 'without a token this is only for programs of this host, by the name localhost');
      return;
    }
    const given = BEARER.exec(request.headers.authorization ?? '')?.[1];
    // Whoever knows the token gets through at all times: behind address translation a stranger's guesses come from the
    // same address, and must not lock the operator out.
    if (given !== undefined && timingSafeEqual(digestOf(given), wanted)) next();
    else refuse(request, response);
  }

  function refuse(request: Request, response: Response): void {
    const peer = request.socket.remoteAddress ?? '';
    const count = failures.count(peer);
    if (count === MAX_FAILURES + 1) log.warn('a peer keeps asking without the right token', { peer });
    if (count > MAX_FAILURES) {
      // Each further guess costs a connection of its own.
      response.setHeader('connection', 'close');
      response.setHeader('retry-after', String(WINDOW_MS / 1_000));
      sendText(response, 429, 'too many requests without the right token');
      return;
    }
    response.setHeader('www-authenticate', CHALLENGE);
    sendText(response, 401, 'this needs the bearer token of the publisher');
  }

  function setToken(token: string): void {
    wanted = digestOf(token);
  }

  return { check, setToken };
}

/** Equal lengths for the comparison, and the token itself is not kept. */
function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest();
}

function createFailures(clock: Clock): { count(peer: string): number } {
  const peers = new Map<string, { count: number; readonly sinceMs: number }>();
  return {
    count: (peer) => {
      const now = clock.monotonicMs();
      const known = peers.get(peer);
      if (known !== undefined && now - known.sinceMs < WINDOW_MS) {
        known.count += 1;
        return known.count;
      }
      peers.delete(peer);
      for (const [oldest] of peers) {
        if (peers.size < MAX_PEERS) break;
        peers.delete(oldest);
      }
      peers.set(peer, { count: 1, sinceMs: now });
      return 1;
    },
  };
}
