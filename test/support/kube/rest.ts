import { request as httpsRequest } from 'node:https';

/**
 * The bench's own small client. It shares no code with mxr's Kubernetes port, so that a fault there cannot hide
 * itself from the tests.
 */
export interface Resource {
  /** `v1`, or group and version: `apps/v1`, `mxr.dev/v1alpha1`. */
  readonly api: string;
  readonly plural: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

/** Any Kubernetes object, as loosely as the API server sends it. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata?: {
    name?: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    generation?: number;
    creationTimestamp?: string;
    deletionTimestamp?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    finalizers?: string[];
  };
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
  [field: string]: unknown;
}

export interface Target {
  readonly url: string;
  readonly caPem: string;
  readonly token: string;
}

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  /** Default 10 s, for the whole answer. */
  readonly deadlineMs?: number;
}

/** An answer of the API server that is not a success. */
export class KubeStatusError extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

export function resourcePath(resource: Resource, query: Readonly<Record<string, string>> = {}): string {
  const { api, plural, namespace, name, subresource } = resource;
  const scope = namespace === undefined ? [] : ['namespaces', namespace];
  const parts = [api.includes('/') ? 'apis' : 'api', ...api.split('/'), ...scope, plural, name, subresource];
  const path = parts
    .filter((part) => part !== undefined)
    .map(encodeURIComponent)
    .join('/');
  const search = new URLSearchParams(query).toString();
  return search === '' ? `/${path}` : `/${path}?${search}`;
}

/** One call on a connection of its own: a restarted server never meets a connection from before. */
export async function callKube<T>(target: Target, call: Call): Promise<T> {
  const { status, text } = await exchange(target, call);
  if (status >= 200 && status < 300) return JSON.parse(text) as T;
  const { reason, message } = failureOf(text);
  throw new KubeStatusError(status, reason, `${call.method} ${call.path}: ${status} ${reason}: ${message}`);
}

/** The answer as it came, whatever its status. */
export function exchange(target: Target, call: Call): Promise<{ status: number; text: string }> {
  const { method, path, body, contentType = 'application/json', deadlineMs = 10_000 } = call;
  const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body));
  const headers = {
    authorization: `Bearer ${target.token}`,
    accept: 'application/json',
    ...(payload === undefined ? {} : { 'content-type': contentType, 'content-length': payload.length }),
  };
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(deadlineMs);
    const fail = (error: Error): void => {
      const why = signal.aborted ? `no answer within ${deadlineMs} ms` : error.message;
      reject(new Error(`${method} ${target.url}${path}: ${why}`, { cause: error }));
    };
    const sent = httpsRequest(
      new URL(path, target.url),
      { method, headers, ca: target.caPem, agent: false, signal },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', fail);
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
        );
      },
    );
    sent.on('error', fail);
    sent.end(payload);
  });
}

/** Errors come as a `Status` object, or as plain text from the outermost filters. */
function failureOf(text: string): { reason: string; message: string } {
  try {
    const { reason = 'Unknown', message = text } = JSON.parse(text) as { reason?: string; message?: string };
    return { reason, message };
  } catch {
    return { reason: 'Unknown', message: text.trim() };
  }
}
