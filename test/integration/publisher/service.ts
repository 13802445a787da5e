import { request } from 'node:http';
import type { IncomingMessage, RequestOptions } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import type { TestContext } from 'node:test';
import type { Coordinates } from '../../../src/api/publisher.ts';
import { systemClock } from '../../../src/clock.ts';
import { createMetrics } from '../../../src/ops/metrics.ts';
import type { PublisherTarget } from '../../../src/publisher/client.ts';
import { startPublisherServer } from '../../../src/publisher/server.ts';
import type { PublisherServer, PublisherServerOptions } from '../../../src/publisher/server.ts';
import { collectingLog, coordinates } from '../../unit/publisher/fixture.ts';

export const TOKEN = 'f2a9-a-token-of-the-test-71c3';

export interface Service extends PublisherServer {
  readonly logged: string[];
  /** From now on it says this, and that it changed. */
  change(next: Partial<Coordinates>): void;
  readonly listeners: () => number;
}

/** A publisher's server without a database. */
export async function startService(t: TestContext, changes: Partial<PublisherServerOptions> = {}): Promise<Service> {
  const { log, lines } = collectingLog();
  const listeners = new Set<() => void>();
  let says = coordinates();
  const server = await startPublisherServer({
    listen: { host: '127.0.0.1', port: 0 },
    token: TOKEN,
    tls: null,
    binlog: null,
    coordinates: () => says,
    journal: { page: () => Promise.resolve({ entries: [], next: null, damage: [] }) },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    live: () => ({ ok: true, detail: 'alive' }),
    metrics: createMetrics({ processMetrics: false }),
    clock: systemClock,
    log,
    ...changes,
  });
  t.after(() => server.close());
  return {
    ...server,
    logged: lines,
    listeners: () => listeners.size,
    change: (next) => {
      says = { ...says, ...next };
      for (const listener of listeners) listener();
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export const AUTHORIZED = { authorization: `Bearer ${TOKEN}` };

export function open({ port }: { port: number }, path: string, options: RequestOptions = {}): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const call = request({ host: '127.0.0.1', port, path, agent: false, headers: AUTHORIZED, ...options }, resolve);
    call.on('error', reject);
    call.end();
  });
}

export async function get(...call: Parameters<typeof open>): Promise<Answer> {
  const response = await open(...call);
  let body = '';
  for await (const part of response) body += String(part);
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

export function targetOf({ port }: { port: number }, changes: Partial<PublisherTarget> = {}): PublisherTarget {
  return { name: 'publisher of hci-a', url: `http://127.0.0.1:${port}`, token: TOKEN, ca: null, ...changes };
}

/** Something else on a port: says what it is told to whoever connects, after the first bytes. */
export async function startScripted(
  t: TestContext,
  answer: (socket: Socket, asked: string) => void,
): Promise<{ port: number }> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.once('data', (asked) => answer(socket, asked.toString('latin1')));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port };
}

/** A whole answer as HTTP has it. */
export function http(status: string, headers: Readonly<Record<string, string>>, body: string): string {
  const all = { 'content-length': String(Buffer.byteLength(body)), connection: 'close', ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status}\r\n${lines.join('')}\r\n${body}`;
}
