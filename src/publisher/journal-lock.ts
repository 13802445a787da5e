import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { withDeadline } from '../deadline.ts';
import { MxrError } from '../errors.ts';
import { reasonOf } from './journal-scan.ts';

const DEADLINE_MS = 5_000;
/** What both util-linux and busybox end with when somebody else has the lock; a failure of theirs also says something. */
const TAKEN = 1;

/**
 * Makes the directory where it is missing and locks it. The lock belongs to the open file, not to the program `flock`
 * that takes it, so that it ends with this process however it ends, and no file that is left behind can keep the next
 * one out. Node.js itself has no call for it.
 */
export async function lockDirectory(directory: string): Promise<FileHandle> {
  let handle: FileHandle;
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    handle = await open(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (error) {
    throw unusable(directory, `it cannot be opened (${reasonOf(error)}): make it a directory of this user`);
  }
  try {
    const operation = 'lock the journal';
    await withDeadline({ ms: DEADLINE_MS, operation, target: directory }, (signal) => lock(directory, handle, signal));
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

async function lock(directory: string, handle: FileHandle, signal: AbortSignal): Promise<void> {
  const { code, words } = await flock(directory, handle.fd, signal);
  if (code === 0) return;
  if (code === TAKEN && words === '') {
    throw unusable(directory, 'another publisher keeps its journal there: end it, or give each a directory of its own');
  }
  throw unusable(directory, `it cannot be locked (flock ended with ${code ?? 'a signal'}: ${words || 'no words'})`);
}

function flock(directory: string, fd: number, signal: AbortSignal): Promise<{ code: number | null; words: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn('flock', ['-n', '-x', '3'], { stdio: ['ignore', 'ignore', 'pipe', fd], signal });
    let words = '';
    child.stderr?.on('data', (part: Buffer) => {
      words = `${words}${part.toString()}`.slice(0, 200);
    });
    child.once('error', (error) => {
      const cure = 'install the program flock (util-linux), without which two publishers could use one directory';
      reject(unusable(directory, `it cannot be locked (${reasonOf(error)}): ${cure}`));
    });
    child.once('close', (code) => resolve({ code, words: words.trim() }));
  });
}

function unusable(directory: string, detail: string): MxrError {
  return new MxrError({
    operation: 'keep the journal',
    target: `directory ${directory}`,
    code: 'ConfigInvalid',
    detail,
    retryable: false,
  });
}
