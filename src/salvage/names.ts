import { createHash } from 'node:crypto';

const LONGEST = 100;

/** One component of a path, whatever the name is: nothing that leads elsewhere, nothing that a file system refuses. */
export function component(name: string): string {
  const safe = name.replaceAll(/[^A-Za-z0-9._-]/g, '_').replace(/^[.-]+/, (found) => '_'.repeat(found.length));
  if (safe === name && safe.length > 0 && safe.length <= LONGEST) return safe;
  // Two names never become one.
  const hash = createHash('sha256').update(name).digest('hex').slice(0, 8);
  return `${safe.slice(0, LONGEST)}_${hash}`;
}

/** `<pod>-<first>-<last>`, without an extension. */
export function baseName(pod: string, first: string, last: string): string {
  return `${component(pod)}-${component(first)}-${component(last)}`;
}
