import { MxrError } from './errors.ts';
import type { ErrorCode } from './errors.ts';

export interface DeadlineOptions {
  readonly ms: number;
  readonly operation: string;
  readonly target: string;
  readonly signal?: AbortSignal | undefined;
  /** The code of the error when the caller's signal aborts; default: `ConnectionLost`. */
  readonly cancelledCode?: ErrorCode;
}

/**
 * Runs `run` with a signal that aborts at the deadline or with the caller's signal, and rejects at that moment even
 * if `run` ignores the signal. Own listeners instead of `AbortSignal.any`: the caller's signal lives as long as the
 * process, and everything that hangs on it must be taken off again.
 */
export async function withDeadline<T>(options: DeadlineOptions, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const { ms, operation, target, signal, cancelledCode = 'ConnectionLost' } = options;
  const controller = new AbortController();
  let stop: (error: MxrError) => void = () => undefined;
  const stopped = new Promise<never>((_, reject) => {
    stop = (error) => {
      reject(error);
      controller.abort(error);
    };
  });
  function onAbort(): void {
    stop(cancelled(operation, target, cancelledCode));
  }
  const timer = setTimeout(() => {
    stop(new MxrError({ operation, target, code: 'Deadline', detail: `no answer within ${ms} ms`, retryable: true }));
  }, ms);
  signal?.addEventListener('abort', onAbort, { once: true });
  if (signal?.aborted === true) onAbort();
  try {
    return await Promise.race([stopped, run(controller.signal)]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', onAbort);
  }
}

export function cancelled(operation: string, target: string, code: ErrorCode): MxrError {
  return new MxrError({
    operation,
    target,
    code,
    detail: 'the call was cancelled',
    retryable: true,
  });
}
