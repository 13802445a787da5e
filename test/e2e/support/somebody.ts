import { execFileSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Owns nothing. */
export const NOBODY = 65_534;
/** Put before a command, it is run by an unprivileged user. */
export const AS_NOBODY = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'] as const;

export interface Places {
  readonly checkout: string;
  readonly cache: string;
  /** An empty folder for what has to be out of the way. */
  readonly stash: string;
}

/**
 * Put before a command, it is run by an unprivileged user who can reach this checkout and has a set-up of his own, where
 * this one's is: programs in it know their own paths. What hides them, e.g. root's home, is covered in a mount
 * namespace of the command's own, so nothing is changed for anybody else.
 */
export function asNobodyWith({ checkout, cache, stash }: Places): string[] {
  const closed = [closedAbove(checkout), closedAbove(cache) ?? cache].filter((folder) => folder !== undefined);
  const script = [
    'set -e',
    `mkdir -p "${stash}/checkout" "${stash}/cache"`,
    `mount --bind "${checkout}" "${stash}/checkout"`,
    `mount --bind "${cache}" "${stash}/cache"`,
    ...[...new Set(closed)].map((folder) => `mount -t tmpfs -o mode=755 tmpfs "${folder}"`),
    `mkdir -p "${checkout}" "${cache}"`,
    `mount --bind "${stash}/checkout" "${checkout}"`,
    `for made in root controlplane; do cp -a "${stash}/cache/$made-"* "${cache}" 2>/dev/null || :; done`,
    `chown -R ${NOBODY}:${NOBODY} "${cache}"`,
    `exec ${AS_NOBODY.join(' ')} "$@"`,
  ];
  return ['unshare', '--mount', 'sh', '-c', script.join('\n'), 'as-nobody'];
}

/** Why the command that follows cannot be run that way here, or `undefined`. */
export function nobodyCannot(prefix: readonly string[], file: string): string | undefined {
  const namespaces = 'unshare --user --map-root-user --net --mount --pid --fork --mount-proc true';
  const [program, ...args] = [...prefix, 'sh', '-c', `test -r "${file}" && ${namespaces}`];
  try {
    execFileSync(program ?? '', args, { stdio: 'pipe', timeout: 20_000 });
    return undefined;
  } catch (error) {
    const words = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    return words === '' ? `${file} cannot be read by everybody` : words;
  }
}

/** The highest folder that lets nobody through. */
function closedAbove(path: string): string | undefined {
  const above = dirname(path);
  if (above === path) return undefined;
  const higher = closedAbove(above);
  if (higher !== undefined) return higher;
  return (statSync(above).mode & 0o001) === 0 ? above : undefined;
}
