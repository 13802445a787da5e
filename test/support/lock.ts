import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { ProvisionError } from './provision-error.ts';

/** Of flock: the time is over. */
const HELD_BY_ANOTHER = 1;

/**
 * Runs `work` while holding an exclusive lock on `file`. A child process (`flock`) holds it and ends when this
 * process ends for whatever reason, so a killed set-up never leaves the lock behind.
 */
export async function withLock<T>(file: string, deadlineMs: number, work: () => Promise<T>): Promise<T> {
  makeFolder(dirname(file));
  const seconds = Math.ceil(deadlineMs / 1000);
  const holder = spawn('flock', ['--exclusive', '--wait', String(seconds), file, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => {
    holder.once('close', () => resolve());
  });
  try {
    await new Promise<void>((resolve, reject) => {
      holder.once('error', (error) => {
        reject(new ProvisionError(`could not run flock (package util-linux): ${error.message}`, { cause: error }));
      });
      holder.once('close', (code) => {
        const held = `somebody else held ${file} for more than ${seconds} s`;
        const unusable = `${file} cannot be locked (flock ended with ${code ?? 'a signal'}): set MXR_CACHE to a folder of yours`;
        reject(new ProvisionError(code === HELD_BY_ANOTHER ? held : unusable));
      });
      holder.stdout.once('data', () => resolve());
    });
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}

function makeFolder(folder: string): void {
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ProvisionError(`what set-up makes cannot be kept (${why}): set MXR_CACHE to a folder of yours`, {
      cause: error,
    });
  }
}
