import { constants } from 'node:fs';
import { open, readdir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { PublishedBinlogFile } from '../api/publisher.ts';
import type { BinlogConfig } from '../config.ts';
import { EVENT, MAGIC } from '../sql/binlog/event.ts';
import { systemCode } from '../errors.ts';

export interface OpenBinlogFile {
  readonly handle: FileHandle;
  /** When it was opened. */
  readonly size: number;
  readonly encrypted: boolean;
}

const MAX_FILES = 5_000;
const AT_ONCE = 16;
/** Not through a symbolic link, and not for ever where somebody put a named pipe. */
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
const HEADER = 19;
/** Of a Format_description there are some 250. */
const HEAD_BYTES = 1_024;
const NUMBER = /^\.(\d{6,10})$/u;

/** Oldest first. Only what has the name of a binlog file, begins like one and is an ordinary file; nothing else is opened. */
export async function listBinlogFiles(config: BinlogConfig): Promise<PublishedBinlogFile[]> {
  const names = (await readdir(config.directory))
    .flatMap((name) => numbered(config, name))
    .sort((a, b) => a.number - b.number)
    .slice(-MAX_FILES);
  const files: PublishedBinlogFile[] = [];
  for (let at = 0; at < names.length; at += AT_ONCE) {
    const some = names.slice(at, at + AT_ONCE).map(({ name }) => described(config, name));
    files.push(...(await Promise.all(some)).flat());
  }
  return files;
}

async function described(config: BinlogConfig, name: string): Promise<PublishedBinlogFile[]> {
  const file = await openBinlogFile(config, name);
  if (file === null) return [];
  const { size, encrypted } = file;
  await file.handle.close();
  return [{ name, size, encrypted }];
}

/** Null: there is no such binlog file. The caller closes the handle. */
export async function openBinlogFile(config: BinlogConfig, name: string): Promise<OpenBinlogFile | null> {
  if (numbered(config, name).length === 0) return null;
  const handle = await opened(join(config.directory, name));
  if (handle === null) return null;
  try {
    const stats = await handle.stat();
    const head = stats.isFile() ? await headOf(handle) : Buffer.alloc(0);
    if (head.subarray(0, MAGIC.length).equals(MAGIC)) {
      return { handle, size: stats.size, encrypted: isEncrypted(head) };
    }
  } catch (error) {
    await handle.close();
    throw error;
  }
  await handle.close();
  return null;
}

function numbered({ baseName }: BinlogConfig, name: string): { readonly name: string; readonly number: number }[] {
  const digits = name.startsWith(baseName) ? NUMBER.exec(name.slice(baseName.length))?.[1] : undefined;
  return digits === undefined ? [] : [{ name, number: Number(digits) }];
}

async function opened(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, FLAGS);
  } catch (error) {
    // Purged since it was listed, or a symbolic link.
    const code = systemCode(error);
    if (code === 'ENOENT' || code === 'ELOOP') return null;
    throw error;
  }
}

async function headOf(handle: FileHandle): Promise<Buffer> {
  const buffer = Buffer.alloc(HEAD_BYTES);
  const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
  return buffer.subarray(0, bytesRead);
}

/** What follows the Format_description of an encrypted file is the last event that others can read. */
function isEncrypted(head: Buffer): boolean {
  if (head.length < MAGIC.length + HEADER) return false;
  const second = MAGIC.length + head.readUInt32LE(MAGIC.length + 9);
  return second + HEADER <= head.length && head.readUInt8(second + 4) === EVENT.StartEncryption;
}
