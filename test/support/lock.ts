import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Runs `work` while holding an exclusive lock on `file`. A child process (`flock`) holds it and ends when this
 * process ends for whatever reason, so a killed set-up never leaves the lock behind.
 */
export async function withLock<T>(file: string, deadlineMs: number, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  const seconds = Math.ceil(deadlineMs / 1000);
  const holder = spawn('flock', ['--exclusive', '--wait', String(seconds), file, 'sh', '-c', 'echo held; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const ended = new Promise<void>((resolve) => {
    holder.once('close', () => resolve());
  });
  try {
    await new Promise<void>((resolve, reject) => {
      holder.once('error', (error) => reject(new Error(`could not run flock (package util-linux): ${error.message}`)));
      holder.once('close', () => reject(new Error(`somebody else held ${file} for more than ${seconds} s`)));
      holder.stdout.once('data', () => resolve());
    });
    return await work();
  } finally {
    holder.stdin.end();
    await ended;
  }
}
