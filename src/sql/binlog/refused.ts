import { MxrError } from '../../errors.ts';
import { sqlError } from '../errors.ts';
import type { SqlTarget } from '../port.ts';
import { describe, late } from '../session.ts';
import type { DumpLimits } from './dump.ts';

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

/** For the questions to which what came until the time was up is no answer. */
export function lateError(
  target: SqlTarget,
  operation: string,
  { deadlineMs, longestMs = deadlineMs }: DumpLimits,
): MxrError {
  return sqlError(late(longestMs), { operation, target: describe(target), secrets: [target.password] });
}
