import { z } from 'zod';
import { MxrError } from '../errors.ts';
import type { ErrorCode } from '../errors.ts';

/** The API server's own error body (metav1.Status). */
const StatusBody = z.object({
  kind: z.literal('Status'),
  code: z.number().optional(),
  reason: z.string().optional(),
  message: z.string().optional(),
});

const MESSAGE_LIMIT = 400;

export interface CallName {
  readonly operation: string;
  readonly target: string;
}

/** An answer that is not 2xx. Only the parsed Status travels: client-node's own message embeds headers and body. */
export function statusError(call: CallName, httpStatus: number, body: unknown): MxrError {
  const parsed = StatusBody.safeParse(body);
  const reason = parsed.data?.reason ?? '';
  const text = (parsed.data?.message ?? '').slice(0, MESSAGE_LIMIT);
  const said = [reason, text].filter((part) => part !== '').join(': ');
  const { code, retryable } = classify(httpStatus);
  const detail = `the API server answered ${httpStatus}${said === '' ? '' : ` (${said})`}`;
  return new MxrError({ ...call, code, detail, retryable });
}

function classify(httpStatus: number): { code: ErrorCode; retryable: boolean } {
  switch (httpStatus) {
    case 401:
    case 403:
      return { code: 'KubeForbidden', retryable: false };
    case 404:
      return { code: 'KubeNotFound', retryable: false };
    case 409:
      return { code: 'KubeConflict', retryable: true };
    case 400:
    case 405:
    case 413:
    case 415:
    case 422:
      return { code: 'KubeInvalid', retryable: false };
    default:
      return { code: 'KubeUnavailable', retryable: true };
  }
}

/** A call that got no answer at all: refused, reset, TLS, unreadable credentials. */
export function transportError(call: CallName, error: unknown): MxrError {
  if (error instanceof MxrError) return error;
  const detail = `the API server could not be reached (${causeCode(error)})`;
  return new MxrError({ ...call, code: 'KubeUnavailable', detail, retryable: true });
}

export function malformed(call: CallName, what: string): MxrError {
  return new MxrError({ ...call, code: 'KubeUnavailable', detail: `the answer is not ${what}`, retryable: true });
}

/** The innermost error code (`ECONNREFUSED`), else the class name. Texts may hold headers or a plugin's output. */
function causeCode(error: unknown): string {
  let found = error instanceof Error ? error.name : typeof error;
  for (let at: unknown = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth += 1) {
    if ('code' in at && typeof at.code === 'string') found = at.code;
  }
  return found;
}
