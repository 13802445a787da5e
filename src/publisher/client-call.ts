import { Agent, request as plainRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import type { RequestOptions } from 'node:https';
import { isIP } from 'node:net';
import { MxrError, systemCode } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

export interface PublisherTarget {
  /** For messages: `publisher of hci-a`. */
  readonly name: string;
  readonly url: string;
  readonly token: string | null;
  /** PEM; null: the CAs of the system. */
  readonly ca: string | null;
}

/** Connections that are used again. Without them each call opens its own. */
export interface PublisherConnections {
  readonly plain: Agent;
  readonly tls: TlsAgent;
  close(): void;
}

/** Of one publisher; a call that is aborted takes its connection with it. */
const MAX_SOCKETS = 4;
const MAX_SOCKETS_IN_ALL = 2_000;
const IDLE_MS = 4_000;

export function openConnections(): PublisherConnections {
  const bounds = { keepAlive: true, maxSockets: MAX_SOCKETS, maxTotalSockets: MAX_SOCKETS_IN_ALL, timeout: IDLE_MS };
  const plain = new Agent(bounds);
  const tls = new TlsAgent({ ...bounds, maxCachedSessions: 100 });
  return {
    plain,
    tls,
    close: () => {
      plain.destroy();
      tls.destroy();
    },
  };
}

/** One GET; `operation` and `target` are for messages, and hold no secret. */
export interface Call {
  readonly operation: string;
  readonly target: string;
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: RequestOptions;
}

const MAX_HEADER_BYTES = 8_192;

/** Throws `ConfigInvalid` or `TlsRefused` for what no attempt could change. */
export function callOf(target: PublisherTarget, operation: string, path: string): Call {
  const { name, token, ca } = target;
  const url = urlOf(target, operation, path);
  const call = { operation, target: `${name} (${url.origin})` };
  if (token !== null && !/^[\x21-\x7e]{1,1024}$/u.test(token)) {
    throw failed(call, 'ConfigInvalid', 'its token has characters that no header can carry, or none, or too many');
  }
  const authorization = token === null ? {} : { authorization: `Bearer ${token}` };
  const headers = { ...authorization, 'user-agent': 'mxr', 'accept-encoding': 'identity' };
  return { ...call, url, headers, tls: url.protocol === 'https:' ? tlsOf(call, url, ca) : {} };
}

function tlsOf(call: Pick<Call, 'operation' | 'target'>, url: URL, ca: string | null): RequestOptions {
  // TLS itself ignores what it cannot read, and then says of every server that it cannot be verified.
  if (ca !== null && !ca.includes('-----BEGIN CERTIFICATE-----')) {
    throw failed(call, 'TlsRefused', 'the CA that is given for it is not a certificate in PEM form');
  }
  // Of an address the certificate has to name the address, and TLS has no place to ask for one.
  const host = url.hostname.replace(/^\[|\]$/gu, '');
  const servername = isIP(host) === 0 ? { servername: host } : {};
  return { rejectUnauthorized: true, minVersion: 'TLSv1.2', ...servername, ...(ca === null ? {} : { ca }) };
}

function urlOf({ name, url }: PublisherTarget, operation: string, path: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const usable =
    parsed !== undefined &&
    ['http:', 'https:'].includes(parsed.protocol) &&
    [parsed.username, parsed.password, parsed.search, parsed.hash].every((part) => part === '');
  // What cannot be read may hold a password.
  if (!usable) {
    const detail = 'its URL must be https://HOST:PORT (or http:), without a user, query or fragment';
    throw failed({ operation, target: name }, 'ConfigInvalid', detail);
  }
  return new URL(`${parsed.href.replace(/\/+$/u, '')}${path}`);
}

export interface SendOptions {
  readonly accept: string;
  readonly signal: AbortSignal;
  readonly connections: PublisherConnections | null;
  /** What a status means that only this call can get. */
  readonly meaning?: Readonly<Record<number, string>>;
}

/** Resolves with an answer 200 of the wanted type, whose body is yet to be read; rejects with MxrError. */
export async function send(call: Call, options: SendOptions): Promise<IncomingMessage> {
  const response = await answerOf(call, options);
  const refusal = refusalOf(call, response, options);
  if (refusal === undefined) return response;
  response.destroy();
  throw refusal;
}

async function answerOf(call: Call, options: SendOptions): Promise<IncomingMessage> {
  try {
    return await exchange(call, options);
  } catch (error) {
    // The publisher closed an idle connection at the very moment at which it was used again.
    if (!(error instanceof StaleConnection)) throw transportError(call, error);
  }
  try {
    return await exchange(call, { ...options, connections: null });
  } catch (error) {
    throw transportError(call, error);
  }
}

class StaleConnection extends Error {}

function exchange(call: Call, { accept, signal, connections }: SendOptions): Promise<IncomingMessage> {
  const isTls = call.url.protocol === 'https:';
  const agent = connections === null ? false : isTls ? connections.tls : connections.plain;
  const headers = { ...call.headers, accept };
  return new Promise((resolve, reject) => {
    const options = { ...call.tls, headers, agent, signal, maxHeaderSize: MAX_HEADER_BYTES };
    const request = isTls ? tlsRequest(call.url, options) : plainRequest(call.url, options);
    request.on('error', (error: NodeJS.ErrnoException) => {
      const isStale = request.reusedSocket && ['ECONNRESET', 'EPIPE'].includes(error.code ?? '');
      reject(isStale ? new StaleConnection() : transportError(call, error));
    });
    request.once('response', resolve);
    request.end();
  });
}

const MEDIA_TYPE = /^([^;\s]*)\s*(?:;.*)?$/u;

function refusalOf(call: Call, response: IncomingMessage, { accept, meaning = {} }: SendOptions): MxrError | undefined {
  const status = response.statusCode ?? 0;
  const known = meaning[status];
  if (known !== undefined) return failed(call, 'BinlogRefused', known, status >= 500);
  if (status === 401 || status === 403 || status === 429) {
    const cure = 'the Secret that publisherAuth names must have the token of its MXR_PUBLISHER_TOKEN_FILE';
    return failed(call, 'AccessDenied', `it does not accept the token (${status}): ${cure}`);
  }
  if (status >= 300 && status < 400) return notOurs(call, `it redirects (${status}), which is not followed`);
  if (status !== 200) return failed(call, 'ProtocolError', `it answers ${status}`, status >= 500);
  const type = MEDIA_TYPE.exec(response.headers['content-type'] ?? '')?.[1]?.toLowerCase();
  if (type !== accept) return notOurs(call, `its answer is not ${accept}`);
  const encoding = response.headers['content-encoding'] ?? 'identity';
  return encoding === 'identity' ? undefined : notOurs(call, 'its answer is compressed, which was not asked for');
}

/** Something answers that is not a publisher. */
export function notOurs(call: Call, detail: string): MxrError {
  return failed(call, 'ProtocolError', `${detail}: is its URL that of a publisher?`);
}

function failed(
  call: Pick<Call, 'operation' | 'target'>,
  code: ErrorCode,
  detail: string,
  retryable = false,
): MxrError {
  const { operation, target } = call;
  return new MxrError({ operation, target, code, detail, retryable });
}

const UNRESOLVED = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'ENODATA']);
/** OpenSSL's names for a certificate that does not verify, and Node.js's own for TLS that does not come about. */
const TLS_CODE =
  /^(?:ERR_(?:TLS|SSL|OSSL)|EPROTO$|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|ERROR_IN_C|HOSTNAME_MISMATCH|INVALID_(?:CA|PURPOSE)|PATH_LENGTH)/u;

/** The system's code alone: the text of an error may quote what was sent or received. */
export function transportError(call: Call, error: unknown): MxrError {
  if (error instanceof MxrError) return error;
  const code = systemCode(error) ?? 'unknown';
  if (UNRESOLVED.has(code)) return failed(call, 'HostUnresolved', `its name does not resolve (${code})`, true);
  if (code === 'ECONNREFUSED') return failed(call, 'ConnectionRefused', `nothing listens there (${code})`, true);
  if (TLS_CODE.test(code)) return failed(call, 'TlsRefused', `TLS was refused (${code})${tlsCure(code)}`);
  if (code.startsWith('HPE_')) return notOurs(call, `it does not speak HTTP (${code})`);
  return failed(call, 'ConnectionLost', `the connection broke (${code})`, true);
}

function tlsCure(code: string): string {
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return ': its certificate does not name the host of the URL';
  if (code === 'CERT_HAS_EXPIRED') return ': its certificate has expired';
  if (code === 'EPROTO' || code.startsWith('ERR_SSL'))
    return ': does it speak TLS on this port, in version 1.2 or later?';
  return ': the CA that is given is not that of its certificate';
}
