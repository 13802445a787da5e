import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import type { NextFunction, Request, Response } from 'express';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import { MxrError } from '../errors.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import { STYLE, statusPage } from './page.ts';
import { resourceJson, worstFirst } from './view.ts';
import type { ResourceView } from './view.ts';

export type { ResourceView };

export interface Health {
  readonly ok: boolean;
  /** One sentence, shown to whoever asks. */
  readonly detail: string;
}

export interface WebOptions {
  /** 0: any free port. */
  readonly port: number;
  readonly metrics: Pick<Metrics, 'text' | 'contentType'>;
  readonly resources: () => readonly ResourceView[];
  /** Does the loop make progress? Not ok: the kubelet restarts the process. */
  readonly live: () => Health;
  readonly ready: () => Health;
  readonly leader: () => boolean;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Web {
  readonly port: number;
  /** Ends every connection. */
  close(): Promise<void>;
}

/** Nobody here sends a body or many headers, and every answer is small or for one scraper. */
const HEADERS_TIMEOUT_MS = 5_000;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 5_000;
/** A reader that takes nothing for so long is cut off. */
const IDLE_MS = 30_000;
const MAX_HEADER_BYTES = 8_192;
const MAX_CONNECTIONS = 256;

/** Resolves when the port is bound; rejects with `ConfigInvalid` when it cannot be. */
export async function startWeb(options: WebOptions): Promise<Web> {
  const limits = {
    maxHeaderSize: MAX_HEADER_BYTES,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    connectionsCheckingInterval: 1_000,
  };
  const server = createServer(limits, application(options));
  server.setTimeout(IDLE_MS);
  server.maxConnections = MAX_CONNECTIONS;
  await listen(server, options.port);
  server.on('error', (error) => options.log.error('web server failed', { error }));
  return { port: (server.address() as AddressInfo).port, close: () => close(server) };
}

function application(options: WebOptions): express.Express {
  const app = express();
  app.disable('x-powered-by');
  app.disable('etag');
  app.set('query parser', 'simple');
  app.use(readOnly);
  app.get('/livez', (_request, response) => sendHealth(response, options.live()));
  app.get('/readyz', (_request, response) => sendHealth(response, options.ready()));
  app.get('/metrics', async (_request, response) => {
    const text = await options.metrics.text();
    response.setHeader('content-type', options.metrics.contentType);
    response.end(text);
  });
  app.get('/', loopbackOnly, (request, response) => sendPage(options, request, response));
  app.get('/api/v1/resources', loopbackOnly, (_request, response) => {
    response.json({ resources: worstFirst(options.resources()).map(resourceJson) });
  });
  app.use((_request, response) => sendText(response, 404, 'there is nothing here'));
  app.use((error: unknown, _request: Request, response: Response, next: NextFunction) => {
    const status = z.object({ status: z.int().min(400).max(499) }).safeParse(error).data?.status ?? 500;
    if (status === 500) options.log.error('web request failed', { error });
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
 * Until authentication exists, what mxr knows is shown to this host only (`kubectl port-forward`). Exactly these two
 * addresses: Istio's sidecar hands on everybody's requests from 127.0.0.6. And by these names only: a web page that
 * resolves its own name to 127.0.0.1 (DNS rebinding) must not read it through somebody's browser.
 */
const LOOPBACK = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);
const LOOPBACK_HOST = /^(localhost|127\.0\.0\.1|\[::1\])(:\d+)?$/iu;

function loopbackOnly(request: Request, response: Response, next: NextFunction): void {
  const peer = request.socket.remoteAddress ?? '';
  if (LOOPBACK.has(peer) && LOOPBACK_HOST.test(request.headers.host ?? '')) {
    next();
    return;
  }
  sendText(response, 403, 'only for this host: use kubectl port-forward and http://localhost');
}

const Query = z.object({ resource: z.string().max(400).optional() });
const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');
const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;

function sendPage({ resources, leader, clock }: WebOptions, request: Request, response: Response): void {
  const query = Query.safeParse(request.query);
  if (!query.success) {
    sendText(response, 400, 'resource must be namespace/name');
    return;
  }
  const page = { views: resources(), only: query.data.resource, leader: leader(), now: clock.wallMs() };
  response.setHeader('content-security-policy', PAGE_POLICY);
  response.setHeader('referrer-policy', 'no-referrer');
  response.type('html').end(statusPage(page));
}

function sendHealth(response: Response, { ok, detail }: Health): void {
  sendText(response, ok ? 200 : 503, detail);
}

function sendText(response: Response, status: number, text: string): void {
  response.status(status).type('text/plain').end(`${text}\n`);
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(bindError(port, error)));
    server.listen(port, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

const BIND_DETAIL: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another process listens there; choose another one with MXR_HTTP_PORT',
  EACCES: 'this user may not; choose a port above 1023 with MXR_HTTP_PORT',
};

function bindError(port: number, error: NodeJS.ErrnoException): MxrError {
  const detail = BIND_DETAIL[error.code ?? ''] ?? `the system said ${error.code ?? error.message}`;
  const call = { operation: 'listen', target: `port ${port} (MXR_HTTP_PORT)` };
  return new MxrError({ ...call, code: 'ConfigInvalid', detail, retryable: false, cause: error });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
