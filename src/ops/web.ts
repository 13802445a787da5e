import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { NextFunction, Request, Response } from 'express';
import { z } from 'zod';
import type { Clock } from '../clock.ts';
import {
  SERVER_LIMITS,
  close,
  isFromLoopback,
  listen,
  readOnlyApplication,
  sendHealth,
  sendMetrics,
  sendText,
} from './http.ts';
import type { Health } from './http.ts';
import type { Logger } from './log.ts';
import type { Metrics } from './metrics.ts';
import { STYLE, statusPage } from './page.ts';
import { resourceJson, worstFirst } from './view.ts';
import type { ResourceView } from './view.ts';

export type { Health, ResourceView };

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

/** Resolves when the port is bound; rejects with `ConfigInvalid` when it cannot be. */
export async function startWeb(options: WebOptions): Promise<Web> {
  const application = readOnlyApplication(options.log, (app) => {
    app.get('/livez', (_request, response) => sendHealth(response, options.live()));
    app.get('/readyz', (_request, response) => sendHealth(response, options.ready()));
    app.get('/metrics', (_request, response) => sendMetrics(response, options.metrics));
    app.get('/', loopbackOnly, (request, response) => sendPage(options, request, response));
    app.get('/api/v1/resources', loopbackOnly, (_request, response) => {
      response.json({ resources: worstFirst(options.resources()).map(resourceJson) });
    });
  });
  const server = createServer(SERVER_LIMITS, application);
  const { port } = options;
  const at = { port, target: `port ${port} (MXR_HTTP_PORT)`, setting: 'MXR_HTTP_PORT' };
  return { port: await listen(server, at, options.log), close: () => close(server) };
}

/** Until authentication exists, what mxr knows is shown to this host only (`kubectl port-forward`). */
function loopbackOnly(request: Request, response: Response, next: NextFunction): void {
  if (isFromLoopback(request)) next();
  else sendText(response, 403, 'only for this host: use kubectl port-forward and http://localhost');
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
