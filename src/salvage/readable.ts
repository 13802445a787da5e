import { spawn } from 'node:child_process';
import type { FileHandle } from 'node:fs/promises';
import { systemCode } from '../errors.ts';

export interface ReadableOptions {
  /** `mariadb-binlog`, by name or path. */
  readonly tool: string;
  readonly binlog: string;
  readonly into: FileHandle;
  /** An empty directory: what LOAD DATA brought is put there. */
  readonly scratch: string;
  readonly maxBytes: number;
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

const MAX_ERROR = 300;

/** Rows as comments, statements as they are. Null: done; else why not, for people. Never throws. */
export async function writeReadable(options: ReadableOptions): Promise<string | null> {
  const { tool, binlog, scratch, deadlineMs } = options;
  const args = ['--no-defaults', '--base64-output=DECODE-ROWS', '--verbose', `--local-load=${scratch}`, binlog];
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(deadlineMs)]);
  try {
    const child = spawn(tool, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: ENVIRONMENT,
      signal,
      killSignal: 'SIGKILL',
    });
    const ended = new Promise<string | null>((resolve) => {
      child.once('error', (error) => resolve(whyNot(error, tool)));
      child.once('close', (code) => resolve(code === 0 ? null : `${tool} ended with ${code}`));
    });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => (said += said.length < MAX_ERROR ? chunk.toString('utf8') : ''));
    const tooLarge = await copy(child.stdout, options);
    if (tooLarge) child.kill('SIGKILL');
    const why = await ended;
    if (tooLarge) return `it would be larger than ${options.maxBytes} bytes`;
    return why === null ? null : `${why} ${said.replaceAll(/\s+/g, ' ').slice(0, MAX_ERROR)}`.trim();
  } catch (error) {
    return whyNot(error, tool);
  }
}

const ENVIRONMENT = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/bin:/bin:/usr/local/bin' };

async function copy(from: AsyncIterable<Buffer>, { into, maxBytes }: ReadableOptions): Promise<boolean> {
  let size = 0;
  for await (const chunk of from) {
    size += chunk.length;
    if (size > maxBytes) return true;
    await into.writeFile(chunk);
  }
  return false;
}

function whyNot(error: unknown, tool: string): string {
  if (systemCode(error) === 'ENOENT') return `there is no ${tool} here`;
  return error instanceof Error ? `${tool}: ${error.message}` : tool;
}
