import { HttpMethod, IsomorphicFetchHttpLibrary, RequestContext } from '@kubernetes/client-node';
import type { KubeConfig, ResponseContext } from '@kubernetes/client-node';
import { MxrError, isMxrError } from '../errors.ts';
import { cancelled, withDeadline } from '../deadline.ts';
import { shareDispatcher } from './dispatcher.ts';
import type { SharedDispatcher } from './dispatcher.ts';
import { malformed, statusError, transportError } from './errors.ts';
import type { CallName } from './errors.ts';
import { readLines } from './lines.ts';
import { createSlots } from './slots.ts';
import type { Slots } from './slots.ts';

export interface ApiRequest extends CallName {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH';
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  /** Default: the transport's. Covers authentication, connecting, headers and body. */
  readonly timeoutMs?: number | undefined;
  /** Does not wait for a slot: the Lease must be renewed however busy the rest is. */
  readonly urgent?: boolean;
}

export interface StreamRequest extends CallName {
  readonly path: string;
  readonly query: Readonly<Record<string, string | undefined>>;
  /** A stream that brings no byte for so long ends. */
  readonly inactivityMs: number;
  readonly signal: AbortSignal;
}

export interface Transport {
  /** One call; the parsed JSON answer. Rejects with MxrError only. */
  call(request: ApiRequest): Promise<unknown>;
  /** One watch; yields parsed JSON lines, returns when it is closed or silent. Leaving the loop closes the socket. */
  stream(request: StreamRequest): AsyncGenerator<unknown, void>;
  /** Closes every connection at once; calls and streams under way end with an error. */
  close(): Promise<void>;
}

export interface TransportOptions {
  readonly requestTimeoutMs: number;
  /** Calls in flight at once; each needs a connection of its own. */
  readonly maxInFlight: number;
}

/** HTTP with the kubeconfig's authentication and TLS, by client-node; connections, deadlines and errors, by mxr. */
export function createTransport(kubeConfig: KubeConfig, options: TransportOptions): Transport {
  return new HttpTransport(kubeConfig, options);
}

/** Of a call that its caller gave up. */
const CANCELLED = 'KubeUnavailable';

class HttpTransport implements Transport {
  readonly #kubeConfig: KubeConfig;
  readonly #server: string;
  readonly #requestTimeoutMs: number;
  readonly #dispatcher: SharedDispatcher;
  readonly #slots: Slots;
  readonly #http = new IsomorphicFetchHttpLibrary();

  constructor(kubeConfig: KubeConfig, options: TransportOptions) {
    this.#kubeConfig = kubeConfig;
    this.#server = serverOf(kubeConfig);
    this.#requestTimeoutMs = options.requestTimeoutMs;
    this.#dispatcher = shareDispatcher(kubeConfig);
    this.#slots = createSlots(options.maxInFlight);
  }

  async call(request: ApiRequest): Promise<unknown> {
    const { operation, target, signal } = request;
    const ms = request.timeoutMs ?? this.#requestTimeoutMs;
    try {
      return await withDeadline({ ms, operation, target, signal, cancelledCode: CANCELLED }, (inner) =>
        this.#exchange(request, inner),
      );
    } catch (error) {
      throw this.#failure(request, error);
    }
  }

  async *stream(request: StreamRequest): AsyncGenerator<unknown, void> {
    const { operation, target, signal } = request;
    const controller = new AbortController();
    const abort = (): void => controller.abort();
    signal.addEventListener('abort', abort, { once: true });
    try {
      const ms = this.#requestTimeoutMs;
      const response = await withDeadline(
        { ms, operation, target, signal, cancelledCode: CANCELLED },
        async (inner) => {
          inner.addEventListener('abort', abort, { once: true });
          const opened = await this.#send({ ...request, method: 'GET' }, controller.signal);
          if (opened.httpStatusCode !== 200) await answerOf(request, opened);
          return opened;
        },
      );
      const body = response.body.stream();
      if (body === null) throw malformed(request, 'a stream');
      for await (const line of readLines(body, { ...request, onSilence: abort })) yield parseJson(request, line);
    } catch (error) {
      throw signal.aborted ? cancelled(operation, target, CANCELLED) : this.#failure(request, error);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  close(): Promise<void> {
    return this.#dispatcher.destroy();
  }

  async #exchange(request: ApiRequest, signal: AbortSignal): Promise<unknown> {
    const giveBack = request.urgent === true ? undefined : await this.#slots.take(signal);
    try {
      return await answerOf(request, await this.#send(request, signal));
    } finally {
      giveBack?.();
    }
  }

  async #send(request: Omit<ApiRequest, 'signal'>, signal: AbortSignal): Promise<ResponseContext> {
    const context = new RequestContext(`${this.#server}${request.path}`, HttpMethod[request.method]);
    for (const [key, value] of Object.entries(request.query ?? {})) {
      if (value !== undefined) context.setQueryParam(key, value);
    }
    context.setHeaderParam('Accept', 'application/json');
    context.setHeaderParam('User-Agent', 'mxr');
    if (request.body !== undefined) {
      context.setHeaderParam('Content-Type', request.contentType ?? 'application/json');
      context.setBody(JSON.stringify(request.body));
    }
    context.setSignal(signal);
    await this.#kubeConfig.applySecurityAuthentication(context);
    return this.#http.send(context).toPromise();
  }

  #failure(request: CallName, error: unknown): MxrError {
    // Idle connections to a server that has gone quiet are as dead as the one that was tried.
    if (isMxrError(error, 'Deadline')) this.#dispatcher.renew();
    return transportError(request, error);
  }
}

async function answerOf(call: CallName, response: ResponseContext): Promise<unknown> {
  const text = await response.body.text();
  const ok = response.httpStatusCode >= 200 && response.httpStatusCode < 300;
  if (ok) return parseJson(call, text);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    // A proxy's error page: the status code alone decides.
  }
  throw statusError(call, response.httpStatusCode, body);
}

function parseJson(call: CallName, text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw malformed(call, 'JSON');
  }
}

function serverOf(kubeConfig: KubeConfig): string {
  const server = kubeConfig.getCurrentCluster()?.server ?? '';
  if (/^https?:\/\//u.test(server) && URL.canParse(server)) return server.replace(/\/+$/u, '');
  throw new MxrError({
    operation: 'use the kubeconfig',
    target: 'its current context',
    code: 'ConfigInvalid',
    detail: 'it names no cluster with an http(s) server address',
    retryable: false,
  });
}
