import { X509Certificate, createPrivateKey } from 'node:crypto';
import { open, stat } from 'node:fs/promises';
import type { Server } from 'node:https';
import { createSecureContext } from 'node:tls';
import { MxrError, errorText, systemCode } from '../errors.ts';
import type { Logger } from '../ops/log.ts';

export interface TlsFiles {
  readonly certFile: string;
  readonly keyFile: string;
}

export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Changes when a file does. */
  readonly mark: string;
}

export const MIN_TLS = 'TLSv1.2';
const MAX_BYTES = 1024 * 1024;

/** Rejects with `ConfigInvalid` when a file cannot be read, or the two do not belong together. */
export async function readTls(files: TlsFiles): Promise<TlsMaterial> {
  const mark = await markOf(files);
  const cert = await readFile(files.certFile);
  const key = await readFile(files.keyFile);
  const target = `${files.certFile} and ${files.keyFile}`;
  let fits = false;
  try {
    fits = new X509Certificate(cert).checkPrivateKey(createPrivateKey(key));
    if (fits) createSecureContext({ cert, key, minVersion: MIN_TLS });
  } catch (error) {
    throw invalid(target, `they are not a certificate and its private key in PEM form (${opensslCode(error)})`);
  }
  if (!fits) throw invalid(target, 'the private key is not that of the certificate');
  return { cert, key, mark };
}

export interface FollowTlsOptions {
  readonly files: TlsFiles;
  readonly material: TlsMaterial;
  readonly everyMs: number;
  readonly log: Logger;
}

/** Looks at the files now and then; a pair that is no good is said once, and the one before it stays. */
export function followTls(server: Server, options: FollowTlsOptions): () => void {
  const { files, everyMs, log } = options;
  let mark = options.material.mark;
  let failed: string | null = null;
  let busy = false;

  async function look(): Promise<void> {
    if (busy) return;
    busy = true;
    try {
      if ((await markOf(files)) === mark) return;
      const { cert, key, mark: next } = await readTls(files);
      server.setSecureContext({ cert, key, minVersion: MIN_TLS });
      mark = next;
      failed = null;
      log.info('the TLS certificate was changed', { certFile: files.certFile });
    } catch (error) {
      if (failed !== errorText(error)) log.error('the new TLS certificate is no good, the old one stays', { error });
      failed = errorText(error);
    } finally {
      busy = false;
    }
  }

  const timer = setInterval(() => void look(), everyMs);
  return () => clearInterval(timer);
}

async function markOf({ certFile, keyFile }: TlsFiles): Promise<string> {
  const marks = await Promise.all(
    [certFile, keyFile].map(async (file) => {
      try {
        const { ino, size, mtimeMs } = await stat(file);
        return `${ino} ${size} ${mtimeMs}`;
      } catch (error) {
        throw invalid(file, `it cannot be read (${opensslCode(error)})`);
      }
    }),
  );
  return marks.join(' ');
}

async function readFile(file: string): Promise<Buffer> {
  try {
    const handle = await open(file);
    try {
      const buffer = Buffer.alloc(MAX_BYTES + 1);
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, 0);
      if (bytesRead > MAX_BYTES) throw new Error(`more than ${MAX_BYTES} bytes`);
      return buffer.subarray(0, bytesRead);
    } finally {
      await handle.close();
    }
  } catch (error) {
    throw invalid(file, `it cannot be read (${opensslCode(error)})`);
  }
}

function invalid(target: string, detail: string): MxrError {
  return new MxrError({ operation: 'use TLS', target, code: 'ConfigInvalid', detail, retryable: false });
}

/** The text of such an error may quote the file. */
function opensslCode(error: unknown): string {
  return systemCode(error) ?? (error instanceof Error ? error.name : 'unknown');
}
