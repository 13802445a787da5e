import { constants } from 'node:fs';
import { lstat, open, realpath } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import type { Coordinates, ImportedPosition } from '../api/publisher.ts';
import { MxrError, systemCode } from '../errors.ts';

/** The files that the scripts of such pairs write: what the other side's binlog ended at, and one's own. */
const MASTER_END = 'mysql-bin-master-end.pos';
const SLAVE_END = 'mysql-bin-slave-end.pos';

const MAX_BYTES = 64 * 1024;
const CURE = `it must be what \`mariadb -e 'SHOW MASTER STATUS\\G'\` prints: write it anew, or remove it`;

/**
 * Reads the positions in a directory of old `.pos` files; a file that does not exist is null. Rejects with
 * `InputInvalid` for a file that cannot be trusted to say what its writer meant.
 */
export async function readPosFiles(directory: string): Promise<Coordinates['imported']> {
  let root: string;
  try {
    root = await realpath(directory);
  } catch (error) {
    throw invalid(directory, `it cannot be opened (${codeOf(error)}): name the directory of the .pos files`);
  }
  const [masterEnd, slaveEnd] = await Promise.all([readPosFile(root, MASTER_END), readPosFile(root, SLAVE_END)]);
  return { masterEnd, slaveEnd };
}

async function readPosFile(root: string, name: string): Promise<ImportedPosition | null> {
  const path = join(root, name);
  if (!(await exists(path))) return null;
  const handle = await openInside(root, path);
  try {
    const stat = await handle.stat();
    if (!stat.isFile()) throw invalid(path, 'it is not a regular file: remove it');
    if (stat.size > MAX_BYTES) throw invalid(path, `it has ${stat.size} bytes, more than ${MAX_BYTES}: ${CURE}`);
    const bytes = Buffer.alloc(MAX_BYTES);
    const { bytesRead } = await handle.read(bytes, 0, MAX_BYTES, 0);
    const position = parsePosFile(path, bytes.subarray(0, bytesRead));
    return { ...position, writtenAt: stat.mtime.toISOString() };
  } catch (error) {
    if (error instanceof MxrError) throw error;
    throw invalid(path, `it cannot be read (${codeOf(error)})`);
  } finally {
    await handle.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw invalid(path, `it cannot be opened (${codeOf(error)}): let this user read it`);
  }
}

/** Without blocking on a pipe that nobody writes to. */
async function openInside(root: string, path: string): Promise<FileHandle> {
  try {
    const real = await realpath(path);
    if (dirname(real) !== root) throw invalid(path, 'it is a link to a place outside of its directory: copy the file');
    return await open(real, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    if (error instanceof MxrError) throw error;
    const why = codeOf(error) === 'ENOENT' ? 'it is a link to nothing: remove it' : 'let this user read it';
    throw invalid(path, `it cannot be opened (${codeOf(error)}): ${why}`);
  }
}

const BinlogFile = z
  .string()
  .regex(/^[^\s/\\\p{Cc}]{1,200}\.\d{6,10}$/u, { error: 'is not the name of a binlog file' });
/** No event begins before the magic number of the file ends. */
const FIRST_POSITION = 4;
const BinlogPosition = z
  .string()
  .regex(/^\d{1,15}$/u, { error: 'is not a number' })
  .transform(Number)
  .refine((value) => value >= FIRST_POSITION, { error: 'is not a position in a binlog' });

function parsePosFile(path: string, bytes: Buffer): { file: string; position: number } {
  const text = decoded(path, bytes);
  if (text.trim() === '') throw invalid(path, `it is empty: ${CURE}`);
  const rows = text.match(/^\*{3,} *\d+\. row \*{3,}[ \t]*\r?$/gmu) ?? [];
  if (rows.length !== 1) throw invalid(path, `it has ${rows.length} rows instead of one: ${CURE}`);
  const file = BinlogFile.safeParse(fieldOf(path, text, 'File'));
  if (!file.success) throw invalid(path, `its File ${file.error.issues[0]?.message ?? ''}: ${CURE}`);
  const position = BinlogPosition.safeParse(fieldOf(path, text, 'Position'));
  if (!position.success) throw invalid(path, `its Position ${position.error.issues[0]?.message ?? ''}: ${CURE}`);
  return { file: file.data, position: position.data };
}

/** With the end of its line, or half of a number would be one, too. */
function fieldOf(path: string, text: string, name: string): string {
  const [found, ...more] = [...text.matchAll(new RegExp(`^[ \\t]*${name}:(.*)\\r?\\n`, 'gmu'))];
  if (found === undefined) throw invalid(path, `it has no whole line with ${name}: ${CURE}`);
  if (more.length > 0) throw invalid(path, `it has ${name} more than once: ${CURE}`);
  return found[1]?.trim() ?? '';
}

function decoded(path: string, bytes: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw invalid(path, `it is not text: ${CURE}`);
  }
}

function invalid(path: string, detail: string): MxrError {
  const target = basename(path).endsWith('.pos') ? `file ${path}` : `directory ${path}`;
  const call = { operation: 'import a position', target };
  return new MxrError({ ...call, code: 'InputInvalid', detail, retryable: false });
}

function codeOf(error: unknown): string {
  return systemCode(error) ?? 'unknown error';
}
