import type { Unknown } from '../domain/fact.ts';
import { unknown } from '../domain/fact.ts';
import { errorText, isMxrError } from '../errors.ts';

/** A failed look as a fact. Whatever else is thrown inside is a defect of ours, and is said to be one. */
export function asUnknown(error: unknown, at: number): Unknown {
  return isMxrError(error) ? unknown(error.code, error.message, at) : unknown('Bug', errorText(error), at);
}
