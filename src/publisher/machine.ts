import { createHash } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ServerLook } from '../domain/observation.ts';

/** Names of a machine and of a data directory: hashes, for the real ones are nobody's business. Empty: not known. */

const MACHINE_ID = '/etc/machine-id';

export async function machineId(path: string = MACHINE_ID): Promise<string> {
  try {
    const id = (await readFile(path, 'utf8')).trim();
    return id === '' || id === 'uninitialized' ? '' : nameOf('machine', id);
  } catch {
    return '';
  }
}

/**
 * Of the data directory of the server that was looked at, the same wherever its file system is mounted. `configured`:
 * where this process sees it; else it is looked for where the server says, and must then hold the end of its binlog: a
 * database in a container may name a directory that on this host belongs to another one.
 */
export async function datadirId(look: ServerLook, configured: string | null): Promise<string> {
  try {
    if (configured === null && !(await holdsBinlogOf(look))) return '';
    const path = join(configured ?? look.identity.datadir, 'ibdata1');
    const { ino, birthtimeNs } = await stat(path, { bigint: true });
    // Not every file system knows when a file was made, and an inode number alone is the same on many disks.
    return birthtimeNs <= 0n ? '' : nameOf('datadir', `${ino} ${birthtimeNs}`);
  } catch {
    return '';
  }
}

async function holdsBinlogOf({ end, logBinBasename }: ServerLook): Promise<boolean> {
  if (end === null || logBinBasename === '') return false;
  const { size } = await stat(join(dirname(logBinBasename), end.file));
  return size >= end.position;
}

function nameOf(kind: string, text: string): string {
  return createHash('sha256').update(`mxr.dev/${kind}\n${text}`).digest('hex').slice(0, 16);
}
