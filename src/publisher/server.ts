import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { isIP } from 'node:net';
import type { Express, Request, Response } from 'express';
import { z } from 'zod';
import type { Coordinates } from '../api/publisher.ts';
import type { Clock } from '../clock.ts';
import type { BinlogConfig } from '../config.ts';
import { MxrError } from '../errors.ts';
import { SERVER_LIMITS, close, listen, readOnlyApplication, sendHealth, sendMetrics, sendText } from '../ops/http.ts';
import type { Exposition, Health } from '../ops/http.ts';
import type { Logger } from '../ops/log.ts';
import type { PublisherJournal } from './journal.ts';
import { createBinlogDownloads } from './server-binlog.ts';
import type { BinlogDownloads } from './server-binlog.ts';
import { createGuard } from './server-auth.ts';
import type { Guard } from './server-auth.ts';
import { createEventStreams } from './server-events.ts';
import type { EventStreams } from './server-events.ts';
import { MIN_TLS, followTls, readTls } from './server-tls.ts';
import type { TlsFiles } from './server-tls.ts';

export interface PublisherServerOptions {
  /** Port 0: any free one. */
  readonly listen: { readonly host: string; readonly port: number };
  /** Null: only a loopback address may be listened on. */
  readonly token: string | null;
  /** Null: plain HTTP. */
  readonly tls: TlsFiles | null;
  /** Null: binlog files are not served. */
  readonly binlog: BinlogConfig | null;
  /** As of now; sent as they are. */
  readonly coordinates: () => Coordinates;
  readonly journal: Pick<PublisherJournal, 'page'>;
  /** Calls the listener on every change of VIP, role or identity; returns what takes it off again. */
  readonly onChange: (listener: () => void) => () => void;
  readonly live: () => Health;
  readonly metrics: Exposition;
  readonly clock: Clock;
  readonly log: Logger;
  /** How often the TLS files are looked at; default: a minute. */
  readonly tlsEveryMs?: number;
}

export interface PublisherServer {
  readonly port: number;
  /** From now on this one; streams that were opened with the one before end. */
  setToken(token: string): void;
  close(): Promise<void>;
}

const TLS_EVERY_MS = 60_000;
const HANDSHAKE_TIMEOUT_MS = 5_000;

/** Resolves when it listens; rejects with `ConfigInvalid` when it cannot, or must not. */
export async function startPublisherServer(options: PublisherServerOptions): Promise<PublisherServer> {
  const { log } = options;
  const { host, port } = options.listen;
  requireTokenOrLoopback(options);
  requireSafeForBinlog(options);
  const guard = createGuard(options);
  const streams = createEventStreams(options);
  const downloads = createBinlogDownloads(options);
  try {
    const { server, stop } = await createWebServer(
      options,
      readOnlyApplication(log, (app) => addRoutes(app, options, { guard, streams, downloads })),
    );
    const at = { host, port, target: `${shown(host)}:${port}`, setting: 'the listen address' };
    const bound = await listen(server, at, log);
    return {
      port: bound,
      setToken: (token) => {
        requireUsable(token);
        guard.setToken(token);
        streams.end();
        downloads.end();
      },
      close: async () => {
        stop();
        streams.close();
        await close(server);
      },
    };
  } catch (error) {
    streams.close();
    throw error;
  }
}

interface Parts {
  readonly guard: Guard;
  readonly streams: EventStreams;
  readonly downloads: BinlogDownloads;
}

function addRoutes(app: Express, options: PublisherServerOptions, { guard, streams, downloads }: Parts): void {
  const { coordinates, journal, live, metrics } = options;
  app.get('/healthz', (_request, response) => sendHealth(response, live()));
  app.get('/metrics', guard.check, (_request, response) => sendMetrics(response, metrics));
  app.get('/v1/coordinates', guard.check, (_request, response) => void response.json(coordinates()));
  app.get('/v1/journal', guard.check, (request, response) => sendJournal(journal, request, response));
  app.get('/v1/events', guard.check, (request, response) => streams.open(request, response));
  app.get('/v1/binlog', guard.check, (request, response) => downloads.list(request, response));
  app.get('/v1/binlog/:name', guard.check, (request, response) => downloads.send(request, response));
}

const wholeNumber = z
  .string()
  .regex(/^[1-9]\d{0,14}$/u)
  .transform(Number);
const JournalQuery = z.object({
  from: wholeNumber.optional(),
  limit: wholeNumber.pipe(z.number().max(1_000)).default(100),
});

async function sendJournal(
  journal: Pick<PublisherJournal, 'page'>,
  request: Request,
  response: Response,
): Promise<void> {
  const query = JournalQuery.safeParse(request.query);
  if (!query.success) {
    const field = query.error.issues[0]?.path[0];
    const wanted = field === 'limit' ? 'limit must be a whole number from 1 to 1000' : 'from must be a whole number';
    sendText(response, 400, wanted);
    return;
  }
  response.json(await journal.page(query.data.from ?? null, query.data.limit));
}

async function createWebServer(
  { tls, tlsEveryMs = TLS_EVERY_MS, log }: PublisherServerOptions,
  application: Express,
): Promise<{ server: Server; stop: () => void }> {
  if (tls === null) return { server: createServer(SERVER_LIMITS, application), stop: () => undefined };
  const material = await readTls(tls);
  const { cert, key } = material;
  const limits = { ...SERVER_LIMITS, handshakeTimeout: HANDSHAKE_TIMEOUT_MS };
  const server = createTlsServer({ ...limits, cert, key, minVersion: MIN_TLS }, application);
  return { server, stop: followTls(server, { files: tls, material, everyMs: tlsEveryMs, log }) };
}

function requireTokenOrLoopback({ token, listen: { host, port } }: PublisherServerOptions): void {
  if (token !== null) {
    requireUsable(token);
    return;
  }
  if (isLoopback(host)) return;
  const target = `${shown(host)}:${port}`;
  const detail = 'it has no token: give it one (MXR_PUBLISHER_TOKEN_FILE), or let it listen on 127.0.0.1';
  throw new MxrError({ operation: 'listen', target, code: 'ConfigInvalid', detail, retryable: false });
}

/** Here too, for who starts it otherwise than by its settings. */
function requireSafeForBinlog({ token, tls, binlog, listen: { host, port } }: PublisherServerOptions): void {
  if (binlog === null || (token !== null && (tls !== null || isLoopback(host)))) return;
  const target = `${shown(host)}:${port}`;
  const detail = 'binlog files are served with a token only, and beyond loopback only over TLS';
  throw new MxrError({ operation: 'listen', target, code: 'ConfigInvalid', detail, retryable: false });
}

/** A name could be that of another address. */
function isLoopback(host: string): boolean {
  return host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** As a header can carry it. */
function requireUsable(token: string): void {
  if (/^[\x21-\x7e]{1,1024}$/u.test(token)) return;
  const detail =
    'it must be 1 to 1024 printable ASCII characters without spaces, for example of `openssl rand -hex 32`';
  const call = { operation: 'use the token', target: 'the publisher' };
  throw new MxrError({ ...call, code: 'ConfigInvalid', detail, retryable: false });
}

function shown(host: string): string {
  return isIP(host) === 6 ? `[${host}]` : host;
}
