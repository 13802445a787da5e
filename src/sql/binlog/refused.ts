import { MxrError } from '../../errors.ts';
import type { SqlTarget } from '../port.ts';
import { describe } from '../session.ts';

/** For the questions to which a refusal (error 1236) is no answer. */
export function refusedError(
  target: SqlTarget,
  operation: string,
  refusal: { readonly errno: number; readonly text: string },
): MxrError {
  const detail = `the server refused: ${refusal.text} (error ${refusal.errno})`;
  return new MxrError({
    operation,
    target: describe(target),
    code: 'BinlogRefused',
    errno: refusal.errno,
    retryable: false,
    detail,
  });
}
