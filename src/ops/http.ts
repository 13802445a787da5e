import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import type { NextFunction, Request, Response } from 'express';
import { z } from 'zod';
import { MxrError } from '../errors.ts';
import type { Logger } from './log.ts';

/** What the HTTP servers of mxr have in common: they only answer, in small answers, and trust nobody. */

export interface Health {
  readonly ok: boolean;
  /** One sentence, shown to whoever asks. */
  readonly detail: string;
}

/** Nobody here sends a body or many headers, and every answer is small or for one scraper. */
export const SERVER_LIMITS = {
  maxHeaderSize: 8_192,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 1_000,
} as const;
/** A reader that takes nothing for so long is cut off. */
const IDLE_MS = 30_000;
const MAX_CONNECTIONS = 256;

export interface ListenAt {
  /** 0: any free port. */
  readonly port: number;
  /** Absent: every address. */
  readonly host?: string;
  /** For messages: `port 8080 (MXR_HTTP_PORT)`. */
  readonly target: string;
  /** Where a person changes it: `MXR_HTTP_PORT`. */
  readonly setting: string;
}

/** Resolves with the port when it is bound; rejects with `ConfigInvalid` when it cannot be. */
export async function listen(server: Server, at: ListenAt, log: Logger): Promise<number> {
  server.setTimeout(IDLE_MS);
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    const onError = (error: NodeJS.ErrnoException): void => reject(bindError(at, error));
    server.once('error', onError);
    server.listen({ port: at.port, ...(at.host === undefined ? {} : { host: at.host }) }, () => {
      server.off('error', onError);
      resolve();
    });
  });
  server.on('error', (error) => log.error('web server failed', { error }));
  return (server.address() as AddressInfo).port;
}

/** Ends every connection. */
export function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}

/** An application that answers GET and HEAD with what `routes` adds, and everything else with an error. */
export function readOnlyApplication(log: Logger, routes: (app: express.Express) => void): express.Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.use(readOnly);
  routes(app);
  app.use((_request, response) => sendText(response, 404, 'there is nothing here'));
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    const status = z.object({ status: z.int().min(400).max(499) }).safeParse(error).data?.status ?? 500;
    if (status === 500) log.error('web request failed', { error });
    if (response.headersSent) next(error);
    else sendText(response, status, status === 500 ? 'internal error' : 'bad request');
  });
  return app;
}

function readOnly(request: Request, response: Response, next: NextFunction): void {
  response.setHeader('cache-control', 'no-store');
  response.setHeader('x-content-type-options', 'nosniff');
  if (request.method === 'GET' || request.method === 'HEAD') {
    next();
    return;
  }
  response.setHeader('allow', 'GET, HEAD');
  response.setHeader('connection', 'close');
  sendText(response, 405, 'only GET and HEAD');
}

/**
 * Exactly these addresses: Istio's sidecar hands on everybody's requests from 127.0.0.6. And by these names only: a web
 * page that resolves its own name to 127.0.0.1 (DNS rebinding) must not read it through somebody's browser.
 */
const LOOPBACK = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);
const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/iu;

/** Whether a program of this host asks, by a name of this host. */
export function isFromLoopback(request: Request): boolean {
  return LOOPBACK.has(request.socket.remoteAddress ?? '') && LOOPBACK_HOST.test(request.headers.host ?? '');
}

export function sendHealth(response: Response, { ok, detail }: Health): void {
  sendText(response, ok ? 200 : 503, detail);
}

export function sendText(response: Response, status: number, text: string): void {
  response.status(status).type('text/plain').end(`${text}\n`);
}

export interface Exposition {
  readonly contentType: string;
  text(): Promise<string>;
}

export async function sendMetrics(response: Response, metrics: Exposition): Promise<void> {
  const text = await metrics.text();
  response.setHeader('content-type', metrics.contentType);
  response.end(text);
}

const BIND_DETAIL: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there; choose another one with',
  EADDRNOTAVAIL: 'this host has no such address; choose another one with',
  EACCES: 'this user may not; choose a port above 1023 with',
};

function bindError({ target, setting }: ListenAt, error: NodeJS.ErrnoException): MxrError {
  const known = BIND_DETAIL[error.code ?? ''];
  const detail = known === undefined ? `the system said ${error.code ?? error.message}` : `${known} ${setting}`;
  return new MxrError({ operation: 'listen', target, code: 'ConfigInvalid', detail, retryable: false, cause: error });
}
