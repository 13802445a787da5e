import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttp } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createSecureServer } from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';

/** One request as the scripted API server saw it, and the ways to answer it. Not answering at all is one of them. */
export interface ScriptedCall {
  readonly method: string;
  readonly httpVersion: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly contentType: string;
  readonly authorization: string;
  readonly body: unknown;
  json(status: number, body: unknown): void;
  /** Begins a watch. */
  stream(status?: number): ScriptedStream;
  /** Cuts the connection. */
  cut(): void;
}

export interface ScriptedStream {
  send(type: string, object: unknown): void;
  raw(text: string): void;
  end(): void;
  readonly closed: boolean;
}

export interface ScriptedApi {
  readonly kubeConfig: () => KubeConfig;
  readonly calls: readonly ScriptedCall[];
  /** Connections ever accepted, and those open now. */
  readonly connections: () => { readonly total: number; readonly open: number };
  /** Replaces the script. */
  script(answer: Script): void;
  close(): Promise<void>;
}

export type Script = (call: ScriptedCall, nth: number) => void;

export interface ScriptedOptions {
  readonly tls?: boolean;
  readonly token?: string;
}

export async function scriptedApi(script: Script, options: ScriptedOptions = {}): Promise<ScriptedApi> {
  const sockets = new Set<Socket>();
  const calls: ScriptedCall[] = [];
  let total = 0;
  let answer = script;
  async function onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const call = callOf(request, response, await bodyOf(request));
    calls.push(call);
    answer(call, calls.length);
  }
  const pem = options.tls === true ? selfSigned() : undefined;
  // A real API server prefers HTTP/2 as well.
  const server = pem === undefined ? createHttp() : createSecureServer({ ...pem, allowHTTP1: true });
  server.on('request', (request: IncomingMessage, response: ServerResponse) => void onRequest(request, response));
  server.on(pem === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    total += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const scheme = pem === undefined ? 'http' : 'https';
  return {
    kubeConfig: () => configFor(`${scheme}://127.0.0.1:${port}`, pem?.cert, options.token ?? 'scripted-token'),
    calls,
    connections: () => ({ total, open: sockets.size }),
    script: (next) => {
      answer = next;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function callOf(request: IncomingMessage, response: ServerResponse, body: unknown): ScriptedCall {
  const url = new URL(request.url ?? '/', 'http://scripted');
  return {
    method: request.method ?? '',
    httpVersion: request.httpVersion,
    path: url.pathname,
    query: url.searchParams,
    contentType: request.headers['content-type'] ?? '',
    authorization: request.headers.authorization ?? '',
    body,
    json: (status, answer) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    },
    stream: (status = 200) => {
      response.writeHead(status, { 'content-type': 'application/json' }).flushHeaders();
      return {
        send: (type, object) => response.write(`${JSON.stringify({ type, object })}\n`),
        raw: (text) => response.write(text),
        end: () => response.end(),
        get closed() {
          return response.destroyed;
        },
      };
    },
    cut: () => request.socket.destroy(),
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return text === '' ? undefined : (JSON.parse(text) as unknown);
}

function configFor(server: string, cert: string | undefined, token: string): KubeConfig {
  const config = new KubeConfig();
  const trust =
    cert === undefined
      ? { skipTLSVerify: true }
      : { skipTLSVerify: false, caData: Buffer.from(cert).toString('base64') };
  config.loadFromClusterAndUser({ name: 'scripted', server, ...trust }, { name: 'user', token });
  return config;
}

function selfSigned(): { key: string; cert: string } {
  const dir = mkdtempSync(join(tmpdir(), 'mxr-scripted-'));
  try {
    const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')];
    const subject = ['-subj', '/CN=scripted', '-addext', 'subjectAltName=IP:127.0.0.1'];
    const form = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    execFileSync('openssl', ['req', ...form, '-keyout', key, '-out', cert, ...subject], { stdio: 'pipe' });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** metav1.Status, as the API server answers errors. */
export function statusBody(code: number, reason: string, message: string): object {
  return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', code, reason, message };
}

/** A pod as the API shows it. */
export function podObject(name: string, resourceVersion: string, namespace = 'orders'): object {
  const metadata = { name, namespace, uid: `uid-${name}`, resourceVersion };
  return { apiVersion: 'v1', kind: 'Pod', metadata, status: { phase: 'Running', podIP: '10.0.0.9' } };
}

export function listBody(resourceVersion: string, items: readonly object[], next?: string): object {
  return { kind: 'List', apiVersion: 'v1', metadata: { resourceVersion, continue: next }, items };
}
