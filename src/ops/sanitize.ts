import { MxrError } from '../errors.ts';
import { MASK } from './secrets.ts';
import type { Secrets } from './secrets.ts';

/** A field whose name says that its value is a credential; names of files and objects are not. */
const CREDENTIAL = /pass(word|wd|phrase)|secret|token|authorization|credential|cookie|(api|private|client)[-_]?key/iu;
const NAMES_ONLY = /(name|names|file|namespace)$/iu;
const MAX_DEPTH = 6;
const MAX_ITEMS = 100;
const MAX_TEXT = 4000;

/**
 * A copy of `value` that is safe to log: plain JSON, bounded, every text masked, errors as their parts. Never throws,
 * whatever it is given (cycles, throwing getters, proxies).
 */
export function sanitize(value: unknown, secrets: Secrets, depth = 0): unknown {
  try {
    return convert(value, secrets, depth);
  } catch {
    return '[unreadable]';
  }
}

function convert(value: unknown, secrets: Secrets, depth: number): unknown {
  switch (typeof value) {
    case 'string':
      return text(value, secrets);
    case 'number':
    case 'boolean':
      // A password may be all digits, and parsed as a number somewhere.
      return secrets.mask(String(value)) === String(value) ? value : MASK;
    case 'bigint':
      return secrets.mask(String(value));
    case 'object':
      break;
    default:
      return undefined;
  }
  if (value === null) return null;
  if (depth >= MAX_DEPTH) return '[too deep]';
  if (value instanceof Error) return errorFields(value, secrets, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (value instanceof Map) return entries([...value.entries()], secrets, depth);
  if (value instanceof Set) return items([...value.values()], secrets, depth);
  return Array.isArray(value) ? items(value, secrets, depth) : entries(Object.entries(value), secrets, depth);
}

function text(value: string, secrets: Secrets): string {
  // Masked before it is cut: half a secret is not recognised any more.
  const masked = secrets.mask(value);
  return masked.length <= MAX_TEXT ? masked : `${masked.slice(0, MAX_TEXT)}... (${masked.length} characters)`;
}

function items(values: readonly unknown[], secrets: Secrets, depth: number): unknown[] {
  const kept = values.slice(0, MAX_ITEMS).map((value) => sanitize(value, secrets, depth + 1));
  return values.length <= MAX_ITEMS ? kept : [...kept, `... (${values.length} items)`];
}

function entries(pairs: readonly (readonly [unknown, unknown])[], secrets: Secrets, depth: number): object {
  const kept: Record<string, unknown> = {};
  for (const [key, value] of pairs.slice(0, MAX_ITEMS)) {
    const name = text(String(key), secrets);
    // defineProperty: a key may be __proto__.
    Object.defineProperty(kept, name, {
      value: isCredential(name) ? MASK : sanitize(value, secrets, depth + 1),
      enumerable: true,
      configurable: true,
    });
  }
  return kept;
}

export function isCredential(name: string): boolean {
  return CREDENTIAL.test(name) && !NAMES_ONLY.test(name);
}

/** An MxrError as its parts; any other error is a bug or a foreign one, and shows its stack. */
function errorFields(error: Error, secrets: Secrets, depth: number): object {
  const cause = error.cause === undefined ? undefined : causeText(error.cause, secrets);
  if (error instanceof MxrError) {
    const { code, operation, target, detail, errno, retryable } = error;
    return sanitize({ code, operation, target, detail, errno, retryable, cause }, secrets, depth) as object;
  }
  const { name, message, stack } = error;
  return sanitize({ name, message, stack, cause }, secrets, depth) as object;
}

/** The texts of the causes, outermost first; not masked yet. */
function causeText(cause: unknown, secrets: Secrets): string {
  const texts: string[] = [];
  for (let at: unknown = cause; at !== undefined && texts.length < MAX_DEPTH;) {
    texts.push(at instanceof Error ? `${at.name}: ${at.message}` : JSON.stringify(sanitize(at, secrets)));
    at = at instanceof Error ? at.cause : undefined;
  }
  return texts.join(' <- ');
}
